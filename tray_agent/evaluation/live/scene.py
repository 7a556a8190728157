"""The stage of a live cell: snake of the package freegames in a desktop of its own. The caller's thread.

An episode is a process of the game: the game has no way to begin again. Its score is what it says on stdout.
"""

import importlib.util
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tray_agent.core.clock import MonotonicClock
from tray_agent.core.events import WindowInfo
from tray_agent.errors import PlatformUnavailable, WorkerFailed
from tray_agent.evaluation.live.board import PICTURE, Board, read_board
from tray_agent.evaluation.live.names import SNAKE
from tray_agent.evaluation.live.plain import LivePlayer
from tray_agent.evaluation.live.snake import SnakePlayer
from tray_agent.platforms.x11.screen import X11ScreenSource
from tray_agent.runtime.pacer import Pacer
from tray_agent.stage.desk import NestedDesk
from tray_agent.stage.displays import end

LIMIT_S = 60.0
"""Longest episode."""
_SCREEN = (800, 600)
_TITLE = "Python Turtle Graphics"
_COMMAND = (sys.executable, "-P", "-m", "freegames.snake")
_LOOKS_HZ = 30.0
_SAYS = b"Snake:"  # followed by the snake's length; it begins with one square


class SnakeGame:
    """One episode: a context."""

    def __init__(self, desk: NestedDesk) -> None:
        self._desk = desk
        self._screen = X11ScreenSource(PICTURE, desk.display)
        self._score: float | None = None

    def __enter__(self) -> "SnakeGame":
        self._process = self._desk.displays.run(_COMMAND, self._desk.display, {"PYTHONUNBUFFERED": "1"}, pipes=True)
        try:
            self._screen.start()
            self._screen.set_region(self._await_window().rect)
        except BaseException:
            self.__exit__()
            raise
        self._ends = time.monotonic() + LIMIT_S
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.close()
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None and self._score is None:
            self._score = score_of(self._process.stdout.read())
        end(self._process)

    @property
    def score(self) -> float:
        """Food eaten, once it is over."""
        assert self._score is not None  # noqa: S101 - the context has ended
        return self._score

    def look(self) -> Board:
        """What is to be seen. Raises WorkerFailed: the game has ended by itself."""
        if self._process.poll() is not None:
            raise WorkerFailed(f"the snake's process has ended\n{self._desk.displays.last_words()}")
        return read_board(self._screen.grab().pixels)

    def looks(self, until_s: float = float("inf")) -> Iterator[Board]:
        """Looks at an even rate, until the snake is dead, the episode's time is over, or so far in monotonic time."""
        pacer = Pacer(MonotonicClock(), _LOOKS_HZ)
        while time.monotonic() < min(self._ends, until_s):
            board = self.look()
            yield board
            if board.dead:
                return
            pacer.wait()

    def _await_window(self) -> WindowInfo:
        """Its window, once it has the size it ends up with."""

        def is_it(found: WindowInfo) -> bool:
            return found.pid == self._process.pid and found.title == _TITLE and found.rect[2:] == PICTURE

        return self._desk.await_window(is_it, f"the snake's window of {PICTURE[0]} x {PICTURE[1]} pixels")


class SnakeScene:
    """Owns the desktop."""

    game_name = SNAKE
    profiles = ""
    """The shipped profile finds its window."""

    def __init__(self, folder: Path) -> None:
        """Store.

        Args:
            folder: takes the programs' log.
        """
        self.desk = NestedDesk(folder / "programs.log", _SCREEN)

    def start(self) -> None:
        """Start the desktop.

        Raises:
            PlatformUnavailable: a package or a program is missing.
            WorkerFailed: one did not start.
        """
        if importlib.util.find_spec("freegames") is None:
            raise PlatformUnavailable("the package freegames is not installed", "pip install 'tray-agent[evaluate]'")
        if importlib.util.find_spec("_tkinter") is None:
            raise PlatformUnavailable("this Python has no tkinter", "Install it (Debian: apt install python3-tk)")
        self.desk.start()

    def game(self) -> SnakeGame:
        """A new episode."""
        return SnakeGame(self.desk)

    def play(self, player: LivePlayer, until_s: float = float("inf")) -> float:
        """One episode by a player at the keyboard; the food it ate.

        Args:
            player: new for this episode.
            until_s: monotonic time at which it is broken off.
        """
        with self.game() as game:
            try:
                for board in game.looks(until_s):
                    self.desk.keyboard.hold(player.decide(board, time.monotonic()))
            finally:
                self.desk.keyboard.hold(())
        return game.score

    def watch_player(self, until_s: float = float("inf")) -> float:
        """One episode by the scripted player; see `play`."""
        return self.play(SnakePlayer(), until_s)

    def close(self) -> None:
        """End everything; idempotent."""
        self.desk.close()


def score_of(said: bytes) -> float:
    """Food eaten by a game that said this: "Snake: 3" is two of them and the square it began with."""
    lengths = [line.removeprefix(_SAYS).strip() for line in said.splitlines() if line.startswith(_SAYS)]
    return float(lengths[-1]) - 1.0 if lengths else 0.0

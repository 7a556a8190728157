"""The stage of a packaged game in a window on a desktop of its own, in real time. The caller's thread.

The game's scripted player only says what it would hold; a keyboard around the desktop presses it, as a person's does.
"""

import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from tray_agent.errors import TrayAgentError, WorkerFailed
from tray_agent.platforms.env.catalog import entry
from tray_agent.platforms.env.clients import EnvAdvice, EnvControl, Episode
from tray_agent.settings.paths import shipped_folder
from tray_agent.stage.desk import NestedDesk

_SCREEN = (800, 760)
_TITLE = "{} - Tray Agent"
_START_S = 60.0
_BEGIN_S = 10.0
_LOOK_S = 0.03


class WindowGame:
    """One episode: a context."""

    def __init__(self, control: EnvControl, advice: EnvAdvice, seed: int) -> None:
        self._control = control
        self._advice = advice
        self._seed = seed
        self.score = math.nan
        """Once it has ended; NaN where it was broken off."""

    def __enter__(self) -> "WindowGame":
        self._control.reset(self._seed)
        ends = time.monotonic() + _BEGIN_S
        while all(episode.whole for episode in self._control.episodes(_LOOK_S)):  # the one before is broken off
            if time.monotonic() > ends:
                raise WorkerFailed(f"the game did not begin anew within {_BEGIN_S:g} s")
        return self

    def __exit__(self, *_: object) -> None:
        """The next one breaks it off."""

    def looks(self, until_s: float = math.inf) -> Iterator[frozenset[str] | None]:
        """What the scripted player would hold, None where that was not told anew, until episode or time is over."""
        while time.monotonic() < until_s:
            held = self._advice.newest(_LOOK_S)
            ended: list[Episode] = self._control.episodes(0.0)
            if ended:
                self.score = ended[0].score
                return
            yield held


class WindowScene:
    """Owns the desktop, and the game's process, which plays one episode after another."""

    def __init__(self, folder: Path, game: str, seed: int) -> None:
        """Store.

        Args:
            folder: takes the programs' log and the game's socket.
            game: name of a packaged game with a scripted player.
            seed: of the first episode; the next ones take the next seeds.

        Raises:
            TrayAgentError: no keyboard can play it.
        """
        controls = entry(game).make_game().info.controls
        if others := (*controls.relative, *controls.axes):
            raise TrayAgentError(f"{game} is not played at a keyboard alone ({', '.join(others)}): choose another game")
        self.game_name = game
        self.desk = NestedDesk(folder / "programs.log", _SCREEN)
        self._socket = folder / "game"
        self._seed = seed
        self._control = EnvControl(self._socket)
        self._advice = EnvAdvice(self._socket)

    @property
    def profiles(self) -> str:
        """A `games.yaml` with the game as it is shipped, but found by its window's title.

        Raises:
            TrayAgentError: it is not shipped.
        """
        games = yaml.safe_load((shipped_folder() / "games.yaml").read_text("utf-8"))["games"]
        if self.game_name not in games:
            raise TrayAgentError(f"only a game whose profile is shipped is played in a window; {self.game_name} is not")
        shipped = {name: value for name, value in games[self.game_name].items() if name != "environment"}
        return yaml.safe_dump({"games": {self.game_name: shipped | {"match": {"title": f"^{self._title}$"}}}})

    @property
    def _title(self) -> str:
        return _TITLE.format(self.game_name)

    def start(self) -> None:
        """Start desktop and game.

        Raises:
            PlatformUnavailable: a package or a program is missing.
            WorkerFailed: one did not start.
        """
        self.desk.start()
        command = [sys.executable, "-P", "-m", "tray_agent.platforms.env", self.game_name, "--socket",
                   str(self._socket), "--window", "--advise", "--until-stdin-closes"]  # fmt: skip
        child = self.desk.displays.run(command, self.desk.display, {"SDL_VIDEODRIVER": "x11"}, pipes=True)
        json.loads(self.desk.displays.line_of(child, _START_S))
        self.desk.await_window(lambda found: found.title == self._title)
        self._control.start()
        self._advice.start()

    def game(self) -> WindowGame:
        """A new episode."""
        self._seed += 1
        return WindowGame(self._control, self._advice, self._seed - 1)

    def watch_player(self, until_s: float = math.inf) -> float:
        """One episode by the scripted player at the keyboard; its score, NaN where the monotonic time came first."""
        with self.game() as game:
            try:
                for held in game.looks(until_s):
                    if held is not None:
                        self.desk.keyboard.hold(held)
            finally:
                self.desk.keyboard.hold(())
        return game.score

    def close(self) -> None:
        """End everything; idempotent."""
        self._control.close()
        self._advice.close()
        self.desk.close()

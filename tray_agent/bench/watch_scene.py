"""The stage of `bench watch`: a real game in a desktop of its own, a player with real devices, and the daemon.

The game runs in a Xephyr, so that what is pressed on the display around it comes from a keyboard, not from a program.
Owns all processes it starts; the caller's thread.
"""

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tray_agent.bench.frame_counter import FrameCounter
from tray_agent.errors import PlatformUnavailable, WorkerFailed
from tray_agent.stage.daemon import Check, StagedDaemon
from tray_agent.stage.desk import NestedDesk
from tray_agent.stage.displays import Displays, find_program
from tray_agent.stage.keyboard import OuterKeyboard

KEYS = ("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "ControlLeft", "Space")
_SCREEN = (800, 600)
_IWAD = Path("/usr/share/games/doom/freedoom1.wad")
_DOOM = ("chocolate-doom", "-iwad", str(_IWAD), "-warp", "1", "1", "-skill", "2", "-window", "-geometry", "640x480")
_PROFILE = """\
games:
  doom:
    vector: 1
    match: {{process: chocolate-doom}}
    controls: {{keys: [{keys}]}}
    rate_hz: {rate_hz:g}
    audio: {audio}
"""
_START_S = 40.0
_LEARN_S = 120.0


class DoomScene:
    """Owns the desktop, the game and its player."""

    def __init__(self, folder: Path) -> None:
        """Store.

        Args:
            folder: home of the game, and the programs' log.
        """
        self.folder = folder
        self._desk = NestedDesk(folder / "programs.log", _SCREEN)
        self._counter: FrameCounter | None = None
        self._hands: RandomHands | None = None

    @property
    def displays(self) -> Displays:
        """Starts what else is to run here."""
        return self._desk.displays

    @property
    def display(self) -> str:
        """Name of the game's display."""
        return self._desk.display

    def start(self) -> None:
        """Start all of it and wait until the game is in front.

        Raises:
            PlatformUnavailable: a program or the game's data are missing.
            WorkerFailed: one did not start.
        """
        find_program(_DOOM[0])
        if not _IWAD.exists():
            raise PlatformUnavailable(f"{_IWAD} is missing", "Install it (Debian: apt install freedoom)")
        self._desk.start()
        home = {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "SDL_AUDIODRIVER": "dummy"}
        self._game = self.displays.run(_DOOM, self.display, home)
        window = self._desk.await_window(lambda found: found.process == _DOOM[0], timeout_s=_START_S)
        self._counter = FrameCounter(self.display, window.handle)
        self._counter.start()
        self._hands = RandomHands(self._desk.keyboard)

    def play(self, seconds: float) -> int:
        """The player plays for so long; how many pictures the game showed.

        Raises:
            WorkerFailed: the game has ended.
        """
        assert self._counter is not None and self._hands is not None  # noqa: S101, PT018 - start() made both
        before = self._counter.frames
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._counter.wait(min(left, self._hands.until_next_s()))
            self._counter.take(time.monotonic_ns())
            self._hands.step()
        if self._game.poll() is not None:
            raise WorkerFailed(f"the game has ended\n{self.displays.last_words()}")
        return self._counter.frames - before

    def close(self) -> None:
        """End everything; idempotent."""
        if self._counter is not None:
            self._counter.close()
        self._desk.close()


class RandomHands:
    """A player: holds one or two keys at a time, each for a while, as a person does who wanders about."""

    def __init__(self, keyboard: OuterKeyboard) -> None:
        """Store.

        Args:
            keyboard: started by the caller.
        """
        self._keyboard = keyboard
        self._random = random.Random(1)  # noqa: S311 - the same walk each time
        self._next = 0.0

    def until_next_s(self) -> float:
        """Time until `step()` has something to do."""
        return max(0.0, self._next - time.monotonic())

    def step(self) -> None:
        """Change what is held, if it is time."""
        if self.until_next_s() > 0:
            return
        self._keyboard.hold(())
        self._keyboard.hold(self._random.sample(KEYS, self._random.choice((1, 1, 2))))
        self._next = time.monotonic() + self._random.uniform(0.1, 0.9)


@dataclass(frozen=True)
class TickCounts:
    """What the daemon counted between two moments."""

    frames: int
    missed: int
    lost: int
    late: int

    def __sub__(self, earlier: "TickCounts") -> "TickCounts":
        return TickCounts(
            self.frames - earlier.frames, self.missed - earlier.missed,
            self.lost - earlier.lost, self.late - earlier.late,
        )  # fmt: skip


class WatchingDaemon:
    """The real daemon beside the game: a context, within which it watches and learns."""

    def __init__(self, scene: DoomScene, home: Path, rate_hz: float, audio: bool) -> None:
        """Store.

        Args:
            scene: where the game is; its player plays while the daemon gets ready.
            home: folder for everything the daemon keeps; its settings are written here.
            rate_hz: how often it looks.
            audio: whether it is to listen as well.
        """
        self._scene = scene
        self._profile = _PROFILE.format(keys=", ".join(KEYS), rate_hz=rate_hz, audio=str(audio).lower())
        self._daemon = StagedDaemon(scene.displays, scene.display, home, "doom")

    def __enter__(self) -> Self:
        self._daemon.configure("games.yaml", self._profile)
        self._daemon.start()
        try:
            self._play_until(lambda status: bool(status["game_in_front"] and status["ticks"]["running"]), _START_S)
            self._daemon.ask("watch")
            self.at_start = self.counts()
            self._play_until(lambda status: bool(status["learn"]["updates"] > 0), _LEARN_S)
        except BaseException:
            self._daemon.quit()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._daemon.quit()

    def status(self) -> dict[str, Any]:
        """The daemon's status. Raises DaemonUnreachable."""
        return self._daemon.status()

    def counts(self) -> TickCounts:
        """What its tick loop counted so far. Raises DaemonUnreachable."""
        ticks = self.status()["ticks"]
        return TickCounts(ticks["frames"], ticks["pacer"]["missed"], ticks["lost_frames"], ticks["late_frames"])

    def rss_mb(self) -> float:
        """Resident memory of the daemon's own process, MB (2^20 bytes)."""
        return float(self._daemon.process.memory_info().rss) / 2**20

    def cpu_s(self) -> float:
        """Processor time of the daemon's own process so far."""
        times = self._daemon.process.cpu_times()
        return float(times.user + times.system)

    def _play_until(self, is_so: Check, timeout_s: float) -> None:
        """Let the player play until the daemon's status fits."""
        self._daemon.wait(is_so, timeout_s, lambda: self._scene.play(0.2))

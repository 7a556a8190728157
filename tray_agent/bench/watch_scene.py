"""The stage of `bench watch`: a real game in a desktop of its own, a player with real devices, and the daemon.

The game runs in a Xephyr, so that what is pressed on the display around it comes from a keyboard, not from a program.
Owns all processes it starts; the caller's thread.
"""

import contextlib
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
from Xlib import X
from Xlib.display import Display
from Xlib.ext import xtest

from tray_agent.bench.displays import Displays, find_program, wait_until
from tray_agent.bench.frame_counter import FrameCounter
from tray_agent.core.events import WindowInfo
from tray_agent.core.keys import EVDEV
from tray_agent.daemon.control import SOCKET_NAME, request
from tray_agent.errors import DaemonUnreachable, PlatformUnavailable, WorkerFailed
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.window import X11WindowProbe

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
_X_OFFSET = 8  # X keycode of an evdev code
_START_S = 40.0
_LEARN_S = 120.0
_QUIT_S = 40.0


class DoomScene:
    """Owns the displays, the game and its player."""

    def __init__(self, folder: Path) -> None:
        """Store.

        Args:
            folder: home of the game, and the programs' log.
        """
        self.folder = folder
        self.displays = Displays(folder / "programs.log")
        self.display = ""
        self._counter: FrameCounter | None = None
        self._hands: RandomHands | None = None

    def start(self) -> None:
        """Start all of it and wait until the game is in front.

        Raises:
            PlatformUnavailable: a program or the game's data are missing.
            WorkerFailed: one did not start.
        """
        find_program(_DOOM[0])
        if not _IWAD.exists():
            raise PlatformUnavailable(f"{_IWAD} is missing", "Install it (Debian: apt install freedoom)")
        outer = self.displays.xvfb(*_SCREEN)
        self.display = self.displays.xephyr(outer, *_SCREEN)
        self.displays.window_manager(self.display)
        home = {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "SDL_AUDIODRIVER": "dummy"}
        self._game = self.displays.run(_DOOM, self.display, home)
        self._counter = FrameCounter(self.display, self._await_window().handle)
        self._counter.start()
        self._hands = RandomHands(outer)
        self._hands.start()

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
        for part in (self._hands, self._counter):
            if part is not None:
                part.close()
        self.displays.close()

    def _await_window(self) -> WindowInfo:
        seen: list[WindowInfo] = []
        probe = X11WindowProbe(self.display)
        probe.start()

        def is_there() -> bool:
            found = probe.active()
            seen[:] = [found] if found is not None and found.process == _DOOM[0] else []
            return bool(seen)

        try:
            wait_until(is_there, _START_S, "the game's window")
        finally:
            probe.close()
        return seen[0]


class RandomHands:
    """A player: holds one or two keys at a time, each for a while, as a person does who wanders about."""

    def __init__(self, outer: str) -> None:
        """Store.

        Args:
            outer: the display whose XTest device is the game's keyboard.
        """
        self._name = outer
        self._random = random.Random(1)  # noqa: S311 - the same walk each time
        self._display: Display | None = None
        self._down: list[str] = []
        self._next = 0.0

    def start(self) -> None:
        """Connect, and put the pointer where the game is. Raises PlatformUnavailable."""
        self._display = connection.open_display(self._name)
        xtest.fake_input(self._display, X.MotionNotify, x=_SCREEN[0] // 2, y=_SCREEN[1] // 2)
        self._display.sync()

    def until_next_s(self) -> float:
        """Time until `step()` has something to do."""
        return max(0.0, self._next - time.monotonic())

    def step(self) -> None:
        """Change what is held, if it is time."""
        if self.until_next_s() > 0:
            return
        self._press(self._down, down=False)
        self._down = self._random.sample(KEYS, self._random.choice((1, 1, 2)))
        self._press(self._down, down=True)
        self._next = time.monotonic() + self._random.uniform(0.1, 0.9)

    def close(self) -> None:
        """Disconnect; idempotent. What is held goes with the display."""
        display, self._display = self._display, None
        if display is not None:
            display.display.socket.close()  # after Ctrl+C in a request, python-xlib's own close waits for ever

    def _press(self, names: list[str], *, down: bool) -> None:
        assert self._display is not None  # noqa: S101 - start() opened it
        for name in names:
            xtest.fake_input(self._display, X.KeyPress if down else X.KeyRelease, EVDEV[name] + _X_OFFSET)
        self._display.sync()


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
        self._home = home
        self._profile = _PROFILE.format(keys=", ".join(KEYS), rate_hz=rate_hz, audio=str(audio).lower())
        self._socket = home / "run" / SOCKET_NAME
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        (self._home / "config").mkdir(parents=True, exist_ok=True)
        (self._home / "config" / "games.yaml").write_text(self._profile)
        command = [sys.executable, "-m", "tray_agent", "run", "--no-tray", "--game", "doom"]
        self._daemon = self._scene.displays.run(command, self._scene.display, {"TRAY_AGENT_HOME": str(self._home)})
        self._process = psutil.Process(self._daemon.pid)
        try:
            self._play_until(lambda status: bool(status["game_in_front"] and status["ticks"]["running"]), _START_S)
            self._ask("watch")
            self.at_start = self.counts()
            self._play_until(lambda status: status["learn"]["updates"] > 0, _LEARN_S)
        except BaseException:
            self._quit()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._quit()

    def status(self) -> dict[str, Any]:
        """The daemon's status. Raises DaemonUnreachable."""
        found: dict[str, Any] = self._ask("status")["status"]
        return found

    def counts(self) -> TickCounts:
        """What its tick loop counted so far. Raises DaemonUnreachable."""
        ticks = self.status()["ticks"]
        return TickCounts(ticks["frames"], ticks["pacer"]["missed"], ticks["lost_frames"], ticks["late_frames"])

    def rss_mb(self) -> float:
        """Resident memory of the daemon's own process, MB (2^20 bytes)."""
        return float(self._process.memory_info().rss) / 2**20

    def cpu_s(self) -> float:
        """Processor time of the daemon's own process so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def _ask(self, op: str) -> dict[str, Any]:
        answer = request(self._socket, {"op": op})
        if not answer["ok"]:
            raise WorkerFailed(f"the daemon refused {op!r}: {answer['error']}")
        return answer

    def _play_until(self, is_so: Any, timeout_s: float) -> None:
        """Let the player play until the daemon's status fits."""
        deadline = time.monotonic() + timeout_s
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            self._scene.play(0.2)
            with contextlib.suppress(DaemonUnreachable):
                status = self.status()
                if is_so(status):
                    return
            if self._daemon is not None and self._daemon.poll() is not None:
                break
        raise WorkerFailed(f"the daemon did not get so far: {status}\n{self._scene.displays.last_words()}")

    def _quit(self) -> None:
        """End the daemon and see to it that its children have ended as well."""
        if self._daemon is None:
            return
        with contextlib.suppress(psutil.Error):
            family = self._process.children(recursive=True)
            with contextlib.suppress(DaemonUnreachable):
                request(self._socket, {"op": "quit"})
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._daemon.wait(_QUIT_S)
            for late in psutil.wait_procs(family, _QUIT_S)[1]:
                late.kill()

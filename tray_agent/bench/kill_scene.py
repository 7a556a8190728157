"""The stage of `bench kill`: an X server of its own, a player who presses through XTest, and an onlooker.

Nothing outside is touched: the X server is started here, on a number it chooses itself, and ended here.
"""

import os
import select
import shutil
import subprocess
import sys
import time
from typing import IO

from Xlib import X
from Xlib.ext import xtest

from tray_agent.core.events import Command
from tray_agent.core.keys import EVDEV
from tray_agent.errors import PlatformUnavailable, WorkerFailed
from tray_agent.guard.protocol import Hello
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.inputs import X11InputSource

HOTKEYS = {"kill": ("ControlLeft", "AltLeft", "KeyK"), "play": ("ControlLeft", "AltLeft", "KeyP")}
KEYS = ("KeyW", "ArrowLeft", "Space")
HOLD = Command(frozenset(KEYS))
_START_S = 20.0
_WAIT_S = 5.0


class Scene:
    """Owns the X server and two connections to it. Used by one thread."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self.name = ""
        self._onlooker: X11InputSource | None = None
        self._down: set[str] = set()

    def start(self) -> None:
        """Start the server and connect.

        Raises:
            PlatformUnavailable: no Xvfb, or it did not come up.
        """
        if shutil.which("Xvfb") is None:
            raise PlatformUnavailable("Xvfb is not installed", "Install it (Debian: apt install xvfb)")
        told, tells = os.pipe()
        command = ["Xvfb", "-screen", "0", "640x480x24", "-nolisten", "tcp", "-noreset", "-displayfd", str(tells)]
        self._server = subprocess.Popen(command, pass_fds=[tells], stderr=subprocess.DEVNULL)
        os.close(tells)
        with os.fdopen(told, "rb", buffering=0) as pipe:
            self.name = f":{_line(pipe, _START_S, 'Xvfb')}"
        self._player = connection.open_display(self.name)
        self._onlooker = X11InputSource(self.name)
        self._onlooker.start()

    def hello(self, lease_ms: int) -> Hello:
        """How a guard is started here."""
        return Hello("x11", HOTKEYS, {"display_name": self.name}, lease_ms)

    def press(self, *names: str, down: bool = True) -> int:
        """The player presses (or releases) keys; when the first was sent, monotonic ns."""
        at = time.monotonic_ns()
        for name in names:
            xtest.fake_input(self._player, X.KeyPress if down else X.KeyRelease, EVDEV[name] + 8)
        self._player.sync()
        return at

    def await_down(self) -> int:
        """Wait until the server has all of the agent's keys down; when, monotonic ns. Raises WorkerFailed."""
        return self._await(set(KEYS))

    def await_up(self) -> int:
        """Wait until the server has none of the agent's keys down; when, monotonic ns. Raises WorkerFailed."""
        return self._await(set())

    def _await(self, wanted: set[str]) -> int:
        deadline = time.monotonic() + _WAIT_S
        while self._down != wanted:
            if time.monotonic() > deadline or self._onlooker is None:
                raise WorkerFailed(f"keys down after {_WAIT_S:.0f} s: {sorted(self._down)}, not {sorted(wanted)}")
            for event in self._onlooker.read(0.2):
                if event.control in KEYS:
                    (self._down.add if event.value else self._down.discard)(event.control)
        return time.monotonic_ns()

    def keys_down(self) -> int:
        """How many keys the server has down, all devices together."""
        return sum(byte.bit_count() for byte in self._player.query_keymap())

    def close(self) -> None:
        """End the server; idempotent."""
        if self._onlooker is not None:
            self._onlooker.close()
            connection.close(self._player)
            self._onlooker = None
        if self._server is not None:
            self._server.terminate()
            self._server.wait(5.0)
            self._server = None


class Child:
    """A child process of ours that says a word when it is ready."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._module = module

    def await_word(self, timeout_s: float) -> str:
        """The next line it says. Raises WorkerFailed when none comes."""
        assert self._process.stdout is not None  # noqa: S101 - opened above
        return _line(self._process.stdout, timeout_s, self._module)

    def ask(self, timeout_s: float) -> str:
        """Send it an empty line; its answer. Raises WorkerFailed."""
        assert self._process.stdin is not None  # noqa: S101 - opened above
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self.await_word(timeout_s)

    def signal(self, number: int) -> int:
        """Send a signal; when, monotonic ns."""
        at = time.monotonic_ns()
        self._process.send_signal(number)
        return at

    def close(self) -> None:
        """End it; idempotent."""
        self._process.kill()
        self._process.communicate()


def _line(stream: IO[bytes], timeout_s: float, who: str) -> str:
    deadline = time.monotonic() + timeout_s
    text = b""
    while not text.endswith(b"\n"):
        ready = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]
        chunk = os.read(stream.fileno(), 1) if ready else b""
        if not chunk:
            raise WorkerFailed(f"{who} said nothing for {timeout_s:.0f} s, or ended")
        text += chunk
    return text.decode().strip()

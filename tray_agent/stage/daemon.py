"""The real daemon on a display of ours, in a home of its own; talked with through its control socket."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tray_agent.daemon.control import SOCKET_NAME, request
from tray_agent.errors import DaemonUnreachable, WorkerFailed
from tray_agent.stage.displays import Displays

_QUIT_S = 40.0
Check = Callable[[dict[str, Any]], bool]
"""Whether a status is the one that is waited for."""


class StagedDaemon:
    """`tray-agent run` as a child. `start()`, then requests, `quit()`. Used by one thread."""

    def __init__(self, displays: Displays, display: str, home: Path, game: str) -> None:
        """Store.

        Args:
            displays: starts it, and ends it at the latest.
            display: name of the display it sees.
            home: folder for everything it keeps.
            game: the one game it cares for.
        """
        self._displays = displays
        self._display = display
        self._home = home
        self._game = game
        self._socket = home / "run" / SOCKET_NAME
        self._child: subprocess.Popen[bytes] | None = None
        self._process = psutil.Process()

    @property
    def process(self) -> psutil.Process:
        """Its own process. Call `start()` before."""
        return self._process

    def configure(self, name: str, text: str) -> None:
        """Write a file of its settings, "games.yaml" for instance."""
        folder = self._home / "config"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")

    def start(self) -> None:
        """Start it; it answers a moment later."""
        command = [sys.executable, "-m", "tray_agent", "run", "--no-tray", "--game", self._game]
        self._child = self._displays.run(command, self._display, {"TRAY_AGENT_HOME": str(self._home)})
        self._process = psutil.Process(self._child.pid)

    def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        """One request.

        Raises:
            WorkerFailed: it refused; the reason is the message.
            DaemonUnreachable: it does not answer.
        """
        answer = request(self._socket, {"op": op, **arguments})
        if not answer["ok"]:
            raise WorkerFailed(f"the daemon refused {op!r}: {answer['error']}")
        return answer

    def status(self) -> dict[str, Any]:
        """Its status. Raises DaemonUnreachable."""
        found: dict[str, Any] = self.ask("status")["status"]
        return found

    def wait(self, is_so: Check, timeout_s: float, meanwhile: Callable[[], object]) -> dict[str, Any]:
        """The status, once it fits.

        Args:
            is_so: tells of a status whether it does.
            timeout_s: after which it should.
            meanwhile: called again and again; takes its time.

        Raises:
            WorkerFailed: it does not fit by then, or the daemon has ended.
        """
        deadline = time.monotonic() + timeout_s
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            meanwhile()
            with contextlib.suppress(DaemonUnreachable):
                status = self.status()
                if is_so(status):
                    return status
            if self._child is not None and self._child.poll() is not None:
                break
        raise WorkerFailed(f"the daemon did not get so far: {status}\n{self._displays.last_words()}")

    def quit(self) -> None:
        """End it and see to it that its children have ended as well; idempotent."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(psutil.Error):
            family = self._process.children(recursive=True)
            with contextlib.suppress(DaemonUnreachable):
                request(self._socket, {"op": "quit"})
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_QUIT_S)
            for late in psutil.wait_procs(family, _QUIT_S)[1]:
                late.kill()

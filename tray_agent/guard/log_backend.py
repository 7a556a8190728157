"""Output mode "log": writes what would be pressed, presses nothing (standard library only).

Hotkeys and takeover work as in earnest when another backend is given to hear through; that one is never asked to
press. Runs in the guard's thread.
"""

import contextlib
import json
import os
from pathlib import Path

from tray_agent.core.clock import MonotonicClock
from tray_agent.core.events import Command, WindowInfo
from tray_agent.core.guard_port import BackendReport, GuardBackend, Heard
from tray_agent.errors import PlatformUnavailable
from tray_agent.runtime import pipes


class LogBackend:
    """One JSON object a line: t_ns, held, relative, axes.

    Args:
        path: appended to; made with mode 0600.
        hearing: hears the player and the hotkeys; None: nobody does.
    """

    def __init__(self, path: str, hearing: GuardBackend | None = None) -> None:
        self._path = Path(path)
        self._hearing = hearing
        self._fd: int | None = None
        self._last = Command()

    def start(self, hotkeys: dict[str, tuple[str, ...]]) -> BackendReport:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise PlatformUnavailable(
                f"can't write the command log {self._path}: {error.strerror}", "Choose another folder for it"
            ) from error
        if self._hearing is None:
            return BackendReport(False, "output mode log without a desktop to listen to", presses=False)
        heard = self._hearing.start(hotkeys)
        return BackendReport(heard.hears_player, heard.why_deaf, heard.hotkey_problems, presses=False)

    def wait(self, command_fd: int, timeout_s: float) -> Heard:
        if self._hearing is not None:
            return self._hearing.wait(command_fd, timeout_s)
        return Heard(commands_ready=pipes.wait_readable(None, command_fd, timeout_s)[1])

    def active(self) -> WindowInfo | None:
        return None if self._hearing is None else self._hearing.active()

    def apply(self, command: Command) -> None:
        self._last = command
        self._write(command)

    def _write(self, command: Command) -> None:
        if self._fd is None:
            raise OSError("the command log is closed")
        line = {
            "t_ns": MonotonicClock().now_ns(),
            "held": sorted(command.held),
            "relative": dict(command.relative),
            "axes": dict(command.axes),
        }
        os.write(self._fd, json.dumps(line).encode() + b"\n")

    def release_all(self) -> tuple[str, ...]:
        axes = {name for name, value in self._last.axes.items() if value != 0.0}
        names = tuple(sorted(self._last.held | axes))
        self._last = Command()
        if names:
            with contextlib.suppress(OSError):
                self._write(Command())
        return names

    def release_leftovers(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        self.release_all()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        if self._hearing is not None:
            self._hearing.close()

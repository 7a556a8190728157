"""The guard's hands and ears in a packaged game's process (standard library only; used by the guard's one thread)."""

import contextlib
from pathlib import Path

from tray_agent.core.events import Command, InputEvent, WindowInfo
from tray_agent.core.guard_port import BackendReport, Heard
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.env.messages import from_command, hello, to_event, to_window
from tray_agent.runtime import pipes
from tray_agent.runtime.local_socket import Connection

_HELLO_S = 5.0


class EnvGuardBackend:
    """GuardBackend over the game's socket. Only one at a time may press; the game releases when it goes away."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._connection: Connection | None = None
        self._held: frozenset[str] = frozenset()
        self._axes: frozenset[str] = frozenset()
        self._window: WindowInfo | None = None
        self._lost = ""

    def start(self, hotkeys: dict[str, tuple[str, ...]]) -> BackendReport:  # noqa: ARG002 - no other program is there to take them
        try:
            self._connection = hello(self._path, "press", ("input", "window"))
            first = self._connection.receive(_HELLO_S)
        except OSError as error:
            raise PlatformUnavailable(
                f"the game's process does not answer at {self._path}: {error}", "Start the game first"
            ) from error
        if first is None or first.get("type") != "window":
            why = first.get("why", "an unexpected answer") if first else "no answer within 5 s"
            self._drop(str(why))
            raise PlatformUnavailable(f"the game at {self._path} lets nobody press: {why}", "Stop the other guard")
        self._window = to_window(first)
        return BackendReport(hears_player=True)

    def wait(self, command_fd: int, timeout_s: float) -> Heard:
        connection = self._connection
        if connection is None:
            return Heard(lost=self._lost or "not connected to the game")
        if connection.has_buffered():
            timeout_s = 0.0
        _, commands_ready = pipes.wait_readable(connection.fileno(), command_fd, timeout_s)
        events, focus_changed = self._drain(connection)
        return Heard(tuple(events), focus_changed, self._lost, commands_ready)

    def _drain(self, connection: Connection) -> tuple[list[InputEvent], bool]:
        events: list[InputEvent] = []
        focus_changed = False
        try:
            while (message := connection.receive(0.0)) is not None:
                if message.get("type") == "input":
                    events.append(to_event(message))
                elif message.get("type") == "window":
                    self._window = to_window(message)
                    focus_changed = True
        except (OSError, KeyError, TypeError, ValueError) as error:
            self._drop(f"the game's process is gone: {error}")
            focus_changed = True
        return events, focus_changed

    def active(self) -> WindowInfo | None:
        return self._window

    def apply(self, command: Command) -> None:
        if self._connection is None:
            raise ConnectionError(self._lost or "not connected to the game")
        self._held = command.held
        self._axes |= frozenset(command.axes)
        self._connection.send(from_command(command))

    def release_all(self) -> tuple[str, ...]:
        released = tuple(sorted(self._held))
        self._held = frozenset()
        # without a connection nothing is down: the game releases when its press client is gone
        with contextlib.suppress(OSError):
            if self._connection is not None:
                self._connection.send(from_command(Command(axes=dict.fromkeys(self._axes, 0.0))))
        return released

    def release_leftovers(self) -> tuple[str, ...]:
        # the game lets go by itself the moment a guard's connection breaks
        return ()

    def close(self) -> None:
        self.release_all()
        self._drop("closed")

    def _drop(self, why: str) -> None:
        self._lost = self._lost or why
        self._window = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

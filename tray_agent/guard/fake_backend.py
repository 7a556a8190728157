"""A deterministic guard backend without a platform (standard library only). Runs in the guard's thread.

In memory it is scripted by the test that made it. With a `socket_path` it can be used by a guard *process*: the
other end of that local socket plays the platform, sends what the player does and is told what is pressed.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.events import Command, InputEvent, WindowInfo
from tray_agent.core.guard_port import BackendReport, Heard
from tray_agent.errors import PlatformUnavailable
from tray_agent.runtime import pipes
from tray_agent.runtime.local_socket import Connection, connect


class FakeBackend:
    """Presses into `down`, hears what was put into `script`.

    Args:
        socket_path: where the platform's part listens; None: in memory only.
        clock: with one that is moved by `sleep_until` (ManualClock), waits without an event take no real time.
        report: what `start` finds.
    """

    def __init__(
        self,
        socket_path: str | None = None,
        clock: Clock | None = None,
        report: BackendReport | None = None,
        commands_ready: Callable[[], bool] | None = None,
    ) -> None:
        self.script: deque[Heard] = deque()
        self.window: WindowInfo | None = None
        self.down: frozenset[str] = frozenset()
        self.axes: dict[str, float] = {}
        self.moved: dict[str, float] = {}
        self.broken = False
        self._socket_path = socket_path
        self._clock: Clock = clock or MonotonicClock()
        self._report = report or BackendReport(hears_player=True)
        self._commands_ready = commands_ready
        self._connection: Connection | None = None

    def start(self, hotkeys: dict[str, tuple[str, ...]]) -> BackendReport:
        if self._socket_path is not None:
            try:
                self._connection = connect(Path(self._socket_path))
            except OSError as error:
                raise PlatformUnavailable(f"no fake platform at {self._socket_path}: {error}") from error
        self._tell({"hotkeys": hotkeys})
        return self._report

    def wait(self, command_fd: int, timeout_s: float) -> Heard:
        if self._connection is not None:
            return self._wait_for_real(self._connection, command_fd, timeout_s)
        if self.script:
            return self.script.popleft()
        ready = self._commands_ready is not None and self._commands_ready()
        if not ready:
            self._clock.sleep_until(self._clock.now_ns() + int(timeout_s * 1e9))
        return Heard(commands_ready=ready)

    def _wait_for_real(self, connection: Connection, command_fd: int, timeout_s: float) -> Heard:
        timeout_s = 0.0 if connection.has_buffered() else timeout_s
        _, commands_ready = pipes.wait_readable(connection.fileno(), command_fd, timeout_s)
        try:
            message = connection.receive(0.0)
        except ConnectionError as error:
            return Heard(lost=f"fake platform is gone: {error}", commands_ready=commands_ready)
        if message is None:
            return Heard(commands_ready=commands_ready)
        if "active" in message:
            self.window = _window(message["active"])
        return Heard(
            events=tuple(self._event(event) for event in message.get("events", ())),
            focus_changed="active" in message,
            lost=str(message.get("lost", "")),
            commands_ready=commands_ready,
        )

    def _event(self, fields: Mapping[str, object]) -> InputEvent:
        return InputEvent(**{"t_ns": self._clock.now_ns(), "kind": "button", **fields})  # type: ignore[arg-type]

    def active(self) -> WindowInfo | None:
        return self.window

    def apply(self, command: Command) -> None:
        if self.broken:
            raise OSError("the fake platform was broken by its test")
        self.down = command.held
        self.axes = dict(command.axes)
        for name, value in command.relative.items():
            self.moved[name] = self.moved.get(name, 0.0) + value
        self._tell({"command": {**asdict(command), "held": sorted(command.held)}})

    def release_all(self) -> tuple[str, ...]:
        released = tuple(sorted(self.down | {name for name, value in self.axes.items() if value != 0.0}))
        self.down, self.axes = frozenset(), {}
        self._tell({"released": released})
        return released

    def release_leftovers(self) -> tuple[str, ...]:
        self._tell({"leftovers": True})
        if self._connection is None:
            return ()
        with contextlib.suppress(ConnectionError):
            while (answer := self._connection.receive(5.0)) is not None:
                if "leftovers" in answer:
                    return tuple(answer["leftovers"])
        return ()

    def _tell(self, message: dict[str, object]) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.send({"t_ns": self._clock.now_ns(), **message})

    def close(self) -> None:
        self.release_all()
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _window(fields: Mapping[str, Any] | None) -> WindowInfo | None:
    return None if fields is None else WindowInfo(**{**fields, "rect": tuple(fields["rect"])})

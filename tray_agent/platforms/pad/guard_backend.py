"""A guard's hands and ears with pads: another backend, a virtual pad, and a reader of the player's pads.

Used by the guard's one thread; the pads' reader adds a thread of its own, which only queues events and rings a bell.
Standard library only; vgamepad is loaded by `start`, when pressing is asked for.
"""

import contextlib
import os
import select
import sys
import time
from collections import deque
from dataclasses import replace

from tray_agent.core import keys
from tray_agent.core.events import Command, InputEvent, WindowInfo
from tray_agent.core.guard_port import BackendReport, GuardBackend, Heard
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.pad.press import VirtualPad
from tray_agent.platforms.pad.read import COMMAND, PadSource
from tray_agent.runtime import pipes

_START_S = 5.0
_READERS_KNOW_OURS = sys.platform == "linux"


class WithPadBackend:
    """GuardBackend: `inner` for keyboard and mouse, a virtual pad for pad controls, and takeover by real pads.

    Args:
        inner: not started; owned from now on.
        press: whether to plug a virtual pad in; without it pads are only heard.
        command: program that reads pads.
        hand: what presses; None makes the virtual pad.
    """

    def __init__(
        self,
        inner: GuardBackend,
        press: bool = True,
        command: tuple[str, ...] = COMMAND,
        hand: VirtualPad | None = None,
    ) -> None:
        self._inner = inner
        self._press = press
        self._hand = hand or VirtualPad()
        self._bell = _Bell()
        self._events: deque[InputEvent] = deque()
        self._ears = PadSource(command, self._hear, _START_S)
        self._echoes = None if _READERS_KNOW_OURS else Echoes()

    def start(self, hotkeys: dict[str, tuple[str, ...]]) -> BackendReport:
        """See the port. What is wrong with pads is in the report's `no_pad`; the rest works all the same."""
        report = self._inner.start(hotkeys)
        self._bell.start()
        return replace(report, no_pad=self._start_pads())

    def _start_pads(self) -> str:
        try:
            self._ears.start()
            if self._press:
                self._hand.start()
        except PlatformUnavailable as error:
            return str(error)
        return "" if self._press else "the guard was started without a virtual pad"

    def _hear(self, event: InputEvent) -> None:
        self._events.append(event)
        self._bell.ring()

    def wait(self, command_fd: int, timeout_s: float) -> Heard:
        """See the port. Never raises."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = 0.0 if self._events else max(0.0, deadline - time.monotonic())
            heard = self._bell.wait(self._inner, command_fd, left)
            pads = tuple(self._take())
            if pads or heard != Heard() or left <= 0:
                return replace(heard, events=heard.events + pads)

    def _take(self) -> list[InputEvent]:
        events = [self._events.popleft() for _ in range(len(self._events))]
        if self._echoes is None:
            return events
        return [replace(event, own=self._echoes.is_own(event)) for event in events]

    def active(self) -> WindowInfo | None:
        return self._inner.active()

    def apply(self, command: Command) -> None:
        """See the port. Raises OSError."""
        pad = Command(command.held & keys.PAD, {}, command.axes)
        self._inner.apply(Command(command.held - keys.PAD, command.relative))
        if self._hand.plugged_in:
            if self._echoes is not None:
                self._echoes.told(pad)
            self._hand.apply(pad)
        elif pad.held or pad.axes:
            raise OSError("no virtual pad is plugged in")

    def release_all(self) -> tuple[str, ...]:
        released = self._inner.release_all() + self._hand.release_all()
        if self._echoes is not None:
            self._echoes.told(Command(axes=dict.fromkeys(keys.AXES, 0.0)))
        return released

    def release_leftovers(self) -> tuple[str, ...]:
        # a virtual pad is unplugged by the system when its process dies
        return self._inner.release_leftovers()

    def close(self) -> None:
        self.release_all()
        for part in (self._inner, self._hand, self._ears, self._bell):
            with contextlib.suppress(Exception):
                part.close()


class Echoes:
    """What our pad was told, for systems where readers can't know it by its GUID. Used by one thread.

    An event is ours when it says what our pad holds, or held a moment ago. So a player who presses the very button that
    the agent is holding goes unnoticed until they touch anything else.
    """

    _KEEP_S = 0.5
    _CLOSE = 0.02

    def __init__(self) -> None:
        self._told: dict[str, deque[tuple[float, float]]] = {name: deque([(0.0, 0.0)]) for name in keys.PAD}

    def told(self, command: Command) -> None:
        """Take what the pad holds from now on."""
        now = time.monotonic()
        for name in keys.PAD:
            entries = self._told[name]
            value = float(name in command.held) if name in keys.BUTTONS else command.axes.get(name, entries[-1][1])
            if value != entries[-1][1]:
                entries.append((now, value))
            # an entry holds until the next one begins
            while len(entries) > 1 and now - entries[1][0] > self._KEEP_S:
                entries.popleft()

    def is_own(self, event: InputEvent) -> bool:
        """Whether this is our pad's doing."""
        now = time.monotonic()
        entries = list(self._told.get(event.control, ()))
        ends = [begin for begin, _ in entries[1:]] + [now]
        recent = [value for (_, value), end in zip(entries, ends, strict=True) if now - end <= self._KEEP_S]
        return any(abs(event.value - value) <= self._CLOSE for value in recent)


if sys.platform == "linux":

    class _Bell:
        """One descriptor for the inner backend to wait for: the command pipe, or a touched pad."""

        def __init__(self) -> None:
            self._event = self._command = -1
            self._epoll: select.epoll | None = None

        def start(self) -> None:
            self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._epoll = select.epoll()
            self._epoll.register(self._event, select.EPOLLIN)

        def ring(self) -> None:
            """End the wait. Any thread."""
            with contextlib.suppress(OSError):
                os.eventfd_write(self._event, 1)

        def wait(self, inner: GuardBackend, command_fd: int, timeout_s: float) -> Heard:
            """The inner backend's wait, ended by the bell too."""
            if self._epoll is None:
                return inner.wait(command_fd, timeout_s)
            if command_fd != self._command:
                self._epoll.register(command_fd, select.EPOLLIN)
                self._command = command_fd
            heard = inner.wait(self._epoll.fileno(), timeout_s)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._event)
            return replace(heard, commands_ready=heard.commands_ready and pipes.is_readable(command_fd))

        def close(self) -> None:
            if self._epoll is not None:
                self._epoll.close()
                os.close(self._event)
                self._epoll, self._event = None, -1

else:

    class _Bell:
        """Without a descriptor that both can be waited for by, the inner backend waits in short slices."""

        def start(self) -> None: ...

        def ring(self) -> None: ...

        def wait(self, inner: GuardBackend, command_fd: int, timeout_s: float) -> Heard:
            """The inner backend's wait, at most one slice of it."""
            return inner.wait(command_fd, min(timeout_s, pipes.POLL_S))

        def close(self) -> None: ...

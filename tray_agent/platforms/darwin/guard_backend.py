"""Hands and ears of the guard on macOS through pynput (never run on a Mac).

The guard's thread presses and waits; pynput's threads wake it through a pipe of our own. macOS lets no program
reserve a hotkey without its private calls, so a clash goes unnoticed. A changed focus is not told either: the guard
asks `active()` every so often while it plays.
"""

import contextlib
import os
import select
import threading
import time
from collections import deque
from typing import Any

from tray_agent.core import keys
from tray_agent.core.clock import Clock
from tray_agent.core.events import Command, EventKind, InputEvent, WindowInfo
from tray_agent.core.guard_port import NO_PAD, BackendReport, Heard
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.darwin.keycodes import BUTTONS, KEYCODES
from tray_agent.platforms.darwin.taps import EventTaps, load_pynput
from tray_agent.platforms.darwin.window import DarwinWindowProbe
from tray_agent.runtime import pipes

_REMEMBER_S = 0.5
PRESSABLE = (frozenset(KEYCODES) | frozenset(BUTTONS.values())) - keys.FORBIDDEN
"""Buttons that this backend can press."""


class SentLog:
    """What was sent a moment ago, for telling own events from other programs'. Locked: two threads use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buttons: deque[tuple[float, str, float]] = deque()
        self._moved_at = -_REMEMBER_S

    def sent(self, control: str, value: float) -> None:
        with self._lock:
            if control in keys.RELATIVE:
                self._moved_at = time.perf_counter()
            else:
                self._buttons.append((time.perf_counter(), control, value))

    def is_own(self, kind: EventKind, control: str, value: float) -> bool:
        """Whether an injected change is ours; a button's record is used up by that."""
        now = time.perf_counter()
        with self._lock:
            if kind == "relative":
                return now - self._moved_at < _REMEMBER_S
            while self._buttons and now - self._buttons[0][0] > _REMEMBER_S:
                self._buttons.popleft()
            found = next((entry for entry in self._buttons if entry[1:] == (control, value)), None)
            if found is not None:
                self._buttons.remove(found)
            return found is not None


class DarwinGuardBackend:
    """GuardBackend port.

    Args:
        third_party: "player" or "ignore": what presses of other programs count as.
    """

    def __init__(self, clock: Clock | None = None, third_party: str = "player") -> None:
        ignore = third_party == "ignore"
        self._log = SentLog()
        self._events: deque[InputEvent] = deque()
        self._taps = EventTaps(self._deliver, self._log.is_own, injected_is_own=ignore, clock=clock)
        self._probe = DarwinWindowProbe()
        self._pipe: tuple[int, int] | None = None
        self._keyboard: Any = None
        self._mouse: Any = None
        self._modules: tuple[Any, Any] | None = None
        self._held: set[str] = set()

    def start(self, hotkeys: dict[str, tuple[str, ...]]) -> BackendReport:  # noqa: ARG002  # none can be reserved
        """Connect. Raises PlatformUnavailable."""
        self._connect()
        self._probe.start()
        self._pipe = os.pipe()
        pipes.never_block_reading(self._pipe[0])
        pipes.never_block_writing(self._pipe[1])
        try:
            why_deaf = self._taps.start()
        except PlatformUnavailable:
            self.close()
            raise
        return BackendReport(hears_player=not why_deaf, why_deaf=why_deaf, no_pad=NO_PAD)

    def _connect(self) -> None:
        if self._modules is None:
            keyboard, mouse = load_pynput()
            self._keyboard, self._mouse = keyboard.Controller(), mouse.Controller()
            self._modules = keyboard, mouse

    def _deliver(self, event: InputEvent) -> None:
        self._events.append(event)
        if self._pipe is not None:
            with contextlib.suppress(OSError):  # a full pipe wakes as well
                os.write(self._pipe[1], b".")

    def wait(self, command_fd: int, timeout_s: float) -> Heard:
        """See the port."""
        if self._pipe is None:
            return Heard(lost="the macOS backend is not started")
        try:
            ready, _, _ = select.select([command_fd, self._pipe[0]], [], [], 0 if self._events else timeout_s)
        except (OSError, ValueError) as error:
            return Heard(lost=f"waiting failed: {error}")
        if self._pipe[0] in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._pipe[0], 4096)
        events = tuple(self._events.popleft() for _ in range(len(self._events)))
        return Heard(events, commands_ready=command_fd in ready)

    def active(self) -> WindowInfo | None:
        return self._probe.active()

    def apply(self, command: Command) -> None:
        """See the port. Raises OSError."""
        wanted = command.held & PRESSABLE
        for name in sorted(self._held - wanted):
            self._press(name, False)
            self._held.discard(name)
        for name in sorted(wanted - self._held):
            self._held.add(name)
            self._press(name, True)
        self._move(command)

    def _move(self, command: Command) -> None:
        amounts = {name: round(command.relative.get(name, 0.0)) for name in keys.RELATIVE}
        for name in (name for name, amount in amounts.items() if amount):
            self._log.sent(name, amounts[name])
        try:
            if amounts["MouseX"] or amounts["MouseY"]:
                self._mouse.move(amounts["MouseX"], amounts["MouseY"])
            if amounts["WheelX"] or amounts["WheelY"]:
                self._mouse.scroll(amounts["WheelX"], amounts["WheelY"])
        except Exception as error:
            raise OSError(f"macOS did not move the mouse: {error}") from error

    def _press(self, name: str, down: bool) -> None:
        if self._modules is None:
            raise OSError("the macOS backend is not started")
        self._log.sent(name, float(down))
        keyboard, mouse = self._modules
        try:
            if name in KEYCODES:
                key = keyboard.KeyCode.from_vk(KEYCODES[name])
                (self._keyboard.press if down else self._keyboard.release)(key)
            else:
                button = getattr(mouse.Button, next(theirs for theirs, ours in BUTTONS.items() if ours == name))
                (self._mouse.press if down else self._mouse.release)(button)
        except Exception as error:
            raise OSError(f"macOS did not take {name}: {error}") from error

    def release_all(self) -> tuple[str, ...]:
        """See the port; what the player holds, as heard by the taps, is left down."""
        names = tuple(sorted(self._held))
        self._let_go(sorted(self._held - self._taps.down_by_player))
        self._held.clear()
        return names

    def _let_go(self, names: list[str]) -> None:
        for name in names:
            with contextlib.suppress(OSError):
                self._press(name, False)

    def release_leftovers(self) -> tuple[str, ...]:
        """See the port. Releases every key that is down: macOS does not tell who pressed it."""
        try:
            self._connect()
            import Quartz  # type: ignore[import-not-found]  # comes with pynput, on macOS only
        except (ImportError, PlatformUnavailable):
            return ()
        suspects = sorted((PRESSABLE & frozenset(KEYCODES)) - self._taps.down_by_player)
        found = [name for name in suspects if Quartz.CGEventSourceKeyState(0, KEYCODES[name])]
        self._let_go(found)
        return tuple(found)

    def close(self) -> None:
        self.release_all()
        self._taps.close()
        self._probe.close()
        pipe, self._pipe = self._pipe, None
        for end in pipe or ():
            with contextlib.suppress(OSError):
                os.close(end)

"""Presses keys and moves the mouse with SendInput, and remembers what was sent (standard library only).

Owned and called by the guard's single thread.
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping

from tray_agent.core import keys
from tray_agent.platforms.win32 import scancodes, structs
from tray_agent.platforms.win32.api import Api
from tray_agent.platforms.win32.rawinput import Change

TAG = 0x5452_4147
"""`dwExtraInfo` of all we send ("TRAG"): how recorder and guard tell our events from the player's."""

_BUTTON_FLAGS = {
    "MouseLeft": (structs.MOUSEEVENTF_LEFTDOWN, structs.MOUSEEVENTF_LEFTUP, 0),
    "MouseRight": (structs.MOUSEEVENTF_RIGHTDOWN, structs.MOUSEEVENTF_RIGHTUP, 0),
    "MouseMiddle": (structs.MOUSEEVENTF_MIDDLEDOWN, structs.MOUSEEVENTF_MIDDLEUP, 0),
    "MouseBack": (structs.MOUSEEVENTF_XDOWN, structs.MOUSEEVENTF_XUP, structs.XBUTTON1),
    "MouseForward": (structs.MOUSEEVENTF_XDOWN, structs.MOUSEEVENTF_XUP, structs.XBUTTON2),
}
PRESSABLE = (frozenset(scancodes.SCAN_CODES) | frozenset(_BUTTON_FLAGS)) - keys.FORBIDDEN
"""Buttons that this sink can press."""


def button_input(control: str, down: bool) -> structs.INPUT:
    """Event that presses or releases a key or mouse button."""
    if control in _BUTTON_FLAGS:
        press, release, data = _BUTTON_FLAGS[control]
        return _mouse(press if down else release, data=data)
    scan = scancodes.SCAN_CODES[control]
    flags = 0 if down else structs.KEYEVENTF_KEYUP
    # Windows ignores the virtual key where the scan code flag is set; Wine does not find it out by itself.
    key = structs.KEYBDINPUT(wVk=scancodes.VIRTUAL_KEYS[control][0], wScan=scan.code, dwExtraInfo=TAG)
    if control not in scancodes.BY_VIRTUAL_KEY:
        flags |= structs.KEYEVENTF_SCANCODE | (structs.KEYEVENTF_EXTENDEDKEY if scan.extended else 0)
    key.dwFlags = flags
    return structs.INPUT(structs.INPUT_KEYBOARD, structs.INPUTUNION(ki=key))


UNASSIGNED_KEY = 0xE8
"""Virtual key that no keyboard has."""


def unassigned_key_up() -> structs.INPUT:
    """Release of a key that nobody has pressed: means nothing to any program, but can be heard."""
    key = structs.KEYBDINPUT(wVk=UNASSIGNED_KEY, dwFlags=structs.KEYEVENTF_KEYUP, dwExtraInfo=TAG)
    return structs.INPUT(structs.INPUT_KEYBOARD, structs.INPUTUNION(ki=key))


def _mouse(flags: int, dx: int = 0, dy: int = 0, data: int = 0) -> structs.INPUT:
    event = structs.MOUSEINPUT(dx=dx, dy=dy, mouseData=data & 0xFFFF_FFFF, dwFlags=flags, dwExtraInfo=TAG)
    return structs.INPUT(structs.INPUT_MOUSE, structs.INPUTUNION(mi=event))


class MotionEncoder:
    """Relative moves -> events in whole counts; fractions wait for the next tick."""

    def __init__(self) -> None:
        self._left: dict[str, float] = {}

    def encode(self, relative: Mapping[str, float]) -> list[structs.INPUT]:
        """At most one motion and one event for each wheel."""
        dx, dy = self._whole("MouseX", relative), self._whole("MouseY", relative)
        events = [_mouse(structs.MOUSEEVENTF_MOVE, dx, dy)] if dx or dy else []
        for control, flag in (("WheelY", structs.MOUSEEVENTF_WHEEL), ("WheelX", structs.MOUSEEVENTF_HWHEEL)):
            if amount := self._whole(control, relative, structs.WHEEL_DELTA):
                events.append(_mouse(flag, data=amount))
        return events

    def _whole(self, control: str, relative: Mapping[str, float], scale: int = 1) -> int:
        exact = self._left.get(control, 0.0) + relative.get(control, 0.0) * scale
        whole = round(exact)
        self._left[control] = exact - whole
        return whole

    def forget(self) -> None:
        self._left.clear()


class SentLedger:
    """What we sent a moment ago, for telling own events where Windows does not pass our tag on.

    Args:
        ignore_others: count what other programs inject as our own as well, so that it means nothing.
    """

    _KEEP_S = 0.5

    def __init__(self, ignore_others: bool = False) -> None:
        self._ignore_others = ignore_others
        self._buttons: deque[tuple[float, str, float]] = deque()
        self._moved_at = -1.0

    def sent_button(self, control: str, value: float) -> None:
        self._buttons.append((time.perf_counter(), control, value))
        self._forget_old()

    def sent_motion(self) -> None:
        self._moved_at = time.perf_counter()

    def is_own(self, change: Change) -> bool:
        """Tagged, or from no device and just sent by us. Anything else injected counts as the player's."""
        if change.tag == TAG:
            return True
        if change.device != 0:
            return False
        if self._ignore_others:
            return True
        if change.kind == "relative":
            # Windows merges moves, so amounts can't be matched.
            return time.perf_counter() - self._moved_at < self._KEEP_S / 5
        return self._take(change.control, change.value)

    def _take(self, control: str, value: float) -> bool:
        self._forget_old()
        for entry in self._buttons:
            if entry[1:] == (control, value):
                self._buttons.remove(entry)
                return True
        return False

    def _forget_old(self) -> None:
        limit = time.perf_counter() - self._KEEP_S
        while self._buttons and self._buttons[0][0] < limit:
            self._buttons.popleft()


class Win32Sink:
    """Holds what it was told to hold, and nothing else."""

    def __init__(self, api: Api, ledger: SentLedger) -> None:
        self._api = api
        self._ledger = ledger
        self._motion = MotionEncoder()
        self.held: set[str] = set()

    def apply(self, held: frozenset[str], relative: Mapping[str, float]) -> None:
        """Make `held` be down among what this sink pressed, then move.

        Raises OSError: Windows refused; what was held before still counts as held.
        """
        wanted = held & PRESSABLE
        self._change(sorted(self.held - wanted), 0.0)
        self._change(sorted(wanted - self.held), 1.0)
        if moves := self._motion.encode(relative):
            self._ledger.sent_motion()
            self._api.send_input(moves)

    def _change(self, names: list[str], value: float) -> None:
        # Into the table before a press and out of it after a release: dying in between must not hide a held key.
        if value:
            self.held.update(names)
        self._send(names, value)
        if not value:
            self.held.difference_update(names)

    def release_all(self, keep: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """Let go of everything but `keep` (held by the player); returns what was held. Never raises."""
        names = tuple(sorted(self.held))
        self.release(name for name in names if name not in keep)
        self.held.clear()
        self._motion.forget()
        return names

    def release(self, names: Iterable[str]) -> None:
        """Send releases, whether held or not, each by itself so that one refusal can't keep another key down."""
        for name in names:
            try:
                self._send([name], 0.0)
            except OSError:
                continue

    def _send(self, names: list[str], value: float) -> None:
        for name in names:
            self._ledger.sent_button(name, value)
        self._api.send_input([button_input(name, bool(value)) for name in names])

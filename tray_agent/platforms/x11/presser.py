"""Pressing by XTest, and the ledger that tells our own presses from everybody else's. Used by one thread.

XTest keys stay down when the one who pressed them dies, and all XTest clients share one device: that is why there is
a ledger, and why `leftovers` asks the server itself.
"""

import time
from collections import deque
from collections.abc import Iterable

from Xlib import X, error
from Xlib.display import Display
from Xlib.ext import xinput, xtest
from Xlib.protocol import rq

from tray_agent.core.events import Command
from tray_agent.platforms.x11.connection import Keymap
from tray_agent.platforms.x11.raw_events import BUTTON_DOWN, BUTTON_UP, KEY_DOWN, KEY_UP, MOTION, RawEvent

_RAW_OF = {X.KeyPress: KEY_DOWN, X.KeyRelease: KEY_UP, X.ButtonPress: BUTTON_DOWN, X.ButtonRelease: BUTTON_UP}
_WHEEL = {"WheelY": (5, 4), "WheelX": (6, 7)}  # button of a step down or left, button of a step up or right
_EXPECTED_S = 2.0
_FURTHEST = 32_767

Sent = tuple[int, int, float, float]  # raw kind, keycode or button, x, y


class Ledger:
    """What was sent and has not come back yet. The server answers in order, so one that is passed over is dropped."""

    def __init__(self) -> None:
        self._expected: deque[tuple[float, Sent]] = deque()

    def sent(self, entry: Sent) -> None:
        self._expected.append((time.monotonic(), entry))

    def recognise(self, raw: RawEvent) -> bool:
        """Whether a test device's event is the echo of what we sent."""
        x, y = (raw.axes.get(0, 0.0), raw.axes.get(1, 0.0)) if raw.kind == MOTION else (0.0, 0.0)
        wanted: Sent = (raw.kind, 0 if raw.kind == MOTION else raw.detail, x, y)
        oldest = time.monotonic() - _EXPECTED_S
        while self._expected and self._expected[0][0] < oldest:
            self._expected.popleft()
        for place, (_, entry) in enumerate(self._expected):
            if entry == wanted:
                for _ in range(place + 1):
                    self._expected.popleft()
                return True
        return False


class XTestPresser:
    """Holds, releases and moves through XTest. `held` lists what this object has down, in order of pressing."""

    def __init__(self, display: Display, keymap: Keymap, ledger: Ledger) -> None:
        self._display = display
        self._keymap = keymap
        self._ledger = ledger
        self._fraction: dict[str, float] = {}
        self.held: dict[str, tuple[int, int]] = {}  # name -> (release event, keycode or button)

    def apply(self, command: Command) -> None:
        """Releases before presses; names that this keyboard lacks are passed over. Raises OSError-like `LOST`."""
        for name in [name for name in self.held if name not in command.held]:
            self._release(name)
        for name in sorted(command.held):
            if name not in self.held:
                self._press(name)
        self._move(command)
        self._display.flush()

    def release_all(self) -> tuple[str, ...]:
        """Let go of everything held, and send it at once. Raises `LOST`."""
        names = tuple(self.held)
        for name in names:
            self._release(name)
        self._fraction.clear()
        self._display.flush()
        return names

    def _press(self, name: str) -> None:
        button = self._keymap.button(name)
        code = button if button is not None else self._keymap.keycode(name)
        if code is None:
            return
        down, up = (X.KeyPress, X.KeyRelease) if button is None else (X.ButtonPress, X.ButtonRelease)
        self.held[name] = (up, code)
        self.fake(down, code)

    def _release(self, name: str) -> None:
        event, code = self.held.pop(name)
        self.fake(event, code)

    def fake(self, event: int, code: int) -> None:
        """Queue one press or release; it counts as our own when it comes back."""
        self._ledger.sent((_RAW_OF[event], code, 0.0, 0.0))
        xtest.fake_input(self._display, event, code)

    def _move(self, command: Command) -> None:
        x, y = (self._whole(name, command.relative.get(name, 0.0)) for name in ("MouseX", "MouseY"))
        if x or y:
            self._ledger.sent((MOTION, 0, float(x), float(y)))
            xtest.fake_input(self._display, X.MotionNotify, detail=1, x=x, y=y)
        for name, (backward, forward) in _WHEEL.items():
            notches = self._whole(name, command.relative.get(name, 0.0))
            button = forward if notches > 0 else backward
            for _ in range(abs(notches)):
                self.fake(X.ButtonPress, button)
                self.fake(X.ButtonRelease, button)

    def _whole(self, name: str, value: float) -> int:
        """Whole counts to move now; the fraction is kept for the next time."""
        total = self._fraction.get(name, 0.0) + value
        whole = max(-_FURTHEST, min(_FURTHEST, int(total)))
        self._fraction[name] = total - int(total)
        return whole


class QueryDeviceState(rq.ReplyRequest):  # type: ignore[misc]  # python-xlib is untyped
    """XI 1 request that python-xlib lacks: which keys and buttons are down on one device."""

    _request = rq.Struct(
        rq.Card8("opcode"), rq.Opcode(30), rq.RequestLength(), rq.Card8("deviceid"), rq.Pad(3)
    )  # fmt: skip
    _reply = rq.Struct(
        rq.ReplyCode(), rq.Pad(1), rq.Card16("sequence_number"), rq.ReplyLength(),
        rq.Card8("classes"), rq.Pad(23), rq.Binary("state"),
    )  # fmt: skip


def leftovers(display: Display, device_ids: Iterable[int]) -> list[tuple[int, int]]:
    """What is down on the given test devices, as (release event, keycode or button)."""
    found: list[tuple[int, int]] = []
    for number in device_ids:
        keycodes, buttons = _device_state(display, number)
        found += [(X.KeyRelease, code) for code in keycodes] + [(X.ButtonRelease, button) for button in buttons]
    return found


def _device_state(display: Display, deviceid: int) -> tuple[list[int], list[int]]:
    """(keycodes, buttons) that are down on one device."""
    opcode = display.display.get_extension_major(xinput.extname)
    try:
        reply = QueryDeviceState(display=display.display, opcode=opcode, deviceid=deviceid)
    except error.XError:  # the device has been unplugged meanwhile
        return [], []
    return parse_state(bytes(reply.state), int(reply.classes))


def parse_state(state: bytes, classes: int) -> tuple[list[int], list[int]]:
    """(keycodes, buttons) down in the body of an XQueryDeviceState reply."""
    down: dict[int, list[int]] = {xinput.KeyClass: [], xinput.ButtonClass: []}
    for _ in range(classes):
        if len(state) < 2:
            break
        kind, length = state[0], state[1]
        if kind in down:
            bits = int.from_bytes(state[4:36], "little")
            down[kind] = [code for code in range(256) if bits >> code & 1]
        state = state[max(length, 2) :]
    return down[xinput.KeyClass], down[xinput.ButtonClass]

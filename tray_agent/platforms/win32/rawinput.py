"""Raw Input: what the devices sent, decoded (standard library only).

Used by the one thread that called `start()`: the guard's, or the recorder's own. Hooks are not used: Windows drops a
slow low-level hook without a word.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.events import EventKind, InputEvent
from tray_agent.platforms.win32 import scancodes, structs
from tray_agent.platforms.win32.api import Api

_MOUSE_FLAGS = tuple(
    (1 << (2 * i + is_up), name, 0.0 if is_up else 1.0)
    for i, name in enumerate(("MouseLeft", "MouseRight", "MouseMiddle", "MouseBack", "MouseForward"))
    for is_up in (0, 1)
)

_RECENT_NS = 500_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """One decoded change.

    Attributes:
        kind, control, value: as in `InputEvent`.
        device: Windows' handle of the device; 0 for injected events and for some touchpads.
        tag: `dwExtraInfo` of the sender, low 32 bits, where Windows passes it on.
    """

    kind: EventKind
    control: str
    value: float
    device: int
    tag: int


def decode(raw: structs.RAWINPUT, absolute: "AbsolutePointer") -> list[Change]:
    """Changes in one raw event: none for keys without a name, several when a mouse moved and clicked."""
    if raw.header.dwType == structs.RIM_TYPEKEYBOARD:
        return _decode_key(raw)
    if raw.header.dwType == structs.RIM_TYPEMOUSE:
        return _decode_mouse(raw, absolute)
    return []


def _decode_key(raw: structs.RAWINPUT) -> list[Change]:
    key = raw.data.keyboard
    scan = scancodes.ScanCode(int(key.MakeCode), bool(key.Flags & structs.RI_KEY_E0))
    name = scancodes.name_of(scan, int(key.VKey))
    if name is None:
        return []
    value = 0.0 if key.Flags & structs.RI_KEY_BREAK else 1.0
    return [Change("button", name, value, int(raw.header.hDevice), int(key.ExtraInformation))]


def _decode_mouse(raw: structs.RAWINPUT, absolute: "AbsolutePointer") -> list[Change]:
    mouse, device = raw.data.mouse, int(raw.header.hDevice)
    dx, dy = int(mouse.lLastX), int(mouse.lLastY)
    if mouse.usFlags & structs.MOUSE_MOVE_ABSOLUTE:
        dx, dy = absolute.moved(device, dx, dy, bool(mouse.usFlags & structs.MOUSE_VIRTUAL_DESKTOP))
    found: list[tuple[EventKind, str, float]] = [("relative", "MouseX", float(dx)), ("relative", "MouseY", float(dy))]
    found += [("button", name, value) for flag, name, value in _MOUSE_FLAGS if mouse.usButtonFlags & flag]
    notches = mouse.usButtonData / structs.WHEEL_DELTA
    if mouse.usButtonFlags & structs.RI_MOUSE_WHEEL:
        found.append(("relative", "WheelY", notches))
    if mouse.usButtonFlags & structs.RI_MOUSE_HWHEEL:
        found.append(("relative", "WheelX", notches))
    tag = int(mouse.ulExtraInformation)
    return [Change(k, n, v, device, tag) for k, n, v in found if k == "button" or v != 0.0]


class AbsolutePointer:
    """Turns the absolute positions of tablets, remote desktops and virtual machines into counts moved."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._last: dict[int, tuple[float, float]] = {}

    def moved(self, device: int, x: int, y: int, whole_desktop: bool) -> tuple[int, int]:
        """Pixels since the device's last position; x and y run from 0 to 65535 over the screen. First call: (0, 0)."""
        wide, high = (structs.SM_CXVIRTUALSCREEN, structs.SM_CYVIRTUALSCREEN) if whole_desktop else (0, 1)
        position = x * self._api.metric(wide) / 65535, y * self._api.metric(high) / 65535
        before = self._last.get(device, position)
        dx, dy = round(position[0] - before[0]), round(position[1] - before[1])
        # What rounding took stays for the next move, so slow strokes add up.
        self._last[device] = before[0] + dx, before[1] + dy
        return dx, dy


class RawListener:
    """Hears keyboard and mouse in the background, whatever window is in front.

    Args:
        api: the calls.
        is_own: tells whether this agent sent a change.
    """

    def __init__(self, api: Api, is_own: Callable[[Change], bool], clock: Clock | None = None) -> None:
        self._api = api
        self._clock: Clock = clock or MonotonicClock()
        self._is_own = is_own
        self._absolute = AbsolutePointer(api)
        self._down: set[str] = set()
        self._noted: set[str] = set()
        self._heard_ns: dict[str, int] = {}
        self.window = 0

    @property
    def down_by_player(self) -> frozenset[str]:
        """Buttons that the player holds, as far as heard."""
        return frozenset(self._down)

    def start(self) -> None:
        """Raises PlatformUnavailable."""
        self.window = self._api.create_message_window()
        try:
            self._api.listen_raw(self.window)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self.window:
            self._api.stop_raw()
            self._api.destroy_window(self.window)
            self.window = 0

    def drain(self) -> tuple[list[InputEvent], list[int]]:
        """All that came in since the last call: events, and the numbers of hotkeys Windows reported."""
        events: list[InputEvent] = []
        hotkeys: list[int] = []
        while (message := self._api.next_message()) is not None:
            if message.message == structs.WM_HOTKEY:
                hotkeys.append(int(message.wParam))
            elif message.message == structs.WM_INPUT and (raw := self._api.take_raw(message)) is not None:
                changes = decode(raw, self._absolute)
                events += [event for change in changes if (event := self._event(change)) is not None]
        return events, hotkeys

    def _event(self, change: Change) -> InputEvent | None:
        """None for the repeats of a key that the player keeps down."""
        own = self._is_own(change)
        if change.kind == "button" and not own:
            if change.value and change.control in self._down:
                return None
            (self._down.add if change.value else self._down.discard)(change.control)
        now_ns = self._clock.now_ns()
        if change.kind == "button" and not own:
            self._heard_ns[change.control] = now_ns
        return InputEvent(now_ns, change.kind, change.control, change.value, f"raw:{change.device:x}", own)

    def has_heard(self, control: str) -> bool:
        """Whether the player holds a button, or did a moment ago."""
        # A whole chord, pressed and released, may be read before the message that reports it.
        age_ns = self._clock.now_ns() - self._heard_ns.get(control, -_RECENT_NS)
        return control in self._down or age_ns < _RECENT_NS

    def note_down(self, control: str) -> InputEvent:
        """Record that the player pressed something which Raw Input did not tell."""
        self._down.add(control)
        self._noted.add(control)
        return InputEvent(self._clock.now_ns(), "button", control, 1.0, "hotkey")

    def resync(self, noted_only: bool = False) -> list[InputEvent]:
        """Releases of what the player let go unheard, as on the lock screen or at an administrator prompt.

        Args:
            noted_only: look at what `note_down` told only.
        """
        self._noted &= self._down
        suspects = self._noted if noted_only else self._down
        gone = [name for name in sorted(suspects) if not is_down(self._api, name)]
        self._down.difference_update(gone)
        return [InputEvent(self._clock.now_ns(), "button", name, 0.0, "resync") for name in gone]


def is_down(api: Api, control: str) -> bool:
    """Whether a key or mouse button is down now, by whomever; the layout may give a position another virtual key."""
    if control in scancodes.MOUSE_VIRTUAL_KEYS:
        return api.is_down(scancodes.MOUSE_VIRTUAL_KEYS[control])
    return any(api.is_down(key) for key in virtual_keys(api, control))


def virtual_keys(api: Api, control: str) -> tuple[int, ...]:
    """Virtual keys of a key on the present layout, best first."""
    if control in scancodes.LAYOUT_KEYS and (here := api.virtual_key(*scancodes.SCAN_CODES[control])):
        return (here,)
    return scancodes.VIRTUAL_KEYS[control]

"""XI2 raw events: selecting, unpacking, and turning them into `InputEvent`s (no threads of its own).

python-xlib delivers the bodies of raw events as bytes; this module knows their layout.
"""

import struct
from dataclasses import dataclass, field

from Xlib import X
from Xlib.display import Display
from Xlib.ext import ge, xinput

from tray_agent.core.clock import Clock
from tray_agent.core.events import InputEvent
from tray_agent.platforms.x11.connection import Keymap

KEY_DOWN, KEY_UP = xinput.RawKeyPress, xinput.RawKeyRelease
BUTTON_DOWN, BUTTON_UP = xinput.RawButtonPress, xinput.RawButtonRelease
MOTION = xinput.RawMotion
_RAW_TYPES = (KEY_DOWN, KEY_UP, BUTTON_DOWN, BUTTON_UP, MOTION)
_MASK = sum(1 << kind for kind in (*_RAW_TYPES, xinput.HierarchyChanged))

# deviceid, time, detail, sourceid, words of the valuator mask, flags; after them mask, values, raw values
_HEAD = struct.Struct("=HIIHHI4x")
_FP3232 = struct.Struct("=iI")

_WHEEL = {4: ("WheelY", 1.0), 5: ("WheelY", -1.0), 6: ("WheelX", -1.0), 7: ("WheelX", 1.0)}
_POINTER_AXES = ((0, "MouseX"), (1, "MouseY"))
_MISDECLARED = ("Xephyr virtual mouse",)
"""Devices that say they are relative and send positions in pixels."""
_SERVER_TIME_TRUSTED_MS = 2000


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One raw event. `kind` is one of KEY_DOWN .. MOTION; `axes` holds unaccelerated values by axis number."""

    kind: int
    deviceid: int
    sourceid: int
    time_ms: int
    detail: int
    axes: dict[int, float] = field(default_factory=dict)


def unpack(kind: int, body: bytes) -> RawEvent:
    """Parse the body of a raw event: what follows the event type in the packet.

    Raises:
        struct.error: the body is too short.
    """
    deviceid, time_ms, detail, sourceid, words, _flags = _HEAD.unpack_from(body)
    axes = _axes(body, _HEAD.size, words) if words and kind == MOTION else {}
    return RawEvent(kind, deviceid, sourceid, time_ms, detail, axes)


def _axes(body: bytes, at: int, words: int) -> dict[int, float]:
    mask = int.from_bytes(body[at : at + 4 * words], "little")
    numbers = [bit for bit in range(32 * words) if mask >> bit & 1]
    first_raw = at + 4 * words + 8 * len(numbers)
    values = (_FP3232.unpack_from(body, first_raw + 8 * i) for i in range(len(numbers)))
    return {number: whole + part / 2**32 for number, (whole, part) in zip(numbers, values, strict=True)}


@dataclass(slots=True)
class Device:
    """A slave device of the server. `absolute` holds (min, max) of the axes that report positions."""

    name: str
    xtest: bool
    absolute: dict[int, tuple[float, float]]
    last: dict[int, float] = field(default_factory=dict)


class Devices:
    """The server's devices, kept up to date with hot-plugging. Used by one thread."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self.extension = display.display.get_extension_major(xinput.extname)
        self._by_id: dict[int, Device] = {}

    def listen(self) -> None:
        """Select raw events of every device on the root window, and learn the devices."""
        self._display.screen().root.xinput_select_events([(xinput.AllDevices, _MASK)])
        self.refresh()

    def refresh(self) -> None:
        """Ask the server for its devices anew."""
        reply = self._display.xinput_query_device(xinput.AllDevices)
        masters = (xinput.MasterPointer, xinput.MasterKeyboard)
        self._by_id = {d.deviceid: _device(d) for d in reply.devices if d.use not in masters}

    def get(self, deviceid: int) -> Device | None:
        return self._by_id.get(deviceid)

    def xtest_ids(self) -> list[int]:
        return [number for number, device in self._by_id.items() if device.xtest]

    def physical(self) -> list[Device]:
        """Devices that are not the server's own test devices."""
        return [device for device in self._by_id.values() if not device.xtest]

    def raw(self, event: object) -> RawEvent | None:
        """The raw event inside an X event, None for anything else; a device's news are taken in silently."""
        if getattr(event, "type", 0) != ge.GenericEventCode or getattr(event, "extension", 0) != self.extension:
            return None
        kind = int(event.evtype)  # type: ignore[attr-defined]  # python-xlib makes attributes at run time
        if kind == xinput.HierarchyChanged:
            self.refresh()
            return None
        if kind not in _RAW_TYPES:
            return None
        found = unpack(kind, bytes(event.data))  # type: ignore[attr-defined]  # as above
        # The server sends each raw event twice, once for the device and once for its master.
        return found if found.deviceid == found.sourceid else None


def _device(info: object) -> Device:
    name = str(info.name)  # type: ignore[attr-defined]  # python-xlib makes attributes at run time
    classes = info.classes  # type: ignore[attr-defined]  # as above
    valuators = [c for c in classes if c.type == xinput.ValuatorClass]
    positions = name in _MISDECLARED
    absolute = {c.number: (c.min, c.max) for c in valuators if positions or c.mode == xinput.ModeAbsolute}
    return Device(name, name.endswith(("XTEST pointer", "XTEST keyboard")), absolute)


class Translator:
    """Raw events -> `InputEvent`s of `core.keys` names. Used by one thread."""

    def __init__(self, display: Display, devices: Devices, keymap: Keymap, clock: Clock) -> None:
        self._devices = devices
        self._keymap = keymap
        self._clock = clock
        screen = display.screen()
        self._screen = (screen.width_in_pixels, screen.height_in_pixels)

    def events(self, raw: RawEvent, own: bool) -> list[InputEvent]:
        """The input events in `raw`: none for keys without a name, two for a diagonal motion."""
        t_ns = self._time(raw.time_ms)
        device = f"xi2:{raw.sourceid}"
        if raw.kind == MOTION:
            moved = self._motion(raw)
            return [InputEvent(t_ns, "relative", name, value, device, own) for name, value in moved]
        if raw.kind in (KEY_DOWN, KEY_UP):
            name, down = self._keymap.key_name(raw.detail), raw.kind == KEY_DOWN
        elif raw.detail in _WHEEL:
            # A wheel's release carries no news: the notch was counted at the press.
            control, notch = _WHEEL[raw.detail]
            pressed = raw.kind == BUTTON_DOWN
            return [InputEvent(t_ns, "relative", control, notch, device, own)] if pressed else []
        else:
            name, down = self._keymap.button_name(raw.detail), raw.kind == BUTTON_DOWN
        return [InputEvent(t_ns, "button", name, float(down), device, own)] if name else []

    def _motion(self, raw: RawEvent) -> list[tuple[str, float]]:
        device = self._devices.get(raw.sourceid)
        moved = []
        for axis, name in _POINTER_AXES:
            value = raw.axes.get(axis, 0.0)
            if device is not None and axis in device.absolute and axis in raw.axes:
                value = self._step(device, axis, value)
            if value:
                moved.append((name, value))
        return moved

    def _step(self, device: Device, axis: int, value: float) -> float:
        """Pixels moved by a device that reports positions (tablets, virtual machines, nested servers)."""
        low, high = device.absolute[axis]
        before = device.last.get(axis, value)
        device.last[axis] = value
        scale = self._screen[axis] / (high - low + 1) if high > low else 1.0
        return (value - before) * scale

    def _time(self, server_ms: int) -> int:
        """The server's time stamp on our clock: local servers count CLOCK_MONOTONIC milliseconds, modulo 2**32."""
        now = self._clock.now_ns()
        age_ms = (now // 1_000_000 - server_ms) % 2**32
        # whole milliseconds: with the clock's own fraction two events of one millisecond could change places
        return (now // 1_000_000 - age_ms) * 1_000_000 if age_ms < _SERVER_TIME_TRUSTED_MS else now


def is_focus_news(event: object, root_id: int, active_atom: int) -> bool:
    """Whether an X event may mean that another window is in front, or that the watched one moved or went."""
    kind = getattr(event, "type", 0)
    if kind == X.PropertyNotify:
        return bool(event.window.id == root_id and event.atom == active_atom)  # type: ignore[attr-defined]  # as above
    if kind in (X.FocusIn, X.FocusOut):
        # A hotkey's grab borrows the focus for a moment; the window in front stays the same.
        return event.mode not in (X.NotifyGrab, X.NotifyUngrab)  # type: ignore[attr-defined]  # as above
    return kind in (X.DestroyNotify, X.UnmapNotify, X.ConfigureNotify)

"""What is sent and how raw events are read, as far as no Windows is needed."""

import pytest

from tray_agent.core import keys
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.win32 import inputs, sink, structs
from tray_agent.platforms.win32.api import Api, NativeCaller
from tray_agent.platforms.win32.guard_backend import Win32GuardBackend
from tray_agent.platforms.win32.rawinput import AbsolutePointer, Change, decode


class _Metrics:
    """A caller that knows the screen's size only."""

    def call(self, function, index, *_):
        assert function == "user32.GetSystemMetrics"
        return {0: 1920, 1: 1080, 78: 3840, 79: 1080}[index]


def _absolute():
    return AbsolutePointer(Api(_Metrics()))


def _mouse(flags=0, buttons=0, data=0, dx=0, dy=0, device=7, extra=0):
    raw = structs.RAWINPUT()
    raw.header.dwType, raw.header.hDevice = structs.RIM_TYPEMOUSE, device
    raw.data.mouse = structs.RAWMOUSE(
        usFlags=flags, usButtonFlags=buttons, usButtonData=data, lLastX=dx, lLastY=dy, ulExtraInformation=extra
    )
    return raw


def _key(code, flags, vkey, device=9, extra=0):
    raw = structs.RAWINPUT()
    raw.header.dwType, raw.header.hDevice = structs.RIM_TYPEKEYBOARD, device
    raw.data.keyboard = structs.RAWKEYBOARD(MakeCode=code, Flags=flags, VKey=vkey, ExtraInformation=extra)
    return raw


def test_arrow_is_sent_as_extended_scan_code_with_our_tag():
    """Press and release of an arrow: scan code 48, E0 bit, release bit, tag."""
    down, up = sink.button_input("ArrowUp", True).u.ki, sink.button_input("ArrowUp", False).u.ki
    assert (down.wScan, down.dwFlags, down.dwExtraInfo) == (0x48, 0x8 | 0x1, sink.TAG)
    assert (up.wScan, up.dwFlags) == (0x48, 0x8 | 0x1 | 0x2)


def test_pause_goes_by_virtual_key():
    """Pause, which has no scan code SendInput could send, goes without the scan code flag."""
    key = sink.button_input("Pause", True).u.ki
    assert (key.wVk, key.dwFlags) == (0x13, 0)


def test_side_buttons_carry_their_number():
    """The two extra mouse buttons share a flag and differ in mouseData."""
    back, forward = (sink.button_input(name, True).u.mi for name in ("MouseBack", "MouseForward"))
    assert (back.dwFlags, back.mouseData, forward.mouseData) == (0x80, 1, 2)


def test_system_keys_can_not_be_pressed():
    """The sink itself knows no forbidden key."""
    assert not sink.PRESSABLE & keys.FORBIDDEN
    assert {"KeyW", "MouseLeft", "Escape"} <= sink.PRESSABLE


def test_fractions_of_motion_add_up():
    """Ten moves of 0.3 counts are three counts; wheel notches are 120 each, left as negative numbers."""
    encoder = sink.MotionEncoder()
    moved = sum(event.u.mi.dx for _ in range(10) for event in encoder.encode({"MouseX": 0.3}))
    assert moved == 3
    (wheel,) = encoder.encode({"WheelY": -1.0})
    assert (wheel.u.mi.dwFlags, wheel.u.mi.mouseData) == (0x800, 2**32 - 120)


def test_own_events_are_told_by_tag_or_by_ledger():
    """Tagged is ours; from a device is not; injected without tag is ours only if just sent, and only once."""
    ledger = sink.SentLedger()
    assert ledger.is_own(Change("button", "KeyW", 1.0, 5, sink.TAG))
    ledger.sent_button("KeyW", 1.0)
    assert not ledger.is_own(Change("button", "KeyW", 1.0, 5, 0))
    assert not ledger.is_own(Change("button", "KeyW", 0.0, 0, 0))
    assert ledger.is_own(Change("button", "KeyW", 1.0, 0, 0))
    assert not ledger.is_own(Change("button", "KeyW", 1.0, 0, 0))


def test_other_programs_may_be_ignored():
    """Told to ignore them, all that comes from no device counts as ours; a device's events never do."""
    ledger = sink.SentLedger(ignore_others=True)
    assert ledger.is_own(Change("button", "KeyW", 1.0, 0, 0))
    assert ledger.is_own(Change("relative", "MouseX", 3.0, 0, 0))
    assert not ledger.is_own(Change("button", "KeyW", 1.0, 5, 0))


def test_raw_key_is_decoded():
    """Make code, E0 and break bits become name and value; device and tag are kept."""
    (change,) = decode(_key(0x4B, structs.RI_KEY_E0 | structs.RI_KEY_BREAK, 0x25, extra=sink.TAG), _absolute())
    assert change == Change("button", "ArrowLeft", 0.0, 9, sink.TAG)


def test_raw_mouse_event_with_everything_in_it():
    """Motion, a click and a wheel notch in one raw event are four changes in order."""
    changes = decode(_mouse(buttons=0x0001 | 0x0400, data=-120, dx=3, dy=-2), _absolute())
    assert [(c.control, c.value) for c in changes] == [
        ("MouseX", 3.0), ("MouseY", -2.0), ("MouseLeft", 1.0), ("WheelY", -1.0),
    ]  # fmt: skip


def test_absolute_devices_report_counts_moved():
    """A tablet's positions become differences; the first one moves nothing; small steps are not lost."""
    pointer = _absolute()
    assert pointer.moved(1, 0, 0, False) == (0, 0)
    assert pointer.moved(1, 65535, 65535, False) == (1920, 1080)
    assert pointer.moved(2, 0, 0, True) == (0, 0)
    assert sum(pointer.moved(2, i * 5, 0, True)[0] for i in range(1, 1001)) == round(5000 * 3840 / 65535)


@pytest.mark.parametrize(
    ("scan", "name", "keypad", "wanted"),
    [(0x48, "up", False, "ArrowUp"), (0x48, "8", True, "Numpad8"), (0x1D, "right ctrl", False, "ControlRight"),
     (0x1D, "ctrl", False, "ControlLeft"), (0x38, "alt gr", False, "AltRight"), (0x11, "z", False, "KeyW"),
     (0x1C, "enter", True, "NumpadEnter"), (-5, None, False, None)],
)  # fmt: skip
def test_fallback_package_names(scan, name, keypad, wanted):
    """The `keyboard` package's codes are told apart by name and keypad flag; letters go by position."""
    assert inputs.package_key(scan, name, keypad) == wanted


def test_native_calls_say_why_they_can_not_start_here():
    """Elsewhere than on Windows starting is one clear error, and closing is harmless."""
    backend = Win32GuardBackend(caller=NativeCaller())
    with pytest.raises(PlatformUnavailable, match="was started on"):
        backend.start({})
    assert backend.release_leftovers() == ()
    assert backend.release_all() == ()
    backend.close()

"""What of the macOS backends runs anywhere. Nothing here proves that they work on a Mac."""

import os
import sys
from types import SimpleNamespace

import pytest

from tray_agent.core import keys
from tray_agent.core.clock import ManualClock
from tray_agent.core.events import Command, WindowInfo
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.platforms.darwin import guard_backend, keycodes, taps
from tray_agent.platforms.darwin.inputs import DarwinInputSource
from tray_agent.platforms.darwin.screen import DarwinScreenSource
from tray_agent.platforms.darwin.window import DarwinWindowProbe, describe_first

elsewhere = pytest.mark.skipif(sys.platform == "darwin", reason="asserts what happens without macOS")


def _key(code):
    return SimpleNamespace(vk=code)


def test_every_key_has_its_own_code():
    """All names are covered, and no two share a code."""
    assert set(keycodes.KEYCODES) == keys.KEYS
    assert len(keycodes.NAMES) == len(keys.KEYS)
    assert (keycodes.KEYCODES["KeyA"], keycodes.KEYCODES["KeyM"], keycodes.KEYCODES["ArrowUp"]) == (0, 0x2E, 0x7E)


def test_system_keys_can_not_be_pressed():
    """The backend itself knows no forbidden key."""
    assert not guard_backend.PRESSABLE & keys.FORBIDDEN


@pytest.fixture
def heard():
    """(taps, events they delivered); injected "KeyW" is the guard's own."""
    events = []
    made = taps.EventTaps(
        events.append, lambda kind, control, value: control == "KeyW", injected_is_own=False, clock=ManualClock(3)
    )
    return made, events


def test_callbacks_become_events(heard):
    """Keys (as plain codes or pynput's enumeration), clicks, wheel and differences of positions."""
    source, events = heard
    source.on_press(_key(0x0D))
    source.on_press(SimpleNamespace(value=_key(0x7E)))
    source.on_press(None)
    source.on_press(_key(0x0D))
    source.on_click(1, 1, SimpleNamespace(name="right"), True)
    source.on_scroll(0, 0, 0, -1)
    source.on_move(5, 5)
    source.on_move(8, 5)
    assert [(e.control, e.value) for e in events] == [
        ("KeyW", 1.0), ("ArrowUp", 1.0), ("MouseRight", 1.0), ("WheelY", -1.0), ("MouseX", 3.0),
    ]  # fmt: skip
    assert source.down_by_player == {"KeyW", "ArrowUp", "MouseRight"}


def test_key_code_zero_is_the_letter_a(heard):
    """The key with code 0 is heard, and a character without a code is not taken for it."""
    source, events = heard
    source.on_press(_key(None))
    source.on_press(_key(0))
    assert [e.control for e in events] == ["KeyA"]


def test_only_own_injected_events_are_own(heard):
    """Injected and sent by us is own; injected by others counts as the player's."""
    source, events = heard
    source.on_press(_key(0x0D), True)
    source.on_press(_key(0x00), True)
    assert [(e.control, e.own) for e in events] == [("KeyW", True), ("KeyA", False)]


def test_sent_log_is_used_up():
    """A record makes one event own, and only the same change."""
    log = guard_backend.SentLog()
    log.sent("KeyW", 1.0)
    assert not log.is_own("button", "KeyW", 0.0)
    assert log.is_own("button", "KeyW", 1.0)
    assert not log.is_own("button", "KeyW", 1.0)


def test_front_window_is_the_first_ordinary_one():
    """Menus and overlays above it are skipped; missing fields don't matter."""
    windows = [
        {"kCGWindowLayer": 25, "kCGWindowOwnerName": "Clock"},
        {
            "kCGWindowLayer": 0, "kCGWindowNumber": 9, "kCGWindowOwnerName": "doom", "kCGWindowOwnerPID": 4,
            "kCGWindowBounds": {"X": 1.0, "Y": 2.0, "Width": 30.0, "Height": 40.0},
        },
    ]  # fmt: skip
    assert describe_first(windows) == WindowInfo(9, "doom", "", (1, 2, 30, 40), 4)
    assert describe_first([]) is None


@elsewhere
@pytest.mark.parametrize("make", [DarwinInputSource, DarwinWindowProbe])
def test_starting_elsewhere_is_one_clear_error(make, monkeypatch):
    """Without macOS each backend says so, and closing is harmless."""
    monkeypatch.setitem(sys.modules, "pynput", None)
    made = make()
    with pytest.raises(PlatformUnavailable, match="macOS"):
        made.start()
    made.close()
    made.close()


@elsewhere
def test_guard_backend_elsewhere(monkeypatch):
    """The guard's backend refuses to start, hears nothing, presses nothing, and lets go without raising."""
    monkeypatch.setitem(sys.modules, "pynput", None)
    backend = guard_backend.DarwinGuardBackend()
    with pytest.raises(PlatformUnavailable, match="macOS"):
        backend.start({})
    read, write = os.pipe()
    assert "not started" in backend.wait(read, 0.0).lost
    with pytest.raises(OSError, match="not started"):
        backend.apply(Command(held=frozenset({"KeyW"})))
    assert backend.release_all() == ("KeyW",)
    assert backend.release_leftovers() == ()
    backend.close()
    os.close(read)
    os.close(write)


def test_screen_that_was_not_started():
    """Grabbing before start is CaptureLost."""
    source = DarwinScreenSource((8, 8))
    with pytest.raises(CaptureLost, match="not started"):
        source.grab()
    source.close()

"""The fallback recorder on the events of the `keyboard` and `mouse` packages."""

from collections import namedtuple
from types import SimpleNamespace

import pytest

from tray_agent.core.clock import ManualClock
from tray_agent.platforms.win32.inputs import PackageInputSource

_Button = namedtuple("_Button", "event_type button time")  # the shape the package has
_Wheel = namedtuple("_Wheel", "delta time")
_Move = namedtuple("_Move", "x y time")


@pytest.fixture
def source():
    """A recorder that is fed by hand."""
    source = PackageInputSource(ManualClock(7))
    yield source
    source.close()


def _read(source):
    return [(e.kind, e.control, e.value) for e in source.read(0.0)]


def test_keys_come_once_however_often_they_repeat(source):
    """Repeats of a held key are dropped; press and release stay."""
    for kind in ("down", "down", "down", "up"):
        source.on_key(SimpleNamespace(scan_code=0x11, name="w", is_keypad=False, event_type=kind))
    assert _read(source) == [("button", "KeyW", 1.0), ("button", "KeyW", 0.0)]


def test_a_double_click_is_a_press(source):
    """The package's "double" counts as down; unknown buttons are dropped."""
    for kind, button in (("down", "left"), ("up", "left"), ("double", "left"), ("up", "left"), ("down", "?")):
        source.on_mouse(_Button(kind, button, 0.0))
    assert [value for _, _, value in _read(source)] == [1.0, 0.0, 1.0, 0.0]


def test_positions_become_motion(source):
    """The first position moves nothing, later ones are differences; the wheel is in notches."""
    for x, y in ((5, 5), (8, 5), (8, 1)):
        source.on_mouse(_Move(x, y, 0.0))
    source.on_mouse(_Wheel(-1.0, 0.0))
    assert _read(source) == [
        ("relative", "MouseX", 3.0), ("relative", "MouseY", -4.0), ("relative", "WheelY", -1.0),
    ]  # fmt: skip

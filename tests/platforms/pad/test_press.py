"""The virtual pad: refused honestly where it can't be, and the right codes where vgamepad's own code runs."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from tray_agent.core.events import Command
from tray_agent.core.keys import AXES, FORBIDDEN, PAD_BUTTONS
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.pad import press
from tray_agent.platforms.pad.check import check_press
from tray_agent.platforms.pad.mapping import OWN_VERSION
from tray_agent.platforms.pad.press import VirtualPad, controls, require_driver

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="/dev/uinput is Linux'")


@needs_linux
def test_missing_node_is_refused_and_not_made(tmp_path: Path) -> None:
    """Without the node the user is told to load the module, and no file appears in its place."""
    node = tmp_path / "uinput"
    with pytest.raises(PlatformUnavailable, match="modprobe uinput"):
        require_driver(node)
    assert not node.exists()


@needs_linux
def test_plain_file_in_place_of_the_node_is_told_apart(tmp_path: Path) -> None:
    """A regular file where the device should be is named as such."""
    node = tmp_path / "uinput"
    node.touch()
    with pytest.raises(PlatformUnavailable, match="no device"):
        require_driver(node)


@needs_linux
def test_start_refuses_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a machine without uinput, start raises, loads no vgamepad, and everything else stays harmless."""
    monkeypatch.setattr(press, "UINPUT", tmp_path / "uinput")
    monkeypatch.setattr(press.require_driver, "__defaults__", (tmp_path / "uinput",))
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    pad = VirtualPad()
    with pytest.raises(PlatformUnavailable):
        pad.start()
    assert pad.release_all() == ()
    with pytest.raises(OSError, match="not plugged in"):
        pad.apply(Command(held=frozenset({"PadA"})))
    pad.close()
    pad.close()
    result = check_press()
    assert (result["state"], bool(result["remedy"])) == ("missing", True)


def test_every_pad_control_but_the_system_button_can_be_pressed() -> None:
    """The sink covers all pad names of the vocabulary except forbidden ones."""
    assert controls() == (set(PAD_BUTTONS) | set(AXES)) - FORBIDDEN


class Kernel:
    """Stands where the kernel would be: keeps the evdev events vgamepad sends, as {code name: value}."""

    def __init__(self) -> None:
        self.state: dict[str, int] = {}

    def send_events(self, events: Any) -> None:
        self.state |= {e.code.name: e.value for e in events}


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> tuple[VirtualPad, Kernel]:
    """A VirtualPad over the real vgamepad and libevdev, with only the uinput device itself replaced."""
    if sys.platform != "linux":
        pytest.skip("vgamepad's Linux half")
    pytest.importorskip("vgamepad", exc_type=Exception, reason="vgamepad or libevdev is not installed")
    from vgamepad.lin import virtual_gamepad as theirs

    kernel = Kernel()
    monkeypatch.setattr(press, "require_driver", lambda: None)

    def make(self: Any) -> Kernel:
        self.device.create_uinput_device = lambda fd: kernel
        return self._create_uinput_device(uinput_fd=None)

    monkeypatch.setattr(theirs.VGamepad, "_create_gamepad_uinput_device", make)
    pad = VirtualPad()
    pad.start()
    return pad, kernel


EVDEV_OF = {
    "PadA": "BTN_SOUTH", "PadB": "BTN_EAST", "PadX": "BTN_NORTH", "PadY": "BTN_WEST", "PadLB": "BTN_TL",
    "PadRB": "BTN_TR", "PadBack": "BTN_SELECT", "PadStart": "BTN_START", "PadL3": "BTN_THUMBL", "PadR3": "BTN_THUMBR",
}  # fmt: skip


@pytest.mark.parametrize(("control", "code"), EVDEV_OF.items())
def test_button_reaches_its_evdev_code(plugged: tuple[VirtualPad, Kernel], control: str, code: str) -> None:
    """A held button is down under the kernel's code for it, alone, and up when no longer held."""
    pad, kernel = plugged
    pad.apply(Command(held=frozenset({control, "KeyW"})))
    assert {n for n, v in kernel.state.items() if n.startswith("BTN") and v} == {code}
    pad.apply(Command())
    assert not any(v for n, v in kernel.state.items() if n.startswith("BTN"))


def test_dpad_sticks_and_triggers(plugged: tuple[VirtualPad, Kernel]) -> None:
    """Right and down are positive on the kernel's side as in our names; values beyond the range are cut."""
    pad, kernel = plugged
    axes = {"PadLX": 1.0, "PadLY": 1.0, "PadRX": -0.5, "PadRY": -7.0, "PadLT": 1.0, "PadRT": -1.0}
    pad.apply(Command(held=frozenset({"PadRight", "PadDown"}), axes=axes))
    state = kernel.state
    assert (state["ABS_HAT0X"], state["ABS_HAT0Y"]) == (1, 1)
    assert state["ABS_X"] == pytest.approx(32767, abs=2)
    assert state["ABS_Y"] == pytest.approx(32767, abs=2)
    assert state["ABS_RX"] == pytest.approx(-16384, abs=2)
    assert state["ABS_RY"] == pytest.approx(-32767, abs=2)
    assert (state["ABS_Z"], state["ABS_RZ"]) == (255, 0)


def test_release_all_centres_and_names(plugged: tuple[VirtualPad, Kernel]) -> None:
    """Everything held is let go of, named once, and nothing is left the second time."""
    pad, kernel = plugged
    pad.apply(Command(held=frozenset({"PadB", "PadUp"}), axes={"PadLX": -1.0, "PadRT": 0.5, "PadRX": 0.0}))
    assert pad.release_all() == ("PadB", "PadUp", "PadLX", "PadRT")
    assert all(abs(v) <= 1 for v in kernel.state.values())
    assert pad.release_all() == ()


def test_pad_is_marked_as_ours(plugged: tuple[VirtualPad, Kernel]) -> None:
    """The pad keeps vendor and product of the real one, and carries our version."""
    ids = plugged[0]._pad.device.id
    assert (ids["vendor"], ids["product"], ids["version"]) == (0x045E, 0x028E, OWN_VERSION)

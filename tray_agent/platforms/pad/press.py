"""A virtual Xbox 360 pad that only the guard holds (standard library; vgamepad is loaded by `start`).

vgamepad uses /dev/uinput on Linux and the ViGEmBus driver on Windows; both take the pad away, and with it all that
was held, when the process dies. Used by the guard's single thread.
"""

import importlib
import os
import stat
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tray_agent.core.events import Command
from tray_agent.core.keys import AXES
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.pad.mapping import OWN_VERSION

UINPUT = Path("/dev/uinput")
PERMISSION_REMEDY = (
    'Allow it with a udev rule in a file such as /etc/udev/rules.d/60-tray-agent.rules: KERNEL=="uinput", '
    'SUBSYSTEM=="misc", TAG+="uaccess", OPTIONS+="static_node=uinput"; then log in again'
)

XUSB = MappingProxyType({
    "PadA": "XUSB_GAMEPAD_A", "PadB": "XUSB_GAMEPAD_B", "PadX": "XUSB_GAMEPAD_X", "PadY": "XUSB_GAMEPAD_Y",
    "PadLB": "XUSB_GAMEPAD_LEFT_SHOULDER", "PadRB": "XUSB_GAMEPAD_RIGHT_SHOULDER", "PadBack": "XUSB_GAMEPAD_BACK",
    "PadStart": "XUSB_GAMEPAD_START", "PadL3": "XUSB_GAMEPAD_LEFT_THUMB", "PadR3": "XUSB_GAMEPAD_RIGHT_THUMB",
    "PadUp": "XUSB_GAMEPAD_DPAD_UP", "PadDown": "XUSB_GAMEPAD_DPAD_DOWN", "PadLeft": "XUSB_GAMEPAD_DPAD_LEFT",
    "PadRight": "XUSB_GAMEPAD_DPAD_RIGHT",
})  # fmt: skip
"""Button -> name in vgamepad's XUSB_BUTTON. PadGuide is a system control and is not here."""


class VirtualPad:
    """InputSink for pad controls; names of keys and mouse are left to other sinks."""

    def __init__(self) -> None:
        self._pad: Any = None
        self._codes: dict[str, Any] = {}
        self._held: frozenset[str] = frozenset()
        self._axes: dict[str, float] = {}

    @property
    def plugged_in(self) -> bool:
        """Whether it can press."""
        return self._pad is not None

    def start(self) -> None:
        """Plug the pad in.

        Raises:
            PlatformUnavailable: no driver, no right to use it, or vgamepad is missing.
        """
        require_driver()
        try:
            vgamepad = importlib.import_module("vgamepad")
            self._pad = _marked(vgamepad.VX360Gamepad)()
        except Exception as error:  # vgamepad raises bare Exception and AssertionError
            raise PlatformUnavailable(
                f"the virtual pad can't be plugged in ({error})", _remedy_for_vgamepad()
            ) from error
        self._codes = {name: getattr(vgamepad.XUSB_BUTTON, code) for name, code in XUSB.items()}

    def apply(self, command: Command) -> None:
        """Hold exactly the pad buttons of `command`, and move the axes it names; an axis not named stays.

        Raises:
            OSError: the pad is gone.
        """
        if self._pad is None:
            raise OSError("the virtual pad is not plugged in")
        wanted = command.held & self._codes.keys()
        for name in self._held - wanted:
            self._pad.release_button(self._codes[name])
        for name in wanted - self._held:
            self._pad.press_button(self._codes[name])
        self._held = frozenset(wanted)
        self._axes |= {name: value for name, value in command.axes.items() if name in AXES}
        self._move()
        self._pad.update()

    def release_all(self) -> tuple[str, ...]:
        """Let go of all buttons and centre all axes; returns what was not at rest. Never raises."""
        released = (*sorted(self._held), *(name for name in AXES if self._axes.get(name)))
        self._held, self._axes = frozenset(), {}
        if self._pad is not None:
            try:
                self._pad.reset()
                self._pad.update()
            except Exception:  # noqa: BLE001 - a pad that can't be centred is unplugged, which centres it
                self._pad = None
        return released

    def close(self) -> None:
        """Let go and unplug; idempotent, never raises."""
        self.release_all()
        self._pad = None

    def _move(self) -> None:
        at = {name: _limited(name, self._axes.get(name, 0.0)) for name in AXES}
        # vgamepad's up is positive, ours is down
        self._pad.left_joystick_float(at["PadLX"], -at["PadLY"])
        self._pad.right_joystick_float(at["PadRX"], -at["PadRY"])
        self._pad.left_trigger_float(at["PadLT"])
        self._pad.right_trigger_float(at["PadRT"])


def controls() -> frozenset[str]:
    """Names this sink can press."""
    return frozenset(XUSB) | frozenset(AXES)


def require_driver(node: Path = UINPUT) -> None:
    """Look, without opening or creating anything, whether a virtual pad is possible.

    Raises:
        PlatformUnavailable: it is not; with what to do.
    """
    if sys.platform == "linux":
        _require_uinput(node)
    elif sys.platform != "win32":
        raise PlatformUnavailable(f"virtual pads are not supported on {sys.platform}")


def _require_uinput(node: Path) -> None:
    try:
        mode = node.stat().st_mode
    except OSError as error:
        remedy = "Load the kernel's uinput module: sudo modprobe uinput"
        raise PlatformUnavailable(
            f"{node} is missing, so no virtual pad can be made ({error.strerror})", remedy
        ) from error
    if not stat.S_ISCHR(mode):
        # some programs that write there without looking leave a plain file behind
        raise PlatformUnavailable(f"{node} is no device", f"Remove it, then: sudo rm {node} && sudo modprobe uinput")
    if not os.access(node, os.R_OK | os.W_OK):
        raise PlatformUnavailable(f"{node} may not be written by this user", PERMISSION_REMEDY)


def _limited(axis: str, value: float) -> float:
    low = 0.0 if axis in ("PadLT", "PadRT") else -1.0
    return max(low, min(1.0, value))


def _remedy_for_vgamepad() -> str:
    on_windows = "Install the ViGEmBus driver (github.com/nefarius/ViGEmBus/releases) and vgamepad"
    return on_windows if sys.platform == "win32" else "Install vgamepad and libevdev2"


def _marked(base: type) -> Any:
    """vgamepad's pad with our product version, so that readers can tell it from a real one (Linux).

    Games choose their layout by vendor and product, which stay those of the real pad.
    """
    marked = base
    if sys.platform == "linux":

        class MarkedPad(base):  # type: ignore[misc]  # a class known only at run time
            def _create_uinput_device(self, *args: Any, **kwargs: Any) -> Any:
                self.device.id = {"version": OWN_VERSION}
                return super()._create_uinput_device(*args, **kwargs)

        marked = MarkedPad
    return marked

"""One connection to an X server: opening, closing, and the facts that hold for its whole life.

Owns nothing by itself; each source, probe or backend opens its own connection and uses it from one thread.
"""

import contextlib
import os
import re
import socket
import sys
import threading

from Xlib import XK, X, error
from Xlib import display as xlib_display
from Xlib.display import Display
from Xlib.ext import xinput
from Xlib.protocol import event

from tray_agent.core import keys
from tray_agent.errors import PlatformUnavailable

LOST = (error.ConnectionClosedError, OSError)
"""What python-xlib raises when the server has gone."""

_REMEDY = "Start it inside the graphical session, or set DISPLAY to a running X server"
_MOUSE_BUTTON = dict(zip(keys.MOUSE_BUTTONS, (1, 2, 3, 8, 9), strict=True))
_EVDEV_SIGNS = {36: XK.XK_Return, 9: XK.XK_Escape, 113: XK.XK_Left}


_CONNECTING = threading.Lock()


class _OwnTables(xlib_display._BaseDisplay):  # type: ignore[misc]  # python-xlib is untyped
    """python-xlib keeps opcodes and event codes in class attributes: two servers would overwrite each other's."""

    def __init__(self, *arguments: object, **named: object) -> None:
        self.event_classes = event.event_class.copy()
        self.error_classes = error.xerror_class.copy()
        self.extension_major_opcodes: dict[str, int] = {}
        super().__init__(*arguments, **named)


def _connect(name: str) -> Display:
    # `Display` finds its base by this module-level name and has no other way to be given one.
    with _CONNECTING:
        before, xlib_display._BaseDisplay = xlib_display._BaseDisplay, _OwnTables
        try:
            return Display(name)
        finally:
            xlib_display._BaseDisplay = before


def _knock(name: str) -> None:
    """See whether a local server listens; python-xlib leaves sockets open when it fails to connect."""
    local = re.fullmatch(r"(?:unix)?:(\d+)(?:\.\d+)?", name)
    if local is None:
        return
    if sys.platform != "win32":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(f"/tmp/.X11-unix/X{local[1]}")  # noqa: S108  # the place X servers agreed on


def open_display(name: str | None) -> Display:
    """Connect to `name` (None: $DISPLAY).

    Raises:
        PlatformUnavailable: no display is named, or nothing answers there.
    """
    wanted = name if name is not None else os.environ.get("DISPLAY", "")
    if not wanted:
        raise PlatformUnavailable("No X display: DISPLAY is not set", _REMEDY)
    try:
        _knock(wanted)
        display = _connect(wanted)
    except (error.DisplayError, error.XauthError, error.XNoAuthError, *LOST) as failure:
        raise PlatformUnavailable(f"The X display {wanted!r} can't be opened: {failure}", _REMEDY) from failure
    # Its parsers of XI2 events are incomplete (device changes fail); without them every event stays raw bytes.
    display.display.ge_event_data = {}
    # Errors of requests without a reply (a window that has just gone) must not be printed to stderr.
    display.set_error_handler(lambda _error, _request: None)
    return display


def require(display: Display, extension: str, purpose: str) -> None:
    """Raise PlatformUnavailable unless the server offers `extension`."""
    if not display.has_extension(extension):
        raise PlatformUnavailable(
            f"The X server lacks {extension}, which is needed for {purpose}", "Use another X server or enable it"
        )


def close(display: Display | None) -> None:
    """Disconnect; never raises."""
    if display is not None:
        with contextlib.suppress(*LOST):
            display.close()


def announce_xi2(display: Display) -> None:
    """Tell the server that we speak XI 2.2: only from 2.1 on raw events come through other programs' grabs.

    Raises:
        PlatformUnavailable: XInput 2.1 is missing.
    """
    require(display, xinput.extname, "hearing devices")
    reply = xinput.XIQueryVersion(
        display=display.display,
        opcode=display.display.get_extension_major(xinput.extname),
        major_version=2,
        minor_version=2,
    )
    if (reply.major_version, reply.minor_version) < (2, 1):
        raise PlatformUnavailable(
            f"The X server speaks XInput {reply.major_version}.{reply.minor_version}, 2.1 is needed",
            "Use a newer X server",
        )


class Keymap:
    """Control names <-> keycodes and pointer buttons of one server.

    By position (keycode = evdev code + 8) where the server numbers keys so, else by the US meaning of each key.
    """

    def __init__(self, display: Display) -> None:
        self.by_position = all(display.keycode_to_keysym(code, 0) == sym for code, sym in _EVDEV_SIGNS.items())
        if self.by_position:
            self._codes = {name: code + 8 for name, code in keys.EVDEV.items()}
        else:
            found = ((name, display.keysym_to_keycode(_keysym(name))) for name in keys.KEYS)
            self._codes = {name: code for name, code in found if code}
        self._names = {code: name for name, code in self._codes.items()}
        self._buttons = {button: name for name, button in _MOUSE_BUTTON.items()}

    def keycode(self, name: str) -> int | None:
        """Keycode of a key's name, None when this keyboard has no such key."""
        return self._codes.get(name)

    def key_name(self, keycode: int) -> str | None:
        return self._names.get(keycode)

    def button(self, name: str) -> int | None:
        """Pointer button of "MouseLeft" and so on, None when `name` is no mouse button."""
        return _MOUSE_BUTTON.get(name)

    def button_name(self, button: int) -> str | None:
        return self._buttons.get(button)


_KEYSYMS = {
    "Minus": "minus", "Equal": "equal", "Backspace": "BackSpace", "BracketLeft": "bracketleft",
    "BracketRight": "bracketright", "Enter": "Return", "ControlLeft": "Control_L", "Semicolon": "semicolon",
    "Quote": "apostrophe", "Backquote": "grave", "ShiftLeft": "Shift_L", "Backslash": "backslash", "Comma": "comma",
    "Period": "period", "Slash": "slash", "ShiftRight": "Shift_R", "NumpadMultiply": "KP_Multiply",
    "AltLeft": "Alt_L", "Space": "space", "CapsLock": "Caps_Lock", "NumLock": "Num_Lock",
    "ScrollLock": "Scroll_Lock", "NumpadSubtract": "KP_Subtract", "NumpadAdd": "KP_Add",
    "NumpadDecimal": "KP_Delete", "IntlBackslash": "less", "NumpadEnter": "KP_Enter", "ControlRight": "Control_R",
    "NumpadDivide": "KP_Divide", "PrintScreen": "Print", "AltRight": "Alt_R", "ArrowUp": "Up", "PageUp": "Prior",
    "ArrowLeft": "Left", "ArrowRight": "Right", "ArrowDown": "Down", "PageDown": "Next", "MetaLeft": "Super_L",
    "MetaRight": "Super_R", "ContextMenu": "Menu",
}  # fmt: skip
_NUMPAD = ("Insert", "End", "Down", "Next", "Left", "Begin", "Right", "Home", "Up", "Prior")
_KEYSYMS |= {f"Numpad{digit}": f"KP_{meaning}" for digit, meaning in enumerate(_NUMPAD)}


def _keysym(name: str) -> int:
    if name.startswith("Key"):
        return int(XK.string_to_keysym(name[3:].lower()))
    if name.startswith("Digit"):
        return int(XK.string_to_keysym(name[5:]))
    return int(XK.string_to_keysym(_KEYSYMS.get(name, name)))


def set_root_events(display: Display) -> None:
    """Hear of property changes on the root window (focus by _NET_ACTIVE_WINDOW)."""
    display.screen().root.change_attributes(event_mask=X.PropertyChangeMask)

"""Names of `core.keys` <-> set-1 scan codes and virtual keys (standard library only, no state).

Positions, not characters: games on DirectInput or Raw Input read scan codes, and tell the arrows from the numpad by
the extended (E0) bit alone. Linux numbered its plain keys after set 1, so those codes are the evdev ones.
"""

from types import MappingProxyType
from typing import NamedTuple

from tray_agent.core import keys


class ScanCode(NamedTuple):
    """Set-1 make code and whether the E0 prefix precedes it."""

    code: int
    extended: bool


_EXTENDED = {
    "NumpadEnter": 0x1C, "ControlRight": 0x1D, "NumpadDivide": 0x35, "PrintScreen": 0x37, "AltRight": 0x38,
    "Home": 0x47, "ArrowUp": 0x48, "PageUp": 0x49, "ArrowLeft": 0x4B, "ArrowRight": 0x4D, "End": 0x4F,
    "ArrowDown": 0x50, "PageDown": 0x51, "Insert": 0x52, "Delete": 0x53, "MetaLeft": 0x5B, "MetaRight": 0x5C,
    "ContextMenu": 0x5D,
}  # fmt: skip
# Pause is the one key with an E1 sequence (E1 1D 45). SendInput can't send that, so it goes by virtual key.
BY_VIRTUAL_KEY = frozenset({"Pause"})
_LAST_PLAIN_CODE = 0x58

SCAN_CODES: MappingProxyType[str, ScanCode] = MappingProxyType(
    {name: ScanCode(code, False) for name, code in keys.EVDEV.items() if code <= _LAST_PLAIN_CODE}
    | {name: ScanCode(code, True) for name, code in _EXTENDED.items()}
    | {"Pause": ScanCode(0x45, False)}
)
"""Key name -> scan code."""

_VIRTUAL: dict[str, tuple[int, ...]] = {
    "Escape": (0x1B,), "Minus": (0xBD,), "Equal": (0xBB,), "Backspace": (0x08,), "Tab": (0x09,),
    "BracketLeft": (0xDB,), "BracketRight": (0xDD,), "Enter": (0x0D,), "ControlLeft": (0xA2,),
    "Semicolon": (0xBA,), "Quote": (0xDE,), "Backquote": (0xC0,), "ShiftLeft": (0xA0,), "Backslash": (0xDC,),
    "Comma": (0xBC,), "Period": (0xBE,), "Slash": (0xBF,), "ShiftRight": (0xA1,), "NumpadMultiply": (0x6A,),
    "AltLeft": (0xA4,), "Space": (0x20,), "CapsLock": (0x14,), "NumLock": (0x90,), "ScrollLock": (0x91,),
    "NumpadSubtract": (0x6D,), "NumpadAdd": (0x6B,), "IntlBackslash": (0xE2,), "NumpadEnter": (0x0D,),
    "ControlRight": (0xA3,), "NumpadDivide": (0x6F,), "PrintScreen": (0x2C,), "AltRight": (0xA5,),
    "Home": (0x24,), "ArrowUp": (0x26,), "PageUp": (0x21,), "ArrowLeft": (0x25,), "ArrowRight": (0x27,),
    "End": (0x23,), "ArrowDown": (0x28,), "PageDown": (0x22,), "Insert": (0x2D,), "Delete": (0x2E,),
    "Pause": (0x13,), "MetaLeft": (0x5B,), "MetaRight": (0x5C,), "ContextMenu": (0x5D,),
    # numpad: with NumLock, then without
    "Numpad0": (0x60, 0x2D), "Numpad1": (0x61, 0x23), "Numpad2": (0x62, 0x28), "Numpad3": (0x63, 0x22),
    "Numpad4": (0x64, 0x25), "Numpad5": (0x65, 0x0C), "Numpad6": (0x66, 0x27), "Numpad7": (0x67, 0x24),
    "Numpad8": (0x68, 0x26), "Numpad9": (0x69, 0x21), "NumpadDecimal": (0x6E, 0x2E),
}  # fmt: skip
_VIRTUAL |= {f"Key{chr(c)}": (c,) for c in range(ord("A"), ord("Z") + 1)}
_VIRTUAL |= {f"Digit{d}": (ord("0") + d,) for d in range(10)}
_VIRTUAL |= {f"F{n}": (0x6F + n,) for n in range(1, 13)}

LAYOUT_KEYS = frozenset(name for name in SCAN_CODES if name.startswith(("Key", "Digit")) or _VIRTUAL[name][0] >= 0xBA)
"""Keys that print characters, so that their virtual key depends on the layout."""

VIRTUAL_KEYS: MappingProxyType[str, tuple[int, ...]] = MappingProxyType(_VIRTUAL)
"""Key name -> virtual keys it may show up as on a US layout, the usual one first."""

MOUSE_VIRTUAL_KEYS: MappingProxyType[str, int] = MappingProxyType(
    {"MouseLeft": 0x01, "MouseRight": 0x02, "MouseMiddle": 0x04, "MouseBack": 0x05, "MouseForward": 0x06}
)
"""Mouse button -> virtual key, for asking whether it is down."""

_BY_SCAN = {scan: name for name, scan in SCAN_CODES.items() if name not in BY_VIRTUAL_KEY}
_ALT_PRINT_SCREEN = ScanCode(0x54, False)
_FAKE_SHIFTS = frozenset({ScanCode(0x2A, True), ScanCode(0x36, True)})
_NO_VIRTUAL_KEY = 0xFF


def name_of(scan: ScanCode, virtual_key: int) -> str | None:
    """Key name of a raw event, None for keys without a name and for the fake shifts a keyboard adds.

    Args:
        scan: what the keyboard sent (the E1 prefix of Pause counts as not extended).
        virtual_key: Windows' translation; 0xFF marks codes that are part of another key's sequence.
    """
    if virtual_key in VIRTUAL_KEYS["Pause"]:
        return "Pause"
    if scan in _FAKE_SHIFTS or virtual_key == _NO_VIRTUAL_KEY:
        return None
    if scan == _ALT_PRINT_SCREEN:
        return "PrintScreen"
    return _BY_SCAN.get(scan)

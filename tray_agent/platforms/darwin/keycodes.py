"""Names of `core.keys` <-> virtual key codes of macOS, which are positions (standard library only; never run on a Mac).

Print, ScrollLock, Pause and NumLock have no keys there; an external keyboard's send F13, F14, F15 and Clear.
"""

from types import MappingProxyType

_RUNS = {
    0x00: "A S D F H G Z X C V", 0x0B: "B Q W E R Y T", 0x1F: "O U", 0x22: "I P", 0x25: "L J", 0x28: "K",
    0x2D: "N M",
}  # fmt: skip
_DIGITS = {1: 0x12, 2: 0x13, 3: 0x14, 4: 0x15, 5: 0x17, 6: 0x16, 7: 0x1A, 8: 0x1C, 9: 0x19, 0: 0x1D}
_FUNCTION = (0x7A, 0x78, 0x63, 0x76, 0x60, 0x61, 0x62, 0x64, 0x65, 0x6D, 0x67, 0x6F)
_KEYPAD = (0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5B, 0x5C)
_OTHERS = {
    "IntlBackslash": 0x0A, "Equal": 0x18, "Minus": 0x1B, "BracketRight": 0x1E, "BracketLeft": 0x21, "Enter": 0x24,
    "Quote": 0x27, "Semicolon": 0x29, "Backslash": 0x2A, "Comma": 0x2B, "Slash": 0x2C, "Period": 0x2F, "Tab": 0x30,
    "Space": 0x31, "Backquote": 0x32, "Backspace": 0x33, "Escape": 0x35, "MetaRight": 0x36, "MetaLeft": 0x37,
    "ShiftLeft": 0x38, "CapsLock": 0x39, "AltLeft": 0x3A, "ControlLeft": 0x3B, "ShiftRight": 0x3C,
    "AltRight": 0x3D, "ControlRight": 0x3E, "NumpadDecimal": 0x41, "NumpadMultiply": 0x43, "NumpadAdd": 0x45,
    "NumLock": 0x47, "NumpadDivide": 0x4B, "NumpadEnter": 0x4C, "NumpadSubtract": 0x4E, "PrintScreen": 0x69,
    "ScrollLock": 0x6B, "ContextMenu": 0x6E, "Pause": 0x71, "Insert": 0x72, "Home": 0x73, "PageUp": 0x74,
    "Delete": 0x75, "End": 0x77, "PageDown": 0x79, "ArrowLeft": 0x7B, "ArrowRight": 0x7C, "ArrowDown": 0x7D,
    "ArrowUp": 0x7E,
}  # fmt: skip

KEYCODES: MappingProxyType[str, int] = MappingProxyType(
    _OTHERS
    | {f"Key{letter}": first + i for first, run in _RUNS.items() for i, letter in enumerate(run.split())}
    | {f"Digit{digit}": code for digit, code in _DIGITS.items()}
    | {f"F{i}": code for i, code in enumerate(_FUNCTION, 1)}
    | {f"Numpad{i}": code for i, code in enumerate(_KEYPAD)}
)
"""Key name -> virtual key code."""

NAMES: MappingProxyType[int, str] = MappingProxyType({code: name for name, code in KEYCODES.items()})
"""Virtual key code -> key name."""

BUTTONS: MappingProxyType[str, str] = MappingProxyType(
    {"left": "MouseLeft", "right": "MouseRight", "middle": "MouseMiddle"}
)
"""pynput's button -> ours; it reports no others on macOS."""

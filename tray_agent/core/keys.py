"""Names of keys, mouse and pad controls (standard library only).

Keys are named by *position*, after the W3C UI Events `KeyboardEvent.code` values ("KeyW", "ArrowLeft"),
so a profile means the same finger on AZERTY and on QWERTY. `ALIASES` holds the short forms people write.
`EVDEV` maps each name to the Linux evdev code (linux/input-event-codes.h); an X11 keycode of an
evdev-ruled server is that plus 8.
"""

from types import MappingProxyType

_LETTER_ROWS = (("QWERTYUIOP", 16), ("ASDFGHJKL", 30), ("ZXCVBNM", 44))
_KEYS: dict[str, int] = {
    "Escape": 1, "Minus": 12, "Equal": 13, "Backspace": 14, "Tab": 15, "BracketLeft": 26, "BracketRight": 27,
    "Enter": 28, "ControlLeft": 29, "Semicolon": 39, "Quote": 40, "Backquote": 41, "ShiftLeft": 42,
    "Backslash": 43, "Comma": 51, "Period": 52, "Slash": 53, "ShiftRight": 54, "NumpadMultiply": 55,
    "AltLeft": 56, "Space": 57, "CapsLock": 58, "NumLock": 69, "ScrollLock": 70, "Numpad7": 71, "Numpad8": 72,
    "Numpad9": 73, "NumpadSubtract": 74, "Numpad4": 75, "Numpad5": 76, "Numpad6": 77, "NumpadAdd": 78,
    "Numpad1": 79, "Numpad2": 80, "Numpad3": 81, "Numpad0": 82, "NumpadDecimal": 83, "IntlBackslash": 86,
    "F11": 87, "F12": 88, "NumpadEnter": 96, "ControlRight": 97, "NumpadDivide": 98, "PrintScreen": 99,
    "AltRight": 100, "Home": 102, "ArrowUp": 103, "PageUp": 104, "ArrowLeft": 105, "ArrowRight": 106, "End": 107,
    "ArrowDown": 108, "PageDown": 109, "Insert": 110, "Delete": 111, "Pause": 119, "MetaLeft": 125,
    "MetaRight": 126, "ContextMenu": 127,
}  # fmt: skip
_KEYS |= {f"Key{letter}": base + i for row, base in _LETTER_ROWS for i, letter in enumerate(row)}
_KEYS |= {f"Digit{d}": (d - 1) % 10 + 2 for d in range(10)}
_KEYS |= {f"F{n}": 58 + n for n in range(1, 11)}

EVDEV = MappingProxyType(_KEYS)
"""Key name -> evdev code."""

KEYS = frozenset(_KEYS)
MOUSE_BUTTONS = ("MouseLeft", "MouseMiddle", "MouseRight", "MouseBack", "MouseForward")
PAD_BUTTONS = (
    "PadA", "PadB", "PadX", "PadY", "PadLB", "PadRB", "PadBack", "PadStart", "PadGuide", "PadL3", "PadR3",
    "PadUp", "PadDown", "PadLeft", "PadRight",
)  # fmt: skip
BUTTONS = KEYS | frozenset(MOUSE_BUTTONS) | frozenset(PAD_BUTTONS)
RELATIVE = ("MouseX", "MouseY", "WheelY", "WheelX")
"""Relative controls; unit: counts (mouse) or notches (wheel). Right, down, wheel-away are positive X, Y, WheelY."""
AXES = ("PadLX", "PadLY", "PadRX", "PadRY", "PadLT", "PadRT")
"""Absolute pad axes in -1..1 (triggers 0..1); right and *down* are positive, as in SDL."""
PAD = frozenset((*PAD_BUTTONS, *AXES))
"""All that is on a pad."""

FORBIDDEN = frozenset({"MetaLeft", "MetaRight", "PrintScreen", "ContextMenu", "PadGuide"})
"""System controls: may never be mapped, recorded or pressed."""
EXPLICIT_ONLY = frozenset({"Escape"})
"""Allowed only where a profile names them by their full name."""
_CONTROLS, _ALTS = ("ControlLeft", "ControlRight"), ("AltLeft", "AltRight")
FORBIDDEN_CHORDS = (
    # consoles (F1-F12), end of the X server (Backspace), session dialog (Delete)
    *(frozenset({c, a, k}) for c in _CONTROLS for a in _ALTS for k in (*(f"F{n}" for n in range(1, 13)), "Backspace")),
    frozenset({"AltLeft", "F4"}), frozenset({"AltRight", "F4"}),
    frozenset({"AltLeft", "Tab"}), frozenset({"AltRight", "Tab"}),
    frozenset({"ControlLeft", "AltLeft", "Delete"}), frozenset({"ControlRight", "AltRight", "Delete"}),
)  # fmt: skip
"""Combinations the guard never lets become true at the same time."""

ALIASES = MappingProxyType(
    {letter.lower(): f"Key{letter}" for row, _ in _LETTER_ROWS for letter in row}
    | {str(d): f"Digit{d}" for d in range(10)}
    | {
        "left": "ArrowLeft", "right": "ArrowRight", "up": "ArrowUp", "down": "ArrowDown", "ctrl": "ControlLeft",
        "control": "ControlLeft", "shift": "ShiftLeft", "alt": "AltLeft", "return": "Enter", "esc": "Escape",
        "super": "MetaLeft", "win": "MetaLeft", "del": "Delete", "ins": "Insert", "pgup": "PageUp",
        "pgdn": "PageDown", "rctrl": "ControlRight", "rshift": "ShiftRight", "ralt": "AltRight",
        "left click": "MouseLeft", "right click": "MouseRight", "middle click": "MouseMiddle",
    }
)  # fmt: skip
_FOLDED = {name.lower(): name for name in (*BUTTONS, *RELATIVE, *AXES)}


def canonical(name: str) -> str:
    """Full control name of what a person wrote ("left" -> "ArrowLeft").

    Raises:
        ValueError: no control has that name.
    """
    folded = str(name).strip().lower()
    found = ALIASES.get(folded) or _FOLDED.get(folded)
    if found is None:
        raise ValueError(f"unknown control {name!r}")
    return found

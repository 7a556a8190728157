"""Codes of SDL's game controller layout <-> names of `core.keys` (standard library only, no I/O)."""

import math

OWN_VERSION = 0x5441
"""Product version of our virtual pad: SDL puts it into the pad's GUID, so that readers know it as ours."""

SDL_BUTTONS = (
    "PadA", "PadB", "PadX", "PadY", "PadBack", "PadGuide", "PadStart", "PadL3", "PadR3", "PadLB", "PadRB",
    "PadUp", "PadDown", "PadLeft", "PadRight",
)  # fmt: skip
"""Index is SDL_GameControllerButton."""
SDL_AXES = ("PadLX", "PadLY", "PadRX", "PadRY", "PadLT", "PadRT")
"""Index is SDL_GameControllerAxis."""

_FULL = 32767
_STEP = 0.01


def button_name(code: int) -> str | None:
    """Control of an SDL button; None for paddles, touchpads and what else has no name here."""
    return SDL_BUTTONS[code] if 0 <= code < len(SDL_BUTTONS) else None


def axis_name(code: int) -> str | None:
    """Control of an SDL axis, None if unknown."""
    return SDL_AXES[code] if 0 <= code < len(SDL_AXES) else None


def axis_value(raw: int) -> float:
    """SDL's -32768..32767 -> -1..1 in steps of 0.01, so that a trembling stick is quiet."""
    return max(-1.0, min(1.0, math.floor(raw / _FULL / _STEP + 0.5) * _STEP))


def is_own_guid(guid: str) -> bool:
    """Whether SDL's GUID of a pad (32 hex digits) is that of our virtual pad."""
    try:
        raw = bytes.fromhex(guid)
    except ValueError:
        return False
    return len(raw) == 16 and int.from_bytes(raw[12:14], "little") == OWN_VERSION

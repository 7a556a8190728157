"""Hotkeys: "ctrl+alt+k" as written -> names of keys, with the ones that can't work refused (no I/O)."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from tray_agent.core import keys
from tray_agent.settings.control_names import control_name
from tray_agent.settings.mistake import mistake

Hotkey = tuple[str, ...]
"""Full names of keys held together; the ordinary key comes last."""

MODIFIERS = ("ControlLeft", "ControlRight", "AltLeft", "AltRight", "ShiftLeft", "ShiftRight")
_ALONE = frozenset({f"F{n}" for n in range(1, 13)} | {"Pause", "ScrollLock"})
"""Keys that nobody types, which may stand without a modifier."""
_EXAMPLE = "For example: ctrl+alt+k"


def parse_hotkey(raw: Any) -> Hotkey:
    """Hotkey as keys: modifiers in a fixed order, then the ordinary key.

    Raises:
        PydanticCustomError: it is no hotkey, or one that could not work.
    """
    if isinstance(raw, list | tuple):
        raw = "+".join(map(str, raw))
    if not isinstance(raw, str) or not raw.strip():
        raise mistake("not a hotkey", f"{_EXAMPLE}.")
    names = [_part(part) for part in raw.split("+")]
    if len(set(names)) != len(names):
        raise mistake(f"{raw!r} names a key twice", "Each key once.")
    ordinary = [name for name in names if name not in MODIFIERS]
    if len(ordinary) != 1:
        raise mistake(
            f"{raw!r} has {len(ordinary)} keys besides ctrl, alt and shift", f"It needs exactly one. {_EXAMPLE}."
        )
    hotkey = (*sorted(set(names) - set(ordinary), key=MODIFIERS.index), *ordinary)
    _refuse_unusable(hotkey, raw)
    return hotkey


def _part(part: str) -> str:
    if not part.strip():
        raise mistake("a key is missing beside a '+'", f"{_EXAMPLE}.")
    name = keys.ALIASES.get(part.strip().lower(), "")
    return name if name in keys.EXPLICIT_ONLY else control_name(part, keys.KEYS, "key")


def _refuse_unusable(hotkey: Hotkey, raw: str) -> None:
    held = {name.replace("Right", "Left") if name in MODIFIERS else name for name in hotkey}
    if not held & {"ControlLeft", "AltLeft"} and hotkey[-1] not in _ALONE:
        raise mistake(f"{raw!r} would fire while typing", f"Add ctrl or alt. {_EXAMPLE}.")
    taken = any(chord <= held for chord in keys.FORBIDDEN_CHORDS)
    console = {"ControlLeft", "AltLeft"} <= held and hotkey[-1] in _ALONE | {"Backspace"}
    if taken or console:
        raise mistake(f"{raw!r} belongs to the system", f"Take another. {_EXAMPLE}.")


def shadows(one: Hotkey, other: Hotkey) -> bool:
    """Whether pressing one of the two also presses the other."""
    return set(one) <= set(other) or set(other) <= set(one)


HotkeyField = Annotated[Hotkey, BeforeValidator(parse_hotkey), WithJsonSchema({"type": "string"})]

"""Control names as people write them in a profile, checked one by one (no I/O)."""

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from tray_agent.core import keys
from tray_agent.settings.mistake import did_you_mean, mistake

_WHY_FORBIDDEN = {
    "MetaLeft": "it opens the desktop's own menus",
    "MetaRight": "it opens the desktop's own menus",
    "PrintScreen": "it takes pictures of the whole screen",
    "ContextMenu": "it opens menus outside the game",
    "PadGuide": "it opens the system's overlay",
}


def control_name(raw: Any, allowed: Collection[str], kind: str) -> str:
    """Full name of a control.

    Args:
        raw: as written; digits may come as numbers.
        allowed: full names that fit here.
        kind: what fits here, for messages ("key").

    Raises:
        PydanticCustomError: no such control, one that fits elsewhere, or one that may not be mapped.
    """
    text = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
    if not isinstance(text, str):
        raise mistake(f"a {kind} is a name, not {raw!r}", "Put it in quotes if it is one.")
    try:
        name = keys.canonical(text)
    except ValueError:
        raise mistake(f"unknown {kind} {text!r}", _remedy(text, allowed, kind)) from None
    if name in keys.FORBIDDEN:
        raise mistake(f"{name} may never be pressed by the agent: {_WHY_FORBIDDEN[name]}", "Remove it.")
    if name not in allowed:
        raise mistake(f"{name} is no {kind}", f"{_home(name)}.")
    if name in keys.EXPLICIT_ONLY and text.strip().lower() != name.lower():
        raise mistake(f"{text!r} usually leaves the game", f"If the agent may press it, write {name} in full.")
    return name


def _remedy(text: str, allowed: Collection[str], kind: str) -> str:
    written = {alias for alias, name in keys.ALIASES.items() if name in allowed} | set(allowed)
    examples = ", ".join(sorted(allowed, key=lambda n: (len(n), n))[:4])
    return did_you_mean(text, sorted(written), f"A {kind} is for example {examples}.")


def _home(name: str) -> str:
    if name in keys.KEYS:
        return "It belongs under controls.keys"
    if name in keys.MOUSE_BUTTONS:
        return "It belongs under controls.mouse.buttons"
    if name in keys.PAD_BUTTONS:
        return "It belongs under controls.pad.buttons"
    if name in keys.AXES:
        return "It belongs under controls.pad.axes"
    return "Write controls.mouse.motion: true or controls.mouse.wheel: true"


def _names(allowed: Collection[str], kind: str) -> Any:
    """Annotated string type of one group, with the names for an editor's completion."""
    usable = sorted(set(allowed) - keys.FORBIDDEN)
    short = sorted(a for a, n in keys.ALIASES.items() if n in usable and n not in keys.EXPLICIT_ONLY)
    schema = {"anyOf": [{"enum": usable + short}, {"type": "string"}, {"type": "integer", "minimum": 0, "maximum": 9}]}
    return Annotated[str, BeforeValidator(lambda raw: control_name(raw, allowed, kind)), WithJsonSchema(schema)]


KeyName = _names(keys.KEYS, "key")
MouseButton = _names(keys.MOUSE_BUTTONS, "mouse button")
PadButton = _names(keys.PAD_BUTTONS, "pad button")
PadAxis = _names(keys.AXES, "pad axis")


def any_control(raw: Any) -> str:
    """Full name of any control; raises PydanticCustomError."""
    return control_name(raw, {*keys.BUTTONS, *keys.RELATIVE, *keys.AXES}, "control")

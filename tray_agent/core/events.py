"""What a device reports (standard library only)."""

from dataclasses import dataclass
from typing import Literal

EventKind = Literal["button", "relative", "axis"]


@dataclass(frozen=True, slots=True)
class InputEvent:
    """One change of one control, as the device reported it.

    Attributes:
        t_ns: when, on the desktop's clock.
        kind: "button" (value 1.0 down, 0.0 up), "relative" (value = counts moved) or "axis" (value = new position).
        control: name from `core.keys`.
        value: see `kind`.
        device: identifier of the device on its platform, for example "xi2:7" ("" when unknown).
        own: True when this agent pressed it. Own events are never recorded and never count as the player's.
    """

    t_ns: int
    kind: EventKind
    control: str
    value: float
    device: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class WindowInfo:
    """The window in front.

    Attributes:
        handle: the platform's id of the window.
        process: name of the executable ("chocolate-doom"), "" when unknown.
        title: window title.
        rect: client area as (left, top, width, height) in screen pixels.
        pid: process id, 0 when unknown.
    """

    handle: int
    process: str
    title: str
    rect: tuple[int, int, int, int]
    pid: int = 0

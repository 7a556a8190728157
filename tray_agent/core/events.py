"""What a device reports, and what the agent asks for (standard library only)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Command:
    """One tick's output for the guard: what shall be held now, and what to move once.

    Attributes:
        held: names of the buttons that shall be down.
        relative: counts to move in this tick, by control.
        axes: new positions, by control.
    """

    held: frozenset[str] = frozenset()
    relative: Mapping[str, float] = field(default_factory=dict)
    axes: Mapping[str, float] = field(default_factory=dict)

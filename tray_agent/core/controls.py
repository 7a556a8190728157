"""A game's controls, and actions as vectors over them (numpy; no I/O)."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tray_agent.core import keys
from tray_agent.core.events import Command, InputEvent

FloatVector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Controls:
    """The only inputs of a game that are ever recorded or pressed.

    An *action vector* is float32 of shape `(size,)`: first one held-bit (0/1) per button, then the relative
    controls (counts in the tick), then the absolute axes (-1..1), each in the order given here.
    """

    buttons: tuple[str, ...] = ()
    relative: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for group, allowed in ((self.buttons, keys.BUTTONS), (self.relative, keys.RELATIVE), (self.axes, keys.AXES)):
            for name in group:
                if name not in allowed:
                    raise ValueError(f"{name!r} is no such control")
                if name in keys.FORBIDDEN:
                    raise ValueError(f"{name!r} is a system control and may not be mapped")
        if len(set(self.names)) != len(self.names):
            raise ValueError("a control is listed twice")

    @property
    def names(self) -> tuple[str, ...]:
        """All controls in vector order."""
        return self.buttons + self.relative + self.axes

    @property
    def size(self) -> int:
        """Length of an action vector."""
        return len(self.names)

    @property
    def digest(self) -> str:
        """12 hex digits that change when any control or the order changes."""
        text = json.dumps([self.buttons, self.relative, self.axes])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def neutral(self) -> FloatVector:
        """The action that touches nothing: zeros, shape `(size,)`."""
        return np.zeros(self.size, np.float32)

    def split(self, vector: FloatVector) -> tuple[FloatVector, FloatVector, FloatVector]:
        """Views of an action vector (or a batch, last axis): buttons, relative, axes."""
        b, r = len(self.buttons), len(self.buttons) + len(self.relative)
        return vector[..., :b], vector[..., b:r], vector[..., r:]


def to_command(controls: Controls, vector: FloatVector) -> Command:
    """Action vector of shape `(size,)` -> command; a button is held when its value is at least 0.5.

    Raises:
        ValueError: wrong shape or a value that is not finite.
    """
    if vector.shape != (controls.size,):
        raise ValueError(f"action has shape {vector.shape}, the controls need ({controls.size},)")
    if not np.isfinite(vector).all():
        raise ValueError("action has values that are not finite")
    held, relative, axes = controls.split(vector)
    return Command(
        held=frozenset(name for name, value in zip(controls.buttons, held, strict=True) if value >= 0.5),
        relative={n: float(v) for n, v in zip(controls.relative, relative, strict=True) if v != 0.0},
        axes={n: float(v) for n, v in zip(controls.axes, axes, strict=True)},
    )


class TickAccumulator:
    """Events -> one action vector a tick. Not thread-safe: one owner.

    A button counts as held in a tick if it was pressed during the tick or is down at its end, so that taps shorter
    than a tick are kept; the tick of a release counts as up. Relative controls add up; axes keep their last position.
    Events of other controls and the agent's own are ignored.
    """

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._index = {name: i for i, name in enumerate(controls.names)}
        self._down = controls.neutral()
        self._touched = controls.neutral()
        self._moved = controls.neutral()

    def add(self, events: Iterable[InputEvent]) -> None:
        """Take events of the current tick, in order of time."""
        for event in events:
            i = self._index.get(event.control)
            if event.own or i is None:
                continue
            if event.kind == "relative":
                self._moved[i] += event.value
            else:
                self._down[i] = event.value
                if event.kind == "button":
                    self._touched[i] = max(self._touched[i], event.value)

    def take(self) -> FloatVector:
        """Close the tick: its action vector, shape `(size,)`."""
        vector = np.maximum(self._down, self._touched)
        n = len(self._controls.buttons) + len(self._controls.relative)
        vector[n:] = self._down[n:]
        vector += self._moved
        self._touched[:] = 0
        self._moved[:] = 0
        return vector

    def release_all(self) -> None:
        """Forget what is down (after lost focus, when releases may have been missed)."""
        self._down[:] = 0

"""Getting unstuck: what to do when the game stands still as it never did for the player (tick thread; numpy).

A cloned policy has never seen itself run against a wall, because its player never did, and can stay there for ever:
one such episode costs more than all its steering errors (decisions/0006-learning-from-minutes.md). So when the picture
moves less than it ever moved for the player, the agent does for a moment something the player often does, whatever it
sees, until the game moves again. Where the picture often stood still for the player, too, it does so before a picture
that stands still would end the play: a policy that does nothing where nothing moves goes on doing nothing.
"""

from collections import deque

import numpy as np

from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels
from tray_agent.core.motion import MOTION_SECONDS, motion

_HOLD_S = (0.25, 0.75)
_STILL_S = 2.5
"""1.5 seconds before the play would end (`STILL_LIMIT_S` in play/player.py)."""
_STILL_MOTION = 0.04  # grey levels


class Unsticker:
    """Watches the picture's motion; one owner."""

    def __init__(self, floor: float, habits: tuple[tuple[float, ...], ...], rate_hz: float, seed: int) -> None:
        """Store.

        Args:
            floor: mean motion below which the game is stuck, grey levels; 0: only where it stands quite still.
            habits: action vectors the player used, to choose from.
            rate_hz: ticks a second.
            seed: of the choice.
        """
        self._floor = floor
        self._habits = [np.asarray(habit, np.float32) for habit in habits]
        self._presses = [habit for habit in self._habits if habit.any()]
        self._still = 0
        self._most_still = round(_STILL_S * rate_hz)
        self._rate_hz = rate_hz
        self._random = np.random.default_rng(seed)
        self._motions: deque[float] = deque(maxlen=max(2, round(MOTION_SECONDS * rate_hz)))
        self._last: Pixels | None = None
        self._left = 0
        self._chosen: FloatVector | None = None
        self.ticks = 0
        """How many ticks were played this way."""

    def see(self, pixels: Pixels) -> None:
        """The next picture."""
        if self._habits and self._last is not None:
            moved = motion(self._last, pixels)
            self._motions.append(moved)
            self._still = self._still + 1 if moved < _STILL_MOTION else 0
        self._last = pixels

    def inherit(self, other: "Unsticker") -> None:
        """Go on where another one is."""
        self._motions.extend(other._motions)
        self._last, self._left, self._chosen, self.ticks = other._last, other._left, other._chosen, other.ticks
        self._still = other._still

    def reset(self) -> None:
        """Another episode, another picture."""
        self._motions.clear()
        self._last, self._left, self._still = None, 0, 0

    def action(self) -> FloatVector | None:
        """What to do instead of what the policy says, None while the game moves."""
        if self._left == 0 and (choices := self._habits if self._is_stuck() else self._presses_if_still()):
            self._left = max(1, round(self._random.uniform(*_HOLD_S) * self._rate_hz))
            self._chosen = choices[int(self._random.integers(len(choices)))]
        if self._left == 0 or self._chosen is None:
            return None
        self._left -= 1
        self.ticks += 1
        return self._chosen.copy()

    def _is_stuck(self) -> bool:
        full = len(self._motions) == self._motions.maxlen
        return bool(self._floor) and full and sum(self._motions) / len(self._motions) < self._floor

    def _presses_if_still(self) -> list[FloatVector]:
        return self._presses if self._still >= self._most_still else []

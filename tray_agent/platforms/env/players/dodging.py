"""Stepping aside from things that fall, for players that move along a line (no threads)."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Falling:
    """Something that falls past the player.

    Attributes:
        x: where, in the player's units.
        arrives, leaves: in how many ticks it is as low as the player, and below it.
    """

    x: float
    arrives: float
    leaves: float


@dataclass(frozen=True)
class Dodger:
    """How someone moves and how near a falling thing may come.

    Attributes:
        left, right: the ends of the way.
        step: units a tick.
        reach: nearer than that a falling thing hits.
        ahead: ticks looked ahead.
    """

    left: int
    right: int
    step: int
    reach: float
    ahead: int = 12

    def safe(self, x: int, wish: float, falling: Iterable[Falling]) -> float:
        """The place nearest to `wish` that can be reached from `x`, and stayed at, without being hit."""
        way = self.step * self.ahead
        places: list[float] = [wish, *range(max(self.left, x - way), min(self.right, x + way) + 1, self.step)]
        near = [thing for thing in falling if thing.arrives < self.ahead]
        return min(places, key=lambda place: self._danger(x, place, near) + abs(place - wish))

    def _danger(self, x: int, place: float, falling: list[Falling]) -> float:
        """Large when going to `place` ends under something, the larger the sooner; else more for a longer way."""
        at = float(x)
        for tick in range(1, self.ahead):
            at += max(-self.step, min(self.step, place - at))
            for thing in falling:
                if thing.arrives <= tick <= thing.leaves and abs(thing.x - at) <= self.reach:
                    return 1000.0 - 30 * tick
        return 0.3 * abs(place - x)

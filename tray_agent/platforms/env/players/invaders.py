"""Scripted player of Space Invaders; it reads the console's memory, but only what the picture shows (no threads)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tray_agent.core.events import Command
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.dodging import Dodger, Falling
from tray_agent.platforms.env.players.flight import bounced

_Ram = npt.NDArray[np.int_]
_LEFT, _RIGHT = 37, 117  # how far the cannon goes
_STEP = 2  # a tick's way of the cannon, and of a bomb in its own units
_FORMATION_LEFT, _FORMATION_RIGHT = 23, 130
_SHIELDS = (42, 74, 106)
_SHIELDS_GONE = 20  # the formation has come so low that it has eaten them
_REMEMBERED = 17
_DODGER = Dodger(_LEFT, _RIGHT, _STEP, reach=8)


@dataclass(frozen=True)
class _Aim:
    """A column, the place to shoot it from, and how dear that is."""

    cost: float
    place: float


class InvadersPlayer:
    """Holds the trigger as people do, goes where a shot will meet the nearest outer column, steps aside from bombs.

    Memory: 28 own x, 26 left edge of the formation, 16 how far it has come down, 18 to 23 its rows from the lowest, a
    bit for each column; 81, 82 bombs' lines (246 none), 83, 84 their x.
    """

    _NEAR, _ALIGNED, _PATIENCE = 3, 4, 60
    _INNER, _SHIELDED = 30.0, 10.0

    def __init__(self) -> None:
        self._edges: list[int] = []

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._edges.clear()

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram.astype(int)
        x, speed = int(ram[28]), self._speed(int(ram[26]))
        aims = [aim for column in _columns(ram) if (aim := self._aim(ram, x, speed, column))]
        wish = min(aims, key=lambda aim: aim.cost).place if aims else float(x)
        off = _DODGER.safe(x, wish, _bombs(ram)) - x
        held = {"Space"}
        if abs(off) >= self._NEAR:
            held.add("ArrowRight" if off > 0 else "ArrowLeft")
        return Command(frozenset(held))

    def _speed(self, edge: int) -> float:
        """Units a tick of the formation, over about a second; a turn at the wall counts as going on the other way."""
        edges = self._edges
        moved = edge - edges[-1] if edges else 0
        if abs(moved) > 8:  # the outer column is gone, or a new wave is there
            edges[:] = [one + moved for one in edges]
        elif moved and len(edges) > 1 and moved * (edges[-1] - edges[0]) < 0:
            edges[:] = [2 * edge - one for one in edges]
        edges.append(edge)
        del edges[:-_REMEMBERED]
        return (edges[-1] - edges[0]) / max(1, len(edges) - 1)

    def _aim(self, ram: _Ram, x: int, speed: float, column: int) -> _Aim | None:
        """Where to shoot `column` from: the earliest place where cannon and column can meet."""
        columns = _columns(ram)
        low = next(row for row in range(6) if ram[18 + row] >> column & 1)
        flight = max(0.0, (52 + 18 * low - 2 * ram[16]) / 8) + 1
        left, right = _FORMATION_LEFT - 16 * columns[0], _FORMATION_RIGHT - 16 * columns[-1]

        def after(ticks: float) -> float:
            return bounced(int(ram[26]) + speed * ticks, left, right) + 16 * column + 0.5

        cost = self._INNER * (column not in (columns[0], columns[-1]))
        for wait in range(self._PATIENCE):
            place = after(flight + wait)
            if _LEFT <= place <= _RIGHT and abs(place - x) <= _STEP * wait + self._ALIGNED:
                return _Aim(cost + wait + self._SHIELDED * _shielded(place, ram), place)
        return None


def _columns(ram: _Ram) -> list[int]:
    return [column for column in range(6) if (ram[18:24] >> column & 1).any()]


def _bombs(ram: _Ram) -> list[Falling]:
    """The bombs in the lower half."""
    seen = [(float(ram[83 + i]) - 4.5, float(ram[81 + i])) for i in range(2) if 50 < ram[81 + i] < 98]
    return [Falling(x, (85 - line) / _STEP, (98 - line) / _STEP) for x, line in seen]


def _shielded(place: float, ram: _Ram) -> bool:
    return ram[16] < _SHIELDS_GONE and any(-1 <= place + 2 - shield <= 9 for shield in _SHIELDS)

"""Scripted player of Airstriker; it looks at the picture only (no threads)."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tray_agent.core.events import Command
from tray_agent.core.media import Pixels
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.dodging import Dodger, Falling
from tray_agent.platforms.env.players.player import IDLE

_RED, _DARK_RED, _SILVER = (232, 0, 0), (136, 0, 0), (200, 204, 200)
_BULLET, _ROCK = (0, 236, 0), (136, 136, 136)
_SKY = slice(12, 183)
_SHIP = slice(184, 204)
_MUZZLE = slice(110, 183)  # a shot that left the ship in the last few ticks is here
_FALL = 10  # lines a tick: enemies 8, bullets 12
_Mask = npt.NDArray[np.bool_]


class StrikerPlayer:
    """Stays under the nearest enemy and taps fire, and steps aside from bullets, rocks and wrecks."""

    _NEAR, _ALIGNED = 12, 16

    def __init__(self) -> None:
        self._dodger = Dodger(15, 305, step=20, reach=24, ahead=9)

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:
        pixels = game.pixels()
        ship = np.nonzero(_coloured(pixels[_SHIP], _SILVER).sum(axis=0) > 1)[0]
        if ship.size == 0:
            return IDLE
        x = float(ship[0] + ship[-1]) / 2
        enemies = enemy_columns(pixels)
        target = min(enemies, key=lambda enemy: abs(enemy - x), default=x)
        off = self._dodger.safe(round(x), target, _falling(pixels)) - x
        held = set()
        if abs(off) > self._NEAR:
            held.add("ArrowRight" if off > 0 else "ArrowLeft")
        if enemies and abs(target - x) <= self._ALIGNED and not _coloured(pixels[_MUZZLE], _RED).any():
            held.add("Space")
        return Command(frozenset(held))


def enemy_columns(pixels: Pixels) -> list[float]:
    """Middles of the columns in which red ships fly."""
    columns = np.nonzero(_coloured(pixels[_SKY], _DARK_RED).any(axis=0))[0]
    if columns.size == 0:
        return []
    breaks = [i + 1 for i, (a, b) in enumerate(pairwise(columns)) if b - a > 6]
    return [float(part[0] + part[-1]) / 2 for part in np.split(columns, breaks)]


def _falling(pixels: Pixels) -> list[Falling]:
    """The lowest dangerous thing of every column of 8 pixels."""
    sky = pixels[_SKY]
    danger = _coloured(sky, _BULLET) | _coloured(sky, _ROCK) | _coloured(sky, _DARK_RED)
    falling = []
    for x in range(0, danger.shape[1], 8):
        lines = np.nonzero(danger[:, x : x + 8].any(axis=1))[0]
        if lines.size:
            way = _SKY.stop - _SKY.start - int(lines[-1])
            falling.append(Falling(x + 4.0, way / _FALL - 1, (way + 40) / _FALL))
    return falling


def _coloured(pixels: Pixels, colour: tuple[int, int, int]) -> _Mask:
    mask: _Mask = (pixels == colour).all(axis=2)
    return mask

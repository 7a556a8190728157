"""Scripted player of Demon Attack; it looks at the picture only (no threads)."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tray_agent.core.events import Command
from tray_agent.core.media import Pixels
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.dodging import Dodger, Falling
from tray_agent.platforms.env.players.player import IDLE

_CANNON, _BOMB, _SHOT = (184, 70, 162), (252, 144, 144), (212, 140, 252)
_SKY = slice(25, 160)
_CANNON_LINES = slice(174, 186)
_BOMB_STEP, _SHOT_STEP = 5, 12  # lines a tick
_Mask = npt.NDArray[np.bool_]


class DemonsPlayer:
    """Goes under where the lowest demon will be when a shot gets there, shoots there, and steps aside from bombs."""

    _NEAR, _ALIGNED = 3, 10

    def __init__(self) -> None:
        self._dodger = Dodger(20, 140, step=4, reach=8)
        self._demon: tuple[float, int] | None = None

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._demon = None

    def decide(self, game: EnvGame) -> Command:
        pixels = game.pixels()
        cannon = _middle(_coloured(pixels[_CANNON_LINES], _CANNON))
        demon, last = lowest_demon(pixels), self._demon
        self._demon = demon
        if cannon is None:
            return IDLE
        wish = float(cannon)
        if demon:
            speed = demon[0] - last[0] if last and abs(demon[1] - last[1]) < 12 and abs(demon[0] - last[0]) < 8 else 0.0
            wish = demon[0] + speed * (_CANNON_LINES.start - demon[1]) / _SHOT_STEP
        off = self._dodger.safe(round(cannon), wish, _bombs(pixels)) - cannon
        held = set()
        if abs(off) > self._NEAR:
            held.add("ArrowRight" if off > 0 else "ArrowLeft")
        if demon and abs(wish - cannon) <= self._ALIGNED and not _coloured(pixels[_SKY], _SHOT).any():
            held.add("Space")
        return Command(frozenset(held))


def lowest_demon(pixels: Pixels) -> tuple[float, int] | None:
    """Middle column and lowest line of the lowest demon; splashes of a hit are grey, demons are not."""
    sky = pixels[_SKY].astype(np.int16)
    lit = (sky.max(axis=2) - sky.min(axis=2) > 25) & ~_coloured(pixels[_SKY], _BOMB) & ~_coloured(pixels[_SKY], _SHOT)
    lines = np.nonzero(lit.sum(axis=1) >= 4)[0]
    if lines.size == 0:
        return None
    bottom = int(lines[-1])
    columns = np.nonzero(lit[max(0, bottom - 7) : bottom + 1].any(axis=0))[0]
    breaks = [i + 1 for i, (a, b) in enumerate(pairwise(columns)) if b - a > 8]
    widest = max(np.split(columns, breaks), key=lambda part: part.size)
    return float(widest[0] + widest[-1]) / 2, bottom + _SKY.start


def _bombs(pixels: Pixels) -> list[Falling]:
    """The lowest bomb of every column of 4 pixels, in the lower half."""
    bombs = _coloured(pixels[100:186], _BOMB)
    falling = []
    for x in range(0, bombs.shape[1], 4):
        lines = np.nonzero(bombs[:, x : x + 4].any(axis=1))[0]
        if lines.size:
            way = _CANNON_LINES.start - 100 - int(lines[-1])
            falling.append(Falling(x + 2.0, way / _BOMB_STEP, (way + 24) / _BOMB_STEP))
    return falling


def _coloured(pixels: Pixels, colour: tuple[int, int, int]) -> _Mask:
    mask: _Mask = (pixels == colour).all(axis=2)
    return mask


def _middle(mask: _Mask) -> float | None:
    columns = np.nonzero(mask.any(axis=0))[0]
    return float(columns[0] + columns[-1]) / 2 if columns.size else None

"""What a picture of freegames' snake shows (numpy; no I/O).

The game draws squares of ten pixels: the snake black, its food green, over both a red one where the snake died.
"""

from dataclasses import dataclass

import numpy as np

from tray_agent.core.media import Pixels

Cell = tuple[int, int]
"""(right, up) of the middle, in squares."""
PICTURE = (420, 420)
"""(width, height) of the game's window, pixels."""
LOW, HIGH = -19, 18
"""First and last column, and row, that the snake lives in."""

_CELLS = range(LOW - 1, HIGH + 2)  # a ring more: dying is drawn there
_COLUMNS = np.array([216 + 10 * x for x in _CELLS])  # middles of the squares
_ROWS = np.array([207 - 10 * y for y in _CELLS])
_DARK, _BRIGHT = 60, 100


@dataclass(frozen=True)
class Board:
    """One look at the game.

    Attributes:
        body: squares of the snake; one that lies under the food does not show.
        food: where it is, None where none shows.
        dead: whether the game is over.
    """

    body: frozenset[Cell]
    food: Cell | None
    dead: bool


def read_board(pixels: Pixels) -> Board:
    """What is on a picture.

    Args:
        pixels: the window's inside, shape (420, 420, 3), RGB.
    """
    colours = pixels[_ROWS[:, None], _COLUMNS]
    high = colours > _BRIGHT
    low = colours < _DARK
    body = _cells(low.all(axis=2))
    green = _cells(low[..., 0] & high[..., 1] & low[..., 2])
    red = _cells(high[..., 0] & low[..., 1] & low[..., 2])
    return Board(frozenset(body), green[0] if green else None, bool(red))


def _cells(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> list[Cell]:
    """Squares where a mask of shape (rows from below, columns) is true."""
    return [(int(x) + _CELLS.start, int(y) + _CELLS.start) for y, x in np.argwhere(mask)]

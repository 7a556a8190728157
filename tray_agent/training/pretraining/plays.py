"""Play of one game in memory, as pairs of pictures are dealt from it (numpy; no torch)."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FRAMES = 4
"""Frames that the encoder is taught with; one for other counts is made from it (`bundled.for_frames`)."""
AHEAD = 3
"""A positive lies up to so many decisions later."""


@dataclass
class Play:
    """Play of one game: T ticks of pictures H high and W wide.

    Attributes:
        game: name.
        planes: uint8, shape (T, 3, H, W).
        held: float32 0 or 1, shape (T, bits): what was held, or moved, from that frame to the next.
        starts: tick at which the stretch of each tick began, shape (T,): nothing reaches over it.
        fit: whether a tick may be learned from, shape (T,); all of them if left out.
        usable: ticks that may be, and whose AHEAD next ones are of the same stretch.
    """

    game: str
    planes: npt.NDArray[np.uint8]
    held: npt.NDArray[np.float32]
    starts: npt.NDArray[np.int64]
    fit: npt.NDArray[np.bool_] | None = None
    usable: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        ticks = np.arange(len(self.starts))
        later = np.minimum(ticks + AHEAD, len(ticks) - 1)
        goes_on = (ticks + AHEAD < len(ticks)) & (self.starts[later] == self.starts)
        self.usable = np.flatnonzero(goes_on if self.fit is None else goes_on & self.fit)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pictures."""
        height, width = self.planes.shape[2:]
        return width, height

    def stack(self, tick: int, into: npt.NDArray[np.uint8]) -> None:
        """Luma of the last FRAMES frames up to `tick`, then its colour, into (FRAMES + 2, H, W)."""
        first = self.starts[tick]
        for n, earlier in enumerate(range(tick - FRAMES + 1, tick + 1)):
            into[n] = self.planes[max(first, earlier), 0]
        into[FRAMES:] = self.planes[tick, 1:]

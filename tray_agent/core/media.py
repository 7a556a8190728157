"""Frames and sound (numpy; no I/O)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""RGB picture, shape (height, width, 3), uint8."""
Samples = npt.NDArray[np.float32]
"""Mono sound in -1..1, shape (n,), float32."""

VideoQuality = Literal["lossless", "high", "small"]
"""How closely recorded pictures are kept."""

AUDIO_RATE_HZ = 16_000
"""Sample rate of every AudioChunk."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture at the size the policy sees, and the moment it was taken.

    Attributes:
        t_ns: capture time on the desktop's clock.
        pixels: RGB, shape (height, width, 3), uint8, C-contiguous.
    """

    t_ns: int
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A stretch of mono sound at `AUDIO_RATE_HZ`.

    Attributes:
        t_ns: time of the first sample.
        samples: shape (n,), float32.
        gap: True where the device was gone and the samples are silence filled from the clock.
    """

    t_ns: int
    samples: Samples
    gap: bool = False

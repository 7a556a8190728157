"""What the network sees of a picture, in whole numbers: luma and two colour differences (numpy, cv2; no I/O).

Learned from instead of RGB, because turning RGB into floats again for every batch took more time than learning from it.
Kept in sessions that are not lossless, so that what is learned from and what is played on differ by the codec alone:
FFmpeg's BT.601 moved a whole plane by a grey level, and that changed every sixth decision in Pong. `training.model`
computes the same from RGB in the graph; whole numbers below 2^24 are exact in float32.
"""

import cv2
import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels

LUMA_WEIGHTS = (77, 150, 29)
"""Of 256; ITU-R BT.601."""
PLANES = 3

Planes = npt.NDArray[np.uint8]
"""Luma, red difference, blue difference, shape (3, H, W); a difference of 0 is 128."""

_RED, _GREEN, _BLUE = LUMA_WEIGHTS
_MOST_GREEN = 255 * _GREEN + 128
_SHIFT = 22
_SHARE = -(-(1 << _SHIFT) // _GREEN)
"""Times this and shifted is divided by the weight of green, near enough, and takes a quarter of the time."""


def planes_of(pixels: Pixels) -> Planes:
    """RGB, uint8, shape (H, W, 3) -> planes, uint8, shape (3, H, W)."""
    red, green, blue = (pixels[..., channel].astype(np.uint16) for channel in range(3))
    luma = (_RED * red + _GREEN * green + _BLUE * blue + 128) >> 8
    planes: Planes = np.empty((PLANES, *luma.shape), np.uint8)
    planes[0], planes[1], planes[2] = luma, (red - luma + 256) >> 1, (blue - luma + 256) >> 1
    return planes


def put_pixels(planes: Planes, out: Pixels) -> None:
    """Write RGB that has these planes, uint8 (H, W, 3), into `out` (C-contiguous); where none has, the nearest.

    Of planes that come from RGB, red and blue come back at most one off, green two, and `planes_of` makes the same
    planes of them.
    """
    luma, red_difference, blue_difference = planes
    red = cv2.addWeighted(luma, 1, red_difference, 2, -256)  # from 0 to 255; or one more: that bit is lost
    blue = cv2.addWeighted(luma, 1, blue_difference, 2, -256)
    short = luma.astype(np.int32) << 8
    short -= np.multiply(red, _RED, dtype=np.int32)
    short -= np.multiply(blue, _BLUE, dtype=np.int32)
    if short.max() > _MOST_GREEN:  # then that bit matters
        for one, difference, weight in ((red, red_difference, _RED), (blue, blue_difference, _BLUE)):
            was_cut_off = (luma.astype(np.int32) + 2 * difference.astype(np.int32) < 256) | (one == 255)
            more = (short > _MOST_GREEN) & ~was_cut_off
            np.add(one, more, out=one, casting="unsafe")
            short -= weight * more
    green = np.clip((short + _GREEN // 2) * _SHARE >> _SHIFT, 0, 255).astype(np.uint8)
    cv2.merge([red, green, blue], dst=out)

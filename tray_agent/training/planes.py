"""What the network sees of a frame, in whole numbers: luma and two colour differences (numpy).

Kept instead of RGB, because turning RGB into floats again for every batch took more time than learning from it.
`model.Preprocess` computes the same from RGB in the graph; whole numbers below 2^24 are exact in float32, so that
learning and playing see the same.
"""

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels

LUMA_WEIGHTS = (77, 150, 29)
"""Of 256; ITU-R BT.601."""
PLANES = 3

Planes = npt.NDArray[np.uint8]
"""Luma, red difference, blue difference, shape (3, H, W); a difference of 0 is 128."""


def planes_of(pixels: Pixels) -> Planes:
    """RGB, uint8, shape (H, W, 3) -> planes, uint8, shape (3, H, W)."""
    rgb = pixels.astype(np.int32)
    luma = (rgb @ np.array(LUMA_WEIGHTS, np.int32) + 128) >> 8
    return np.stack([luma, (rgb[..., 0] - luma + 256) >> 1, (rgb[..., 2] - luma + 256) >> 1]).astype(np.uint8)

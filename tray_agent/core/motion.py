"""How much a picture moves (numpy; no I/O)."""

import numpy as np

from tray_agent.core.media import Pixels

MOTION_SECONDS = 1.5
"""Motion is averaged over so long before anything is concluded from it."""


def motion(before: Pixels, after: Pixels) -> float:
    """Mean absolute difference of two pictures of the same shape, grey levels (0..255)."""
    larger, smaller = np.maximum(before, after), np.minimum(before, after)
    return float((larger - smaller).mean())

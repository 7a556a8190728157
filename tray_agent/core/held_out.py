"""Which ticks of a session nobody learns from, so that what was learned can be checked on them (numpy; no I/O).

Cut by time, never by frame: in each session the ticks of every sixth ten seconds.
"""

import numpy as np
import numpy.typing as npt

HELD_OUT_SECONDS = 10.0
HELD_OUT_EVERY = 6


def are_held_out(positions: npt.NDArray[np.int64], rate_hz: float) -> npt.NDArray[np.bool_]:
    """Whether the ticks at these positions in their session, counted from 0, are held out; the same shape."""
    stretch = max(1, int(HELD_OUT_SECONDS * rate_hz))
    held_out: npt.NDArray[np.bool_] = positions // stretch % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    return held_out

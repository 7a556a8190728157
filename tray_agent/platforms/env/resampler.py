"""Sound from a game's rate to the product's (no threads)."""

import numpy as np

from tray_agent.core.media import Samples


class Resampler:
    """Linear resampling of a stream, without seams between pieces. Not thread-safe: one owner."""

    def __init__(self, from_hz: float, to_hz: float) -> None:
        self._step = from_hz / to_hz
        self._next = 0.0  # place of the next output sample, counted from the first sample kept
        self._kept = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> Samples:
        """Next piece in, what can be told from it out, shapes (n,) and (m,), float32."""
        have = np.concatenate([self._kept, samples])
        count = max(0, int((len(have) - 1 - self._next) // self._step) + 1) if len(have) > 1 else 0
        places = self._next + self._step * np.arange(count)
        out = np.interp(places, np.arange(len(have)), have) if count else np.zeros(0)
        self._next += self._step * count
        drop = min(int(self._next), max(len(have) - 1, 0))
        self._next -= drop
        self._kept = have[drop:]
        return out.astype(np.float32)

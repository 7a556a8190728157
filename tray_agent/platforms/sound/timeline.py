"""From "these samples have just come in" to chunks that follow each other in time (no I/O, no threads).

Owns the only rule for time stamps of recorded sound: samples that arrive about when they should are joined to those
before them (arrival jitters, the sound did not); a clock that drifts is followed slowly; a hole is filled with
silence; what would overlap is cut.
"""

import numpy as np

from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk, Samples

TOLERANCE_NS = 60_000_000
"""Arrival may be off by this much before it counts as a hole or as a burst of old sound."""
FOLLOW_S = 0.5
"""How quickly a drift between the device's clock and ours is followed (time constant)."""
MAX_FILL_S = 2.0
"""Silence made up at once; a longer stretch nobody asked for is not worth its memory."""

_NS = 1_000_000_000


def duration_ns(samples: int) -> int:
    """How long so many samples last."""
    return samples * _NS // AUDIO_RATE_HZ


class Timeline:
    """Gives samples their times. `start_ns` is the moment recording began."""

    def __init__(self, start_ns: int) -> None:
        self._next_ns = start_ns
        self._is_loose = True

    @property
    def next_ns(self) -> int:
        """End of what was emitted so far."""
        return self._next_ns

    def place(self, samples: Samples, end_ns: int, gap_before: bool = False) -> list[AudioChunk]:
        """Chunks for samples of which the last was played about at `end_ns`.

        Args:
            samples: shape (n,), float32.
            end_ns: estimated time of the end of the samples.
            gap_before: mark silence that has to be put before them as a gap.
        """
        if not len(samples):
            return []
        error = end_ns - duration_ns(len(samples)) - self._next_ns
        tolerance = 0 if self._is_loose else TOLERANCE_NS
        filled: list[AudioChunk] = []
        if error > tolerance:
            filled = self.fill(self._next_ns + error, gap_before)
        elif error < -tolerance:
            samples = samples[min(len(samples), -error * AUDIO_RATE_HZ // _NS) :]
        else:
            self._next_ns += int(error * min(1.0, len(samples) / AUDIO_RATE_HZ / FOLLOW_S))
        self._is_loose = False
        return filled + self._emit(samples, gap=False)

    def fill(self, until_ns: int, gap: bool) -> list[AudioChunk]:
        """Silence from the end of what was emitted up to `until_ns`; at most the last `MAX_FILL_S` of it.

        Sound that comes next is put exactly where its time says.
        """
        self._is_loose = True
        self._next_ns = max(self._next_ns, until_ns - int(MAX_FILL_S * _NS))
        missing = (until_ns - self._next_ns) * AUDIO_RATE_HZ // _NS
        return self._emit(np.zeros(max(0, missing), np.float32), gap)

    def _emit(self, samples: Samples, gap: bool) -> list[AudioChunk]:
        if not len(samples):
            return []
        chunk = AudioChunk(self._next_ns, samples, gap)
        self._next_ns += duration_ns(len(samples))
        return [chunk]

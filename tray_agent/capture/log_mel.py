"""Sound -> log-mel features of one tick (numpy; no I/O, no threads; one owner at a time).

Owns the arithmetic between `AudioChunk`s and what the policy hears. Samples are placed by their time stamps, so
chunks may come late, twice or out of order; what never came is silence. Changing anything that changes a number
here needs a new `MEL` name, because bundles and sessions are tied to it.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk, Samples
from tray_agent.core.sample import AUDIO_BANDS, AUDIO_STEPS, AudioFeatures

MEL = "mel16x4-1"
"""Name of this way to compute features."""

WINDOW = 400
"""Samples of one spectrum (25 ms): long enough to tell 16 bands apart even where a step of a tick is shorter."""
HOP = 200
FFT_SIZE = 512
LOW_HZ, HIGH_HZ = 60.0, 7600.0
FLOOR_DB = -80.0
"""What counts as silence, relative to a full-scale sine."""
SNAP = 32
"""Samples (2 ms) by which a chunk may miss the end of the one before and still be joined to it: jitter, no gap."""

_HISTORY_S = 1.0
_MISSING, _HEARD, _GAP = 0, 1, 2


class LogMel:
    """Keeps the last second or so of sound and turns the stretch before any moment of it into features."""

    def __init__(self, rate_hz: float, lag_ns: int = 0) -> None:
        """Prepare tables.

        Args:
            rate_hz: ticks a second; a tick's stretch is one period long.
            lag_ns: how long before the tick the stretch ends. Real devices deliver a few hundredths of a second
                late; without a lag the newest step would be heard or missed by chance.
        """
        if not rate_hz > 0:
            raise ValueError(f"rate_hz must be positive, not {rate_hz}")
        self._lag_ns = lag_ns
        self._offsets = _window_offsets(AUDIO_RATE_HZ / rate_hz / AUDIO_STEPS)
        self._reach = int(-self._offsets.min())
        self._size = self._reach + int((_HISTORY_S + lag_ns / 1e9) * AUDIO_RATE_HZ)
        self._samples = np.zeros(self._size, np.float32)
        self._state = np.full(self._size, _MISSING, np.uint8)
        self._taper = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
        self._bank = mel_bank()
        self._end: int | None = None
        self._last: int | None = None

    def add(self, chunks: Iterable[AudioChunk]) -> None:
        """Take chunks in any order; where they overlap the later call wins."""
        for chunk in chunks:
            if len(chunk.samples):
                broken = not np.isfinite(chunk.samples).all()  # a driver's garbage is silence, and marked
                samples = np.zeros_like(chunk.samples) if broken else chunk.samples
                self._place(self._start_of(chunk), samples, _GAP if chunk.gap or broken else _HEARD)

    def features(self, t_ns: int) -> AudioFeatures:
        """Features of the stretch that ends at `t_ns` (less the lag), oldest step first.

        Returns:
            float32, shape (AUDIO_STEPS, AUDIO_BANDS), each 0 (silence, -80 dB or less) to 1 (full scale).
        """
        index, known = self._indices(t_ns)
        stretch = np.where(known, self._samples[index], np.float32(0))
        spectrum = np.fft.rfft(stretch * self._taper, FFT_SIZE, axis=-1)
        # a full-scale sine under a Hann window peaks at sum(window) / 2
        power = np.square(np.abs(spectrum) / (self._taper.sum() / 2)).mean(axis=1)
        level_db = 10.0 * np.log10(power @ self._bank + 1e-12)
        features: AudioFeatures = np.clip(1.0 - level_db / FLOOR_DB, 0.0, 1.0).astype(np.float32)
        return features

    def is_gap(self, t_ns: int) -> bool:
        """Whether the stretch touches a marked gap, or more than half of it never arrived."""
        index, known = self._indices(t_ns)
        state = np.where(known, self._state[index], _MISSING)
        return bool((state == _GAP).any() or (state == _MISSING).mean() > 0.5)

    def _start_of(self, chunk: AudioChunk) -> int:
        start = _sample_index(chunk.t_ns)
        if self._last is not None and abs(start - self._last) <= SNAP:
            start = self._last
        self._last = start + len(chunk.samples)
        return start

    def _indices(self, t_ns: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Places in the ring of every windowed sample, shape (steps, spectra, WINDOW), and which of them are held."""
        absolute = self._offsets + _sample_index(t_ns - self._lag_ns)
        end = self._end if self._end is not None else 0
        known = (absolute < end) & (absolute >= end - self._size)
        return absolute % self._size, known

    def _place(self, start: int, samples: Samples, state: int) -> None:
        stop = start + len(samples)
        self._open_until(stop)
        assert self._end is not None  # noqa: S101 - set by the line above; for the type checker
        first = max(start, self._end - self._size)
        if first >= stop:
            return
        place = np.arange(first, stop) % self._size
        self._samples[place] = samples[first - start :]
        self._state[place] = state

    def _open_until(self, stop: int) -> None:
        """Move the ring's newest end to `stop`, forgetting what stood there."""
        old = self._end if self._end is not None else stop - self._size
        if stop <= old:
            return
        place = np.arange(max(old, stop - self._size), stop) % self._size
        self._samples[place] = 0.0
        self._state[place] = _MISSING
        self._end = stop


def mel_bank() -> npt.NDArray[np.float64]:
    """Triangular mel filters, shape (FFT_SIZE // 2 + 1, AUDIO_BANDS); the peak of each is 1."""
    edges = _to_hz(np.linspace(_to_mel(LOW_HZ), _to_mel(HIGH_HZ), AUDIO_BANDS + 2))
    bins = np.fft.rfftfreq(FFT_SIZE, 1.0 / AUDIO_RATE_HZ)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return np.asarray(np.maximum(triangles, 0.0))


def band_of(frequency_hz: float) -> int:
    """Number of the band that answers most to a tone of that frequency."""
    centres = np.linspace(_to_mel(LOW_HZ), _to_mel(HIGH_HZ), AUDIO_BANDS + 2)[1:-1]
    return int(np.abs(centres - _to_mel(frequency_hz)).argmin())


def _window_offsets(step: float) -> npt.NDArray[np.int64]:
    """Sample offsets from the tick, shape (AUDIO_STEPS, spectra of a step, WINDOW).

    A step longer than one window is covered by overlapping windows whose powers are averaged, so that a short
    sound is not missed at low rates.
    """
    spectra = max(1, 1 + int(np.ceil((step - WINDOW) / HOP)))
    ends = -np.round(step * np.arange(AUDIO_STEPS - 1, -1, -1)).astype(np.int64)
    starts = ends[:, None] - WINDOW - HOP * np.arange(spectra - 1, -1, -1)
    return np.asarray(starts[..., None] + np.arange(WINDOW))


def _sample_index(t_ns: int) -> int:
    return (t_ns * AUDIO_RATE_HZ + 500_000_000) // 1_000_000_000


def _to_mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def _to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)

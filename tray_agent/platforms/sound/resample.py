"""Any device format -> 16 kHz mono, in a stream (numpy; no I/O, no threads; one owner)."""

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import AUDIO_RATE_HZ, Samples

_HALF_TAPS = 48


class Resampler:
    """Low-pass filter, then linear interpolation; delays sound by `_HALF_TAPS` samples of the device (1 ms)."""

    def __init__(self, from_hz: float) -> None:
        """Prepare the filter.

        Args:
            from_hz: the device's sample rate.
        """
        if not from_hz > 0:
            raise ValueError(f"sample rate must be positive, not {from_hz}")
        self._step = from_hz / AUDIO_RATE_HZ
        self._taps = _low_pass(0.45 * min(1.0, 1.0 / self._step))
        self._history = np.zeros(len(self._taps), np.float32)
        self._position = 0.0

    def process(self, samples: Samples) -> Samples:
        """Next stretch, shape (n,), any length -> its 16 kHz samples, shape (about n / ratio,)."""
        if not len(samples):
            return np.zeros(0, np.float32)
        stretch = np.concatenate([self._history, samples])
        # one filtered sample is kept from before, to interpolate from
        smooth = np.convolve(stretch, self._taps, "valid")
        positions = np.arange(self._position, len(samples), self._step)
        out: Samples = np.interp(positions, np.arange(len(smooth)), smooth).astype(np.float32)
        self._history = stretch[-len(self._taps) :]
        if len(positions):
            self._position = float(positions[-1]) + self._step
        self._position -= len(samples)
        return out


def to_mono(interleaved: Samples, channels: int) -> Samples:
    """Mean over channels of frames stored one after another, shape (frames * channels,) -> (frames,)."""
    mono: Samples = interleaved.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return mono


def _low_pass(cut: float) -> npt.NDArray[np.float32]:
    """Windowed-sinc filter with unit gain at 0; `cut` in cycles per sample."""
    n = np.arange(-_HALF_TAPS, _HALF_TAPS + 1)
    taps = np.sinc(2 * cut * n) * np.hamming(len(n))
    gained: npt.NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return gained

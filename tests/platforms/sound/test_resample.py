"""Device formats to 16 kHz mono: pitch, level and length kept, nothing folded back, whatever the block size."""

import numpy as np
import pytest

from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.platforms.sound.resample import Resampler, to_mono


def convert(from_hz: int, hz: float, block: int) -> np.ndarray:
    sound = np.sin(2 * np.pi * hz * np.arange(from_hz) / from_hz).astype(np.float32)
    resampler = Resampler(from_hz)
    return np.concatenate([resampler.process(sound[i : i + block]) for i in range(0, len(sound), block)])


@pytest.mark.parametrize("from_hz", [16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("block", [37, 480])
def test_pitch_level_and_length(from_hz: int, block: int) -> None:
    """One second of a 1 kHz tone stays one second of 1 kHz at the same level."""
    out = convert(from_hz, 1000.0, block)
    assert abs(len(out) - AUDIO_RATE_HZ) <= 1
    middle = out[1000:-1000]
    assert np.abs(np.fft.rfft(middle)).argmax() * AUDIO_RATE_HZ / len(middle) == pytest.approx(1000.0, abs=2.0)
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(1.0, abs=0.03)


def test_block_size_changes_nothing() -> None:
    """The same sound in blocks of another size gives the same samples."""
    n = AUDIO_RATE_HZ - 1
    assert convert(44_100, 700.0, 441)[:n] == pytest.approx(convert(44_100, 700.0, 1000)[:n], abs=1e-5)


def test_what_16_khz_cannot_hold_is_removed() -> None:
    """A 15 kHz tone does not come back as a lower one."""
    assert np.abs(convert(48_000, 15_000.0, 480)[500:]).max() < 0.02


def test_channels_are_averaged() -> None:
    """Frames of two channels become their mean."""
    assert to_mono(np.array([1, 0, 0.5, 0.5], np.float32), 2).tolist() == [0.5, 0.5]

"""Log-mel features: right band, right step, right silence, whatever the order of arrival."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tray_agent.capture.log_mel import MEL, LogMel, band_of
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk
from tray_agent.core.sample import AUDIO_BANDS, AUDIO_STEPS

SECOND = 1_000_000_000
START = 5_000 * SECOND


def tone(hz: float, seconds: float, amplitude: float = 0.5) -> np.ndarray:
    t = np.arange(int(seconds * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    return (amplitude * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def chunks_of(samples: np.ndarray, t_ns: int, size: int = 160) -> list[AudioChunk]:
    return [AudioChunk(t_ns + i * SECOND // AUDIO_RATE_HZ, samples[i : i + size]) for i in range(0, len(samples), size)]


@pytest.mark.parametrize("rate_hz", [5.0, 20.0, 35.0, 60.0])
@pytest.mark.parametrize("hz", [220.0, 1000.0, 3000.0, 6000.0])
def test_tone_lands_in_its_band(hz: float, rate_hz: float) -> None:
    """A tone is loudest in the band around its frequency, at every rate."""
    mel = LogMel(rate_hz)
    mel.add(chunks_of(tone(hz, 0.8), START))
    features = mel.features(START + int(0.8 * SECOND))
    assert features.shape == (AUDIO_STEPS, AUDIO_BANDS)
    assert features.dtype == np.float32
    assert (features.argmax(axis=1) == band_of(hz)).all()


def test_levels_are_decibels_of_full_scale() -> None:
    """A full-scale tone at a band's centre is near 1, and 20 dB less is a quarter of the range lower."""
    levels = []
    for amplitude in (1.0, 0.1):
        mel = LogMel(20.0)
        mel.add(chunks_of(tone(1000.0, 0.5, amplitude), START))
        levels.append(float(mel.features(START + SECOND // 2).max()))
    assert 0.95 <= levels[0] <= 1.0
    assert levels[0] - levels[1] == pytest.approx(0.25, abs=0.03)


def test_silence_and_nothing_are_zero() -> None:
    """Digital silence and sound that never came both give exact zeros."""
    mel = LogMel(20.0)
    assert not mel.features(START).any()
    mel.add(chunks_of(np.zeros(8000, np.float32), START))
    assert not mel.features(START + SECOND // 2).any()
    assert not mel.features(START + 100 * SECOND).any()


def test_sound_appears_in_the_step_when_it_was_made() -> None:
    """Steps follow time stamps: a tone over the tick's last half is heard in the last two steps only."""
    mel = LogMel(5.0)
    sound = np.concatenate([np.zeros(int(0.9 * AUDIO_RATE_HZ), np.float32), tone(1000.0, 0.1)])
    mel.add(chunks_of(sound, START))
    per_step = mel.features(START + SECOND).max(axis=1)
    assert (per_step[:2] == 0).all()
    assert (per_step[2:] > 0.7).all()


def test_lag_shifts_the_stretch() -> None:
    """With a lag, the features at t are those of t - lag without one."""
    plain, late = LogMel(20.0), LogMel(20.0, lag_ns=30_000_000)
    sound = chunks_of(np.random.default_rng(1).uniform(-0.5, 0.5, 16_000).astype(np.float32), START)
    plain.add(sound)
    late.add(sound)
    t = START + int(0.9 * SECOND)
    assert np.array_equal(late.features(t), plain.features(t - 30_000_000))
    assert not np.array_equal(late.features(t), plain.features(t))


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(50)), st.sampled_from([20.0, 60.0]))
def test_order_of_arrival_does_not_matter(order: list[int], rate_hz: float) -> None:
    """Chunks in any order give the features of chunks in order."""
    sound = chunks_of(np.random.default_rng(2).uniform(-1, 1, 8000).astype(np.float32), START)
    in_order, shuffled = LogMel(rate_hz), LogMel(rate_hz)
    in_order.add(sound)
    shuffled.add([sound[i] for i in order])
    t = START + SECOND // 2
    assert np.array_equal(in_order.features(t), shuffled.features(t))


def test_jitter_of_time_stamps_leaves_no_clicks() -> None:
    """Chunks whose stamps miss each other by a millisecond are joined seamlessly."""
    rng = np.random.default_rng(3)
    jittered = [
        AudioChunk(c.t_ns + int(rng.integers(-1_000_000, 1_000_000)), c.samples)
        for c in chunks_of(tone(1000.0, 0.8), START)
    ]
    mel = LogMel(20.0)
    mel.add(jittered)
    quiet_bands = mel.features(START + int(0.7 * SECOND))[:, -3:]
    assert quiet_bands.max() < 0.1


def test_hole_in_the_time_stamps_is_silence() -> None:
    """A stretch without chunks is silent, and sound after it is in its own place."""
    mel = LogMel(20.0)
    mel.add(chunks_of(tone(1000.0, 0.2), START))
    mel.add(chunks_of(tone(1000.0, 0.2), START + int(0.4 * SECOND)))
    assert not mel.features(START + int(0.39 * SECOND)).any()
    assert mel.features(START + int(0.6 * SECOND)).max() > 0.7


def test_gap_flag() -> None:
    """Marked gaps and missing sound are told from silence that was really heard."""
    mel = LogMel(20.0)
    silence = np.zeros(3200, np.float32)
    mel.add([AudioChunk(START, silence), AudioChunk(START + SECOND // 5, silence, gap=True)])
    assert not mel.is_gap(START + SECOND // 5)
    assert mel.is_gap(START + SECOND // 4)
    assert mel.is_gap(START + 2 * SECOND)


def test_older_than_the_memory_is_dropped() -> None:
    """A chunk from long ago changes nothing."""
    mel = LogMel(20.0)
    mel.add(chunks_of(tone(1000.0, 0.3), START))
    before = mel.features(START + int(0.3 * SECOND))
    mel.add([AudioChunk(START - 60 * SECOND, tone(300.0, 0.2))])
    assert np.array_equal(before, mel.features(START + int(0.3 * SECOND)))


def test_numbers_are_tied_to_the_name() -> None:
    """A known sound gives the same numbers for as long as the name stays."""
    mel = LogMel(20.0)
    mel.add(chunks_of(tone(440.0, 0.5) + tone(2500.0, 0.5, 0.1), START))
    expected = [
        0.2750000059604645,
        0.8550000190734863,
        0.949999988079071,
        0.7429999709129333,
        0.17800000309944153,
        0.0,
        0.0,
        0.0,
        0.08900000154972076,
        0.7730000019073486,
        0.7009999752044678,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
    ]
    assert MEL == "mel16x4-1"
    assert mel.features(START + SECOND // 2)[-1] == pytest.approx(np.array(expected), abs=2e-3)


def test_rate_must_be_positive() -> None:
    """A rate of zero is refused at once."""
    with pytest.raises(ValueError, match="rate_hz"):
        LogMel(0.0)

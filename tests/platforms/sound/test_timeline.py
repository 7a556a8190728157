"""Times of recorded sound: joined under jitter, following drift, filled at holes, cut where it would overlap."""

import numpy as np
import pytest

from tray_agent.core.clock import ManualClock
from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.platforms.sound.silence import Silence
from tray_agent.platforms.sound.timeline import MAX_FILL_S, Timeline, duration_ns

MS = 1_000_000
BLOCK = np.full(160, 0.5, np.float32)


def test_jitter_of_arrival_does_not_reach_the_stamps() -> None:
    """Blocks that arrive up to 10 ms late stay joined, close to when they were made."""
    rng = np.random.default_rng(0)
    timeline = Timeline(0)
    previous_end = 0
    for i in range(1, 500):
        (chunk,) = timeline.place(BLOCK, i * 10 * MS + int(rng.integers(0, 10 * MS)) * (i > 1))
        assert abs(chunk.t_ns - previous_end) < 0.5 * MS
        assert abs(chunk.t_ns - (i - 1) * 10 * MS) < 12 * MS
        previous_end = chunk.t_ns + duration_ns(160)


@pytest.mark.parametrize("rate_error", [-0.002, 0.002])
def test_drifting_device_clock_is_followed(rate_error: float) -> None:
    """A device 0.2 % fast or slow stays within 5 ms for as long as it runs."""
    timeline = Timeline(0)
    period = int(10 * MS * (1 + rate_error))
    for i in range(1, 6000):
        chunks = timeline.place(BLOCK, i * period)
        assert len(chunks) == 1
        assert abs(chunks[0].t_ns - (i - 1) * period) < 5 * MS


@pytest.mark.parametrize("gap", [False, True])
def test_hole_is_filled_with_marked_silence(gap: bool) -> None:
    """A jump of half a second is filled with silence of that length, marked as asked."""
    timeline = Timeline(0)
    timeline.place(BLOCK, 10 * MS)
    silence, sound = timeline.place(BLOCK, 520 * MS, gap_before=gap)
    assert (silence.gap, sound.gap) == (gap, False)
    assert len(silence.samples) == AUDIO_RATE_HZ // 2
    assert not silence.samples.any()
    assert sound.t_ns == 510 * MS


def test_burst_of_old_sound_is_cut() -> None:
    """Of a second that arrives at once, only what is not yet covered is kept, and time never goes back."""
    timeline = Timeline(0)
    timeline.place(BLOCK, 10 * MS)
    (chunk,) = timeline.place(np.arange(AUDIO_RATE_HZ, dtype=np.float32), 20 * MS)
    assert chunk.t_ns == 10 * MS
    assert len(chunk.samples) == 160
    assert chunk.samples[-1] == AUDIO_RATE_HZ - 1


def test_fill_is_bounded() -> None:
    """After an hour unread, only the last seconds of silence are made."""
    timeline = Timeline(0)
    (chunk,) = timeline.fill(3600 * 1000 * MS, gap=True)
    assert len(chunk.samples) == int(MAX_FILL_S * AUDIO_RATE_HZ)
    assert timeline.next_ns == 3600 * 1000 * MS


def test_silence_source_follows_the_clock() -> None:
    """The silent source covers time exactly, in any clock, and nothing after close."""
    clock = ManualClock(7_000)
    source = Silence(clock)
    assert source.read() == []
    source.start()
    total = 0
    for _ in range(20):
        clock.advance_ns(50 * MS)
        total += sum(len(c.samples) for c in source.read())
    assert total == AUDIO_RATE_HZ
    source.close()
    source.close()
    assert source.read() == []

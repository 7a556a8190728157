"""Shown time: pauses are cut, sound stays with its pictures."""

import numpy as np

from tray_agent.page.timeline import UNITS_PER_S, shown_sound, sound_level, timeline

S = 1_000_000_000


def test_times_are_kept_without_pauses():
    """Ticks are shown at their own times from the first on, however uneven they are."""
    line = timeline((np.array([5, 5.05, 5.15, 6.5]) * S).astype(np.int64), 20)
    assert line.at.tolist() == [0, 500, 1500, 15_000]
    assert (line.end, line.pauses) == (15_500, ())


def test_times_that_go_back_still_rise():
    """A damaged session's times that stand still or go back are shown one after the other."""
    line = timeline(np.array([3, 3, 1, 2]) * S, 20)
    assert np.all(np.diff(line.at) > 0)
    assert len(line.at) == 4


def test_sound_follows_the_cut():
    """Of a pause one second is left, and the sound after it stays with the tick it belongs to."""
    t_ns = np.array([1, 1.5, 11.5, 12]) * S
    line = timeline(t_ns.astype(np.int64), 2)
    assert line.at.tolist() == [0, 5000, 15_000, 20_000]
    assert line.pauses == ((2, 9.0),)
    samples = np.zeros(16_000 * 14, np.float32)
    samples[round(11.5 * 16_000)] = 1  # at the third tick
    samples[16_000] = 0.5  # at the first
    sound = shown_sound(line, t_ns.astype(np.int64), samples, 0)
    assert len(sound) == 16_000 * line.end // UNITS_PER_S
    assert {int(i): float(sound[i]) for i in np.flatnonzero(sound)} == {0: 0.5, 24_000: 1.0}


def test_sound_that_begins_late_or_ends_early():
    """Where there is no sound there is silence."""
    t_ns = np.arange(1, 5) * S // 2
    line = timeline(t_ns, 2)
    late = shown_sound(line, t_ns, np.ones(4000, np.float32), S)
    assert np.flatnonzero(late).tolist() == list(range(8000, 12_000))
    assert not shown_sound(line, t_ns, np.ones(10, np.float32), 10 * S).any()


def test_level_of_silence_and_of_full_scale():
    """Silence is 0, full scale 1, a tenth of it two thirds."""
    line = timeline(np.arange(3) * S, 1)
    sound = np.repeat(np.array([0, 1, 0.1], np.float32), 16_000)
    assert np.allclose(sound_level(line, sound), [0, 1, 2 / 3], atol=1e-6)

"""Pacer: even ticks, skipped overruns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_agent.core.clock import ManualClock, MonotonicClock
from tray_agent.runtime.pacer import Pacer


def test_ticks_are_even_and_without_drift():
    """At 60 Hz tick 6000 is due after exactly 100 s, though 1/60 s is no whole number of nanoseconds."""
    clock = ManualClock(5)
    pacer = Pacer(clock, 60)
    ticks = [pacer.wait() for _ in range(6001)]
    assert [t.index for t in ticks] == list(range(6001))
    assert ticks[-1].due_ns == 5 + 100 * 10**9 == clock.now_ns()
    assert pacer.report().missed == 0


def test_overrun_skips_and_counts():
    """A loop that is 3.5 periods late gets the newest slot that is due, not a bunch of old ones."""
    clock = ManualClock()
    pacer = Pacer(clock, 10)
    pacer.wait()
    clock.advance_ns(350_000_000)
    tick = pacer.wait()
    assert (tick.index, tick.due_ns, tick.late_ns) == (3, 300_000_000, 50_000_000)
    assert pacer.wait().due_ns == 400_000_000
    report = pacer.report()
    assert (report.ticks, report.overruns, report.missed, report.max_late_ns) == (3, 1, 2, 50_000_000)


def test_small_lateness_is_no_overrun():
    """Work that takes less than a period costs no tick."""
    clock = ManualClock()
    pacer = Pacer(clock, 10)
    for index in range(20):
        assert pacer.wait().index == index
        clock.advance_ns(99_000_000)
    assert pacer.report().overruns == 0


def test_restart_forgives_a_pause():
    """After restart the pause is not counted and the grid begins anew."""
    clock = ManualClock()
    pacer = Pacer(clock, 10)
    pacer.wait()
    clock.advance_ns(10**12)
    pacer.restart()
    assert pacer.wait().late_ns == 0
    assert pacer.report().missed == 0


@given(rate=st.floats(0.5, 1000), work=st.lists(st.integers(0, 5 * 10**9), max_size=60))
def test_grid_holds_under_any_load(rate, work):
    """Whatever the work takes: indices rise, a tick is never early nor a whole period late, and all slots add up."""
    clock = ManualClock(123)
    pacer = Pacer(clock, rate)
    seen = []
    for duration in work:
        tick = pacer.wait()
        assert tick.due_ns == 123 + round(tick.index * (1e9 / rate))
        assert clock.now_ns() == tick.due_ns + tick.late_ns
        assert tick.late_ns <= 1e9 / rate + 1
        seen.append(tick.index)
        clock.advance_ns(duration)
    assert seen == sorted(set(seen))
    if seen:
        assert seen[-1] + 1 == len(seen) + pacer.report().missed


def test_real_time():
    """On the real clock 20 ticks at 200 Hz take 95 ms or more, and no tick is early."""
    clock = MonotonicClock()
    pacer = Pacer(clock, 200)
    first = pacer.wait()
    last = first
    while last.index < 19:
        last = pacer.wait()
        assert clock.now_ns() >= last.due_ns
    assert clock.now_ns() - first.due_ns >= 95_000_000


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_bad_rate(rate):
    """A rate that is no rate is refused."""
    with pytest.raises(ValueError, match="rate_hz"):
        Pacer(ManualClock(), rate)

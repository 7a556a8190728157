"""Rings: bounds, windows, and readers that never see a torn frame."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tray_agent.runtime.ring import FrameRing, RecordRing

SHAPE = (48, 64, 3)
PERIOD = 50_000_000


def _frame(number, shape=SHAPE):
    return np.full(shape, number % 251, np.uint8)


def _filled(count, seconds=0.5, max_bytes=10**9):
    ring = FrameRing(seconds, 20, SHAPE, max_bytes)
    for i in range(count):
        assert ring.append(i * PERIOD, _frame(i))
    return ring


def test_latest_gives_the_newest_oldest_first():
    """latest(n) holds the last n frames with their times, or None while there are fewer."""
    ring = _filled(3)
    assert ring.latest(4) is None
    pixels, times = ring.latest(2)
    assert times.tolist() == [PERIOD, 2 * PERIOD]
    assert (pixels[0] == 1).all()
    assert (pixels[1] == 2).all()


def test_what_readers_get_is_theirs():
    """A snapshot is a copy: writing on does not change it."""
    ring = _filled(10)
    pixels, _ = ring.latest(10)
    before = pixels.copy()
    for i in range(10, 30):
        ring.append(i * PERIOD, _frame(i))
    assert np.array_equal(pixels, before)


def test_bounded_by_seconds_and_by_bytes():
    """Capacity is seconds x rate unless the bytes end sooner, and memory stays within them."""
    assert _filled(40).capacity == len(_filled(40)) == 10
    small = _filled(40, max_bytes=5 * int(np.prod(SHAPE)) + 100)
    assert small.capacity == 4
    assert small.nbytes < 6 * int(np.prod(SHAPE))


@pytest.mark.parametrize(
    ("seconds", "rate", "room"), [(0, 20, 10**9), (1, 0, 10**9), (1, 20, int(np.prod(SHAPE)) * 2 - 1)]
)
def test_impossible_ring(seconds, rate, room):
    """A ring that can't hold two frames is refused."""
    with pytest.raises(ValueError, match=r"ring|bytes"):
        FrameRing(seconds, rate, SHAPE, room)


def test_wrong_asks():
    """Wrong shapes and counts get an error that says what was expected."""
    ring = _filled(1)
    with pytest.raises(ValueError, match="shape"):
        ring.append(10**12, np.zeros((1, 1, 3), np.uint8))
    for n in (0, ring.capacity + 1):
        with pytest.raises(ValueError, match="asked for"):
            ring.latest(n)


def test_counts_late_dropped_refused():
    """Gaps count as dropped frames, half a period as late, times that do not rise as refused; a pause as nothing."""
    ring = FrameRing(2, 20, SHAPE, 10**9)
    for t in (0, 1, 1.6 + 1, 5.6):  # in periods: on time, 1.6 after, 3 after
        ring.append(int(t * PERIOD), _frame(0))
    assert not ring.append(int(5.6 * PERIOD), _frame(0))
    counts = ring.counts()
    assert (counts.written, counts.late, counts.dropped, counts.refused) == (4, 2, 1 + 2, 1)
    ring.restart_timing()
    ring.append(10**12, _frame(0))
    assert ring.counts().dropped == 3


@given(count=st.integers(0, 40), a=st.integers(-5, 45), b=st.integers(-5, 45), shift=st.integers(0, PERIOD - 1))
def test_window_and_at_agree_with_a_list(count, a, b, shift):
    """window and at give what a plain list of the last frames would."""
    ring = _filled(count)
    kept = list(range(max(0, count - ring.capacity), count))
    t0, t1 = a * PERIOD + shift, b * PERIOD + shift
    pixels, times = ring.window(t0, t1)
    assert times.tolist() == [i * PERIOD for i in kept if t0 <= i * PERIOD < t1]
    assert pixels[:, 0, 0, 0].tolist() == [t // PERIOD for t in times.tolist()]
    found, expected = ring.at(t0), [i for i in kept if i * PERIOD <= t0]
    assert (found is None) == (not expected)
    if found is not None:
        assert found[1] == expected[-1] * PERIOD
        assert (found[0] == expected[-1]).all()


def _read_latest(ring, newest):
    return ring.latest(ring.capacity)


def _read_window(ring, newest):
    return ring.window((newest - 3) * PERIOD, newest * PERIOD)


def _read_at(ring, newest):
    one = ring.at(newest * PERIOD)
    return one and (one[0][None], np.array([one[1]]))


def _problem(pixels, times):
    want = (times // PERIOD % 251).astype(np.uint8)
    if not (pixels == want[:, None, None, None]).all():
        return "torn"
    return "not neighbours" if (np.diff(times) != PERIOD).any() else ""


def test_no_reader_ever_sees_a_torn_frame():
    """One writer as fast as it can, three readers: every frame is whole, fits its time, and neighbours follow."""
    ring = FrameRing(0.2, 20, SHAPE, 10**9)  # four frames: the writer comes round all the time
    stop, problems, reads = threading.Event(), [], []

    def loop(read):
        count = 0
        while not stop.is_set():
            got = read(ring, ring.counts().written)
            count += got is not None
            if got is not None and (problem := _problem(*got)):
                problems.append((read.__name__, problem))
        reads.append(count)

    readers = [threading.Thread(target=loop, args=(read,)) for read in (_read_latest, _read_window, _read_at)]
    for reader in readers:
        reader.start()
    number, deadline = 0, time.monotonic() + 1.5
    while time.monotonic() < deadline:
        ring.append(number * PERIOD, _frame(number))
        number += 1
    stop.set()
    for reader in readers:
        reader.join(10)
    assert problems == []
    assert number > 500
    assert min(reads) > 50


@settings(max_examples=60)
@given(sizes=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 400)), max_size=60))
def test_record_ring_keeps_both_bounds(sizes):
    """Whatever comes, neither the span of time nor the bytes are exceeded, and what is kept is the newest."""
    ring = RecordRing(seconds=1e-6, max_bytes=1000)  # 1000 ns
    t, log = 0, []
    for step, size in sizes:
        t += step
        ring.append(t, len(log), size)
        log.append((t, size))
        kept = ring.window(-1, t + 1)
        assert kept == list(range(len(log) - len(kept), len(log)))
        assert sum(log[i][1] for i in kept) == ring.nbytes <= 1000
        assert all(log[i][0] >= t - 1000 for i in kept)


def test_record_ring_since_tells_losses():
    """A reader with a cursor gets each record once and is told how many it missed."""
    ring = RecordRing(seconds=100, max_bytes=3)
    ring.append(0, "a", 1)
    records, cursor, lost = ring.since(0)
    assert (records, cursor, lost) == (["a"], 1, 0)
    for i, name in enumerate("bcdef"):
        ring.append(i, name, 1)
    records, cursor, lost = ring.since(cursor)
    assert (records, cursor, lost) == (["d", "e", "f"], 6, 2)
    assert ring.since(cursor) == ([], 6, 0)
    assert ring.written == 6
    assert len(ring) == 3

"""Mailbox: newest wins, shutting down wakes waiters."""

import threading
import time

from tray_agent.runtime.mailbox import Mailbox


def test_newest_wins_and_is_taken_once():
    """Only the last item is delivered; the others are counted as replaced."""
    box = Mailbox()
    for i in range(3):
        assert box.put(i)
    assert box.replaced == 2
    assert box.get() == 2
    assert box.get() is None


def test_get_waits_for_an_item():
    """A waiting reader gets what another thread puts."""
    box, got = Mailbox(), []
    reader = threading.Thread(target=lambda: got.append(box.get(10)))
    reader.start()
    box.put("x")
    reader.join(5)
    assert got == ["x"]


def test_timeout_returns_none():
    """get gives up after its time-out."""
    begun = time.monotonic()
    assert Mailbox().get(0.02) is None
    assert time.monotonic() - begun >= 0.02


def test_close_wakes_and_refuses():
    """close wakes a reader that waits for ever, drops the item and refuses more."""
    box, got = Mailbox(), []
    reader = threading.Thread(target=lambda: got.append(box.get(None)))
    reader.start()
    box.close()
    reader.join(5)
    assert not reader.is_alive()
    assert got == [None]
    assert not box.put(1)
    assert box.get() is None
    assert box.closed


def test_slow_reader_sees_rising_items_and_the_last():
    """With a fast writer the reader never goes back and always gets the final item."""
    box, got = Mailbox(), []

    def read():
        while (item := box.get(10)) is not None and (got.append(item) or item < 4999):
            pass

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(5000):
        box.put(i)
    reader.join(10)
    assert got == sorted(set(got))
    assert got[-1] == 4999
    assert len(got) + box.replaced == 5000

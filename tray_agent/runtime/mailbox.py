"""A one-slot mailbox between two threads: the newest item wins (standard library only).

Owns the item until it is taken. Any thread may put, any may get.
"""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds at most one item; putting over an item that was not taken replaces and counts it."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._item: list[T] = []  # empty or one, so that None may be an item
        self._closed = False
        self._replaced = 0

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._closed

    @property
    def replaced(self) -> int:
        """Items that were replaced before anyone took them."""
        return self._replaced

    def put(self, item: T) -> bool:
        """Leave an item; never blocks. False when the box is closed."""
        with self._ready:
            if self._closed:
                return False
            self._replaced += len(self._item)
            self._item = [item]
            self._ready.notify()
            return True

    def get(self, timeout_s: float | None = 0.0) -> T | None:
        """Take the item, waiting up to `timeout_s` for it (None: for ever); None on time-out or once closed."""
        with self._ready:
            self._ready.wait_for(lambda: self._closed or bool(self._item), timeout_s)
            if self._closed or not self._item:
                return None
            return self._item.pop()

    def close(self) -> None:
        """Throw the item away and wake all waiters; idempotent."""
        with self._ready:
            self._closed = True
            self._item.clear()
            self._ready.notify_all()

"""Rolling memory of the last seconds: frames in one preallocated block, records in a bounded queue.

A `FrameRing` has one writing thread and any number of readers. Readers copy without a lock and check afterwards that
the writer did not come round to what they copied, so they never hold up the capture; only a reader that was overtaken
takes the writer's lock once. A `RecordRing` (events, sound, actions: small things) uses one short lock.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels

Times = npt.NDArray[np.int64]
T = TypeVar("T")
_OPTIMISTIC_TRIES = 2


@dataclass(frozen=True, slots=True)
class RingCounts:
    """What the writer saw.

    Attributes:
        written: frames taken in.
        late: frames that came more than half a period after they were due.
        dropped: frames that never came, judged by the time between neighbours.
        refused: frames that were not newer than the last one.
    """

    written: int
    late: int
    dropped: int
    refused: int


class FrameRing:
    """The last `seconds` of frames."""

    def __init__(self, seconds: float, rate_hz: float, shape: tuple[int, int, int], max_bytes: int) -> None:
        """Allocate.

        Args:
            seconds: how far back it reaches at `rate_hz`, unless `max_bytes` ends sooner.
            rate_hz: frames expected a second.
            shape: (height, width, 3) of every frame, uint8.
            max_bytes: upper bound of the memory for pixels.

        Raises:
            ValueError: not even two frames fit, or a number is not above zero.
        """
        if seconds <= 0 or rate_hz <= 0:
            raise ValueError(f"a ring needs time and a rate above 0, not {seconds} s at {rate_hz} Hz")
        slots = min(int(np.ceil(seconds * rate_hz)) + 1, max_bytes // max(1, int(np.prod(shape))))
        if slots < 2:
            raise ValueError(f"{max_bytes} bytes are too few for two frames of shape {shape}")
        self._pixels: Pixels = np.empty((slots, *shape), np.uint8)
        self._pixels.fill(0)  # zeros() leaves the memory to be taken page by page, 5 ms each where pages are huge
        self._times: Times = np.zeros(slots, np.int64)
        self._slots = slots
        self._period_ns = 1e9 / rate_hz
        self._lock = threading.Lock()
        self._begun = 0  # frames whose writing has begun; frame s is safe to copy while begun <= s + slots
        self._done = 0
        self._last_ns: int | None = None
        self._pause_after: int | None = None
        self._late = self._dropped = self._refused = 0

    @property
    def capacity(self) -> int:
        """Frames it can hand out at once; one slot is always left to the writer."""
        return self._slots - 1

    @property
    def nbytes(self) -> int:
        """Bytes allocated."""
        return self._pixels.nbytes + self._times.nbytes

    def __len__(self) -> int:
        return min(self._done, self.capacity)

    def append(self, t_ns: int, pixels: Pixels) -> bool:
        """Copy a frame in (writer's thread only); False when it is not newer than the last one.

        Raises:
            ValueError: wrong shape.
        """
        if pixels.shape != self._pixels.shape[1:]:
            raise ValueError(f"frame has shape {pixels.shape}, the ring holds {self._pixels.shape[1:]}")
        if self._last_ns is not None and t_ns <= self._last_ns:
            self._refused += 1
            return False
        self._count_gap(t_ns)
        with self._lock:
            slot = self._begun % self._slots
            self._begun += 1
            self._pixels[slot] = pixels
            self._times[slot] = t_ns
            self._done = self._begun
        self._last_ns = t_ns
        return True

    def restart_timing(self) -> None:
        """Do not count the pause before the next frame as late or dropped (writer's thread only)."""
        self._pause_after = self._last_ns

    def latest(self, n: int) -> tuple[Pixels, Times] | None:
        """Copies of the newest `n` frames, oldest first: uint8 (n, h, w, 3) and their t_ns; None when fewer are held.

        Raises:
            ValueError: n is below 1 or above `capacity`.
        """
        if not 1 <= n <= self.capacity:
            raise ValueError(f"asked for {n} frames of a ring that holds {self.capacity}")
        pixels, times = self._snapshot(lambda held: (max(0, len(held) - n), len(held)))
        return (pixels, times) if len(times) == n else None

    def window(self, t0_ns: int, t1_ns: int) -> tuple[Pixels, Times]:
        """Copies of the frames with t0_ns <= t < t1_ns that are still held, oldest first (maybe none)."""
        return self._snapshot(lambda held: (int(np.searchsorted(held, t0_ns)), int(np.searchsorted(held, t1_ns))))

    def at(self, t_ns: int) -> tuple[Pixels, int] | None:
        """Copy of the newest frame not after `t_ns`, and its time; None when none is held."""

        def newest(held: Times) -> tuple[int, int]:
            stop = int(np.searchsorted(held, t_ns, side="right"))
            return max(0, stop - 1), stop

        pixels, times = self._snapshot(newest)
        return (pixels[0], int(times[0])) if len(times) else None

    def counts(self) -> RingCounts:
        """Counts so far."""
        return RingCounts(self._done, self._late, self._dropped, self._refused)

    def _snapshot(self, pick: Callable[[Times], tuple[int, int]]) -> tuple[Pixels, Times]:
        """Copy the frames that `pick` (times of all held frames -> first, stop among them) chooses, never torn."""
        for _ in range(_OPTIMISTIC_TRIES):
            first, times = self._held()
            if self._overtaken(first):
                continue
            a, b = pick(times)
            copied = self._copy(first + a, first + b)
            if not self._overtaken(first + a):
                return copied
        with self._lock:
            first, times = self._held()
            a, b = pick(times)
            return self._copy(first + a, first + b)

    def _held(self) -> tuple[int, Times]:
        stop = self._done
        first = max(0, stop - self.capacity)
        return first, self._times[np.arange(first, stop) % self._slots]

    def _copy(self, first: int, stop: int) -> tuple[Pixels, Times]:
        index = np.arange(first, stop) % self._slots
        return self._pixels[index], self._times[index]

    def _overtaken(self, first: int) -> bool:
        """Whether the writer has begun to overwrite frame number `first`."""
        return self._begun > first + self._slots

    def _count_gap(self, t_ns: int) -> None:
        last, paused = self._last_ns, self._pause_after
        self._pause_after = None
        if last is None or paused == last:
            return
        gap = (t_ns - last) / self._period_ns
        self._late += gap > 1.5
        self._dropped += max(0, round(gap) - 1)


class RecordRing(Generic[T]):
    """The last records, bounded in seconds and in bytes. Any thread may write or read."""

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._span_ns = int(seconds * 1e9)
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._records: deque[tuple[int, int, T]] = deque()
        self._bytes = 0
        self._written = 0

    @property
    def written(self) -> int:
        """Records taken in since construction; a cursor for `since`."""
        return self._written

    @property
    def nbytes(self) -> int:
        """Bytes held, as told by the writers."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._records)

    def append(self, t_ns: int, record: T, nbytes: int = 64) -> None:
        """Take a record of about `nbytes` bytes; the oldest ones leave to keep the bounds."""
        with self._lock:
            self._records.append((t_ns, nbytes, record))
            self._bytes += nbytes
            self._written += 1
            while self._records and (self._bytes > self._max_bytes or self._records[0][0] < t_ns - self._span_ns):
                self._bytes -= self._records.popleft()[1]

    def window(self, t0_ns: int, t1_ns: int) -> list[T]:
        """Records with t0_ns <= t < t1_ns, in order of arrival."""
        with self._lock:
            return [record for t, _, record in self._records if t0_ns <= t < t1_ns]

    def since(self, cursor: int) -> tuple[list[T], int, int]:
        """Records that came after `cursor`, the new cursor, and how many were lost between; start with 0."""
        with self._lock:
            first = self._written - len(self._records)
            start = max(cursor, first)
            records = [record for _, _, record in islice(self._records, start - first, None)]
            return records, self._written, start - cursor

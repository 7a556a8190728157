"""How fast a process learns, and how long it waits for the others meanwhile. One thread."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tray_agent.training.job import BATCH


@dataclass(frozen=True)
class Speed:
    """Of one process.

    Attributes:
        samples_per_s: ticks learned from in a second.
        waiting: share of the time spent in making gradients those of all, 0 to 1; that of a GPU it does not see.
    """

    samples_per_s: float
    waiting: float


class Pace:
    """Counts updates and seconds, but not those of a `pause`, nor the first `add`, when much is done only once."""

    def __init__(self) -> None:
        self._updates = 0
        self._seconds = self._waited = 0.0
        self._since: float | None = None

    def add(self, updates: int) -> None:
        """So many are done since the last time."""
        now = time.perf_counter()
        if self._since is not None:
            self._seconds += now - self._since
            self._updates += updates
        self._since = now

    @contextmanager
    def pause(self) -> Iterator[None]:
        """What takes place inside the block is not learning."""
        self.add(0)
        yield
        self._since = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside the block it waits for other processes."""
        start = time.perf_counter()
        yield
        if self._since is not None:
            self._waited += time.perf_counter() - start

    @property
    def updates_per_s(self) -> float:
        """Since the beginning."""
        return self._updates / max(1e-6, self._seconds)

    def speed(self) -> Speed:
        """Since the beginning."""
        return Speed(round(BATCH * self.updates_per_s, 1), round(self._waited / max(1e-6, self._seconds), 3))


def in_words(speeds: Sequence[Speed]) -> str:
    """Of all processes, by rank."""
    total = f"{sum(speed.samples_per_s for speed in speeds):.0f} samples a second"
    if len(speeds) == 1:
        return total
    each = ", ".join(f"{speed.samples_per_s:.0f}" for speed in speeds)
    waiting = ", ".join(f"{speed.waiting:.0%}" for speed in speeds)
    return f"{total} ({each} by process, waiting for each other {waiting} of the time)"

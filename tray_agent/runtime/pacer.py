"""A fixed rate for loops: ticks on an even grid, missed ones skipped and counted (standard library only).

Owns no thread; one loop owns one pacer.
"""

from dataclasses import dataclass

from tray_agent.core.clock import Clock


@dataclass(frozen=True, slots=True)
class Tick:
    """One slot of the grid.

    Attributes:
        index: number of the slot since the grid began; jumps when slots were missed.
        due_ns: when it was due.
        late_ns: how much later the loop came to it.
    """

    index: int
    due_ns: int
    late_ns: int


@dataclass(frozen=True, slots=True)
class PacerReport:
    """What happened so far.

    Attributes:
        ticks: ticks handed out.
        overruns: how often the loop came so late that at least one slot was missed.
        missed: slots that were skipped.
        max_late_ns: the latest tick handed out.
    """

    ticks: int
    overruns: int
    missed: int
    max_late_ns: int


class Pacer:
    """Hands out `rate_hz` ticks a second on `clock`. The first `wait()` starts the grid and returns at once.

    After an overrun the next tick is the newest slot that is due already, so ticks never come in a bunch; the grid
    itself does not shift, so the rate has no drift.
    """

    def __init__(self, clock: Clock, rate_hz: float) -> None:
        """Store only.

        Raises:
            ValueError: the rate is not above zero.
        """
        if not 0 < rate_hz < float("inf"):
            raise ValueError(f"rate_hz must be above 0, not {rate_hz}")
        self._clock = clock
        self._period_ns = 1e9 / rate_hz
        self._origin_ns: int | None = None
        self._next = 0
        self._ticks = self._overruns = self._missed = self._max_late_ns = 0

    def wait(self) -> Tick:
        """Sleep until the next slot is due."""
        if self._origin_ns is None:
            self._origin_ns = self._clock.now_ns()
        self._skip_missed(self._clock.now_ns())
        due = self._due(self._next)
        self._clock.sleep_until(due)
        late = max(0, self._clock.now_ns() - due)
        tick = Tick(self._next, due, late)
        self._next += 1
        self._ticks += 1
        self._max_late_ns = max(self._max_late_ns, late)
        return tick

    def restart(self) -> None:
        """Begin a new grid at the next `wait()`, after a pause that is no overrun; counts are kept."""
        self._origin_ns = None
        self._next = 0

    def report(self) -> PacerReport:
        """Counts since construction."""
        return PacerReport(self._ticks, self._overruns, self._missed, self._max_late_ns)

    def _due(self, index: int) -> int:
        assert self._origin_ns is not None  # noqa: S101 - set by wait(), told to the type checker
        return self._origin_ns + round(index * self._period_ns)

    def _skip_missed(self, now_ns: int) -> None:
        if now_ns < self._due(self._next + 1):
            return
        newest = int((now_ns - self._due(0)) / self._period_ns)
        while self._due(newest + 1) <= now_ns:  # the division may round either way
            newest += 1
        while self._due(newest) > now_ns:
            newest -= 1
        self._overruns += 1
        self._missed += newest - self._next
        self._next = newest

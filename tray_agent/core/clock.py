"""Clocks. Everything that carries `t_ns` takes it from one of these (standard library only).

`MonotonicClock` is shared by all processes of a machine (CLOCK_MONOTONIC on Linux,
QueryPerformanceCounter on Windows), so time stamps of daemon, guard and games compare directly.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Source of time for one desktop."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes back."""
        ...

    def sleep_until(self, t_ns: int) -> None:
        """Return when `now_ns() >= t_ns`; returns at once if that moment has passed."""
        ...


class MonotonicClock:
    """Real time."""

    def now_ns(self) -> int:
        # The same clock as monotonic_ns but on Windows, where that ticks every 15.6 ms before Python 3.13.
        return time.perf_counter_ns()

    def sleep_until(self, t_ns: int) -> None:
        while (left := t_ns - self.now_ns()) > 0:
            time.sleep(left / 1e9)


class ManualClock:
    """Virtual time for lockstep desktops and tests: moves only when told."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now = start_ns

    def now_ns(self) -> int:
        return self._now

    def sleep_until(self, t_ns: int) -> None:
        self._now = max(self._now, t_ns)

    def advance_ns(self, delta_ns: int) -> None:
        """Move time forward by `delta_ns` nanoseconds."""
        if delta_ns < 0:
            raise ValueError(f"time can't go back (delta {delta_ns} ns)")
        self._now += delta_ns

"""How long a run goes on: minutes of CPU time, counted over resumes (standard library only)."""

import time
from collections.abc import Iterator


class Budget:
    """CPU time of the thread that runs it, so that other work on the machine takes nothing away.

    Args:
        minutes: of one core.
    """

    def __init__(self, minutes: float) -> None:
        self._seconds = 60.0 * minutes
        self.spent = 0.0
        """Seconds, those before a resume with them."""

    def shares(self) -> Iterator[float]:
        """The share that is spent, below 1, again and again until all of it is."""
        began = time.thread_time() - self.spent
        while (spent := time.thread_time() - began) < self._seconds:
            self.spent = spent
            yield spent / self._seconds

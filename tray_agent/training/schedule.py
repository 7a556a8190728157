"""When the next bundle is due (no torch, no clock of its own).

A young policy gets better by the second, so at first a bundle is due each time it has learned three times as long
as the last one's; later the time between bundles counts.
"""

FIRST_UPDATES = 20
"""With a memory beside the network, as good as any number on ten seconds of play (decisions/0009-retrieval.md)."""
_GROWTH = 3


class BundleSchedule:
    """One trainer's bundles, made or held back."""

    def __init__(self, every_s: float) -> None:
        """Store.

        Args:
            every_s: seconds between bundles, at most.
        """
        self._every_s = every_s
        self._last_s = 0.0
        self.updates = 0
        """Those of the last bundle, 0 before the first."""

    def is_due(self, updates: int, now_s: float, is_saturated: bool) -> bool:
        """Whether one is due after so many updates; `is_saturated`: nothing more will be learned from what is there."""
        if self.updates == 0:
            return updates >= FIRST_UPDATES or is_saturated
        return updates >= _GROWTH * self.updates or now_s - self._last_s >= self._every_s

    def made(self, updates: int, now_s: float) -> None:
        """A bundle of so many updates was made, or held back."""
        self.updates, self._last_s = updates, now_s

"""From memory to network: how much of the memory plays while the network is young (no torch).

One way only, so that nothing goes back and forth: half memory, half network, until the network alone was no worse than
both on stretches nobody learned from, twice in a row. One such measure on ten seconds of play says little.
"""

SHARES = (0.5, 0.0)
"""Of the memory, in this order."""
_PATIENCE = 2


class Handover:
    """One trainer's."""

    def __init__(self, share: float = SHARES[0]) -> None:
        """Store.

        Args:
            share: one of SHARES to begin with.

        Raises:
            ValueError: it is not.
        """
        if share not in SHARES:
            raise ValueError(f"a memory's share is one of {SHARES}, not {share}")
        self.share = share
        """Of the memory, now."""
        self._no_worse = 0

    @property
    def done(self) -> bool:
        """Whether the network plays alone."""
        return self.share == 0.0

    def take(self, network: float, playing: float) -> None:
        """Skills on held-out stretches: of the network alone, and of what plays."""
        if self.done:
            return
        self._no_worse = self._no_worse + 1 if network >= playing else 0
        if self._no_worse >= _PATIENCE:
            self.share, self._no_worse = SHARES[SHARES.index(self.share) + 1], 0

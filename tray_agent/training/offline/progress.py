"""How a run goes, for people: a line that changes on a terminal, a line now and then elsewhere. One thread."""

import time
from dataclasses import dataclass

from rich.console import Console
from rich.status import Status

_EVERY_S = 10.0


@dataclass(frozen=True)
class At:
    """Where a run is.

    Attributes:
        passes, updates: so far.
        share: of the run, 0 to 1.
        seconds: of learning, those before a resume with them.
        updates_per_s: since it was started; 0 while it is not known.
        loss: while learning, smoothed.
        held_out: as `Learner.held_out` gives it.
    """

    passes: float
    updates: int
    share: float
    seconds: float
    updates_per_s: float
    loss: float
    held_out: dict[str, float]

    def __str__(self) -> str:
        parts = [f"pass {self.passes:.1f}", f"{self.updates} updates"]
        parts += [f"{self.updates_per_s:.1f} a second"] if self.updates_per_s else []
        parts += [f"loss {self.loss:.3f}"]
        parts += [judged(self.held_out)] if self.held_out else []
        return ", ".join(parts) + f"; {self.left}"

    @property
    def left(self) -> str:
        """About how long it still takes."""
        return time_left(self.seconds * (1.0 / self.share - 1.0) if self.share > 0 else None)


def time_left(seconds: float | None) -> str:
    """In words."""
    if seconds is None:
        return "time left unknown"
    return f"{seconds / 60:.0f} min left at most" if seconds >= 90 else f"{seconds:.0f} s left at most"


def judged(measures: dict[str, float]) -> str:
    """Held-out measures beside those of doing nothing."""
    skill = f"skill {measures['skill']:.3f} (constant guess 0), " if "skill" in measures else ""
    return (
        f"held out: {skill}loss {measures['loss']:.3f} (constant guess {measures['baseline_loss']:.3f}, "
        f"without picture and sound {measures['blind_loss']:.3f})"
    )


class Progress:
    """Tells on stderr. A context manager, so that the terminal is left in order."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, soft_wrap=True)
        self._line: Status | None = None
        self._told_at = 0.0

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._line = self._console.status("starting")
            self._line.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            self._line.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, highlight=False)

    def at(self, now: object) -> None:
        """Where it is, in its own words; shown at once on a terminal, each ten seconds elsewhere."""
        if self._line is not None:
            self._line.update(str(now))
        elif time.monotonic() - self._told_at >= _EVERY_S:
            self._told_at = time.monotonic()
            self.say(str(now))

"""A file of weights in the making: written again and again, each time whole, while progress is told.

Runs on the caller's thread. Ctrl-C ends it and keeps the file as it was last written; beside it lies what a run needs
to go on (`state_file`) until it is done.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from tray_agent.errors import TrayAgentError
from tray_agent.runtime.atomic_file import write_atomic
from tray_agent.training.offline.progress import Progress, time_left
from tray_agent.training.pretraining.state_file import State, read_state, state_path, write_state

_SAVE_EVERY_S = 60.0


class Making(Protocol):
    """Work that a file of weights comes of."""

    @property
    def recipe(self) -> Any:
        """A dataclass: how it is made."""
        ...

    @property
    def done(self) -> int:
        """Updates so far."""
        ...

    def updates(self) -> Iterator[float]:
        """Work until it is over; yields the share that is done, below 1, often."""
        ...

    def content(self) -> bytes:
        """The file as it is now."""
        ...

    def said(self) -> str:
        """How it goes, for a line of progress."""
        ...

    def state(self) -> State:
        """What it needs to go on."""
        ...

    def go_on(self, state: State) -> None:
        """Go on from there. Raises TrayAgentError: it is another network's."""
        ...


@dataclass(frozen=True)
class _At:
    """Where it is, as a line of progress."""

    work: Making
    share: float
    seconds: float
    lately: float
    """The share that was done in these seconds."""

    def __str__(self) -> str:
        left = self.seconds * (1.0 - self.share) / self.lately if self.lately > 0 else None
        return f"{self.share:.0%}, {self.work.done} updates, {self.work.said()}; {time_left(left)}"


def make_file(work: Making, out: Path, progress: Progress, resume: bool) -> None:
    """Work and write.

    Raises:
        TrayAgentError: it can't go on from where it was, or the file can't be written; the one before stays.
    """
    recipe = asdict(work.recipe)
    if resume:
        work.go_on(read_state(state_path(out), recipe))
        progress.say(f"going on after {work.done} updates")
    try:
        _write_often(work, out, recipe, progress)
        state_path(out).unlink(missing_ok=True)
    except OSError as error:
        raise TrayAgentError(f"{out} can't be written: {error}. Free some space and go on with --resume") from error


def _write_often(work: Making, out: Path, recipe: dict[str, Any], progress: Progress) -> None:
    saved = began = time.monotonic()
    before: float | None = None
    for share in work.updates():
        now = time.monotonic()
        before = share if before is None else before
        progress.at(_At(work, share, now - began, share - before))
        if now - saved >= _SAVE_EVERY_S:
            saved = now
            write_atomic(out, work.content())
            write_state(state_path(out), recipe, work.state())
    write_atomic(out, work.content())

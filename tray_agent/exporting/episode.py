"""What is exported, and what a format is (no I/O but the session's)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tray_agent.core.sample import TickSample
from tray_agent.sessions.reader import SessionReader

Tell = Callable[[int, int], None]
"""Progress: number of the episode, ticks written of it."""


@dataclass(frozen=True)
class Episode:
    """A session on its way out.

    Attributes:
        number: of the episode, from 0.
        reader: of the session; not refreshed any more, so its length stays.
        tell: progress.
    """

    number: int
    reader: SessionReader
    tell: Tell

    @property
    def stem(self) -> str:
        """Name of its files, where a format has files of its own for each."""
        return f"episode_{self.number:06d}"

    def samples(self) -> Iterator[tuple[int, TickSample]]:
        """All ticks in order with their rows; each is told when the caller comes for the next."""
        for row, sample in enumerate(self.reader.samples()):
            yield row, sample
            self.tell(self.number, row + 1)

    def about(self) -> dict[str, Any]:
        """What the formats have no place for, as plain data."""
        info = self.reader.info
        return {
            "episode": self.number,
            "session": self.reader.folder.name,
            "game": info.game,
            "started_utc": info.started_utc,
            "ticks": len(self.reader),
            "spec": info.spec.to_json(),
            "vector": list(info.vector),
            "tools": info.tools,
        }


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: on the command line.
        about: one line for the user.
        lacks: what of a session it has no place for.
        alike: whether all episodes must have the same controls, rate and picture.
        write: writes all episodes into an empty folder. Raises OSError, av.FFmpegError, SessionError, and
            PlatformUnavailable where a library is missing.
    """

    name: str
    about: str
    lacks: tuple[str, ...]
    alike: bool
    write: Callable[[Path, Sequence[Episode]], None]

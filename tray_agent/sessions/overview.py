"""Sessions at a glance: what a list of them shows, without opening pictures or sound. Runs on the caller's thread."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.sessions.append_file import read_lines
from tray_agent.sessions.catalogue import disk_bytes, list_sessions
from tray_agent.sessions.keep import is_kept, kept_note
from tray_agent.sessions.layout import MARKS, TICKS, SessionInfo, load_info
from tray_agent.sessions.lock import is_written
from tray_agent.sessions.ticks import TickCodec


class State(StrEnum):
    """How a session ended."""

    WHOLE = "whole"
    CUT_OFF = "cut off"
    """A crash or power cut ended it; `repair` notes an end."""
    GROWING = "growing"


@dataclass(frozen=True)
class Overview:
    """One session, as much of it as is known quickly.

    Attributes:
        folder: where it lies.
        info: its metadata.
        state: how it ended, if it has.
        ticks: how many; of a session without an orderly end, judged by the size of the file.
        seconds: from its start to its last tick, pauses included.
        bytes: on disk.
        kept: whether the player marked it as one to keep; note: what was noted then.
        takeovers: how often the player took over from the agent.
    """

    folder: Path
    info: SessionInfo
    state: State
    ticks: int
    seconds: float
    bytes: int
    kept: bool
    note: str
    takeovers: int

    @property
    def started(self) -> datetime:
        """When it began, in local time."""
        return datetime.fromtimestamp(self.info.wall_ns / 1e9, UTC).astimezone()

    @property
    def recorder(self) -> str:
        """What made it: the verb, or what else put a name there; "" when it did not say."""
        return str(self.info.extra.get("recorder", ""))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.folder.name, "folder": str(self.folder), "game": self.info.game,
            "started": self.started.isoformat(timespec="seconds"), "state": str(self.state), "ticks": self.ticks,
            "seconds": round(self.seconds, 2), "bytes": self.bytes, "kept": self.kept, "note": self.note,
            "takeovers": self.takeovers, "recorder": self.recorder,
        }  # fmt: skip


@dataclass(frozen=True)
class Overviews:
    """Sessions, oldest first, and what could not be read: folder -> why."""

    sessions: tuple[Overview, ...]
    damaged: dict[Path, str]


def overviews(root: Path, game: str | None = None) -> Overviews:
    """All sessions under `root`, or those of one game; nothing is raised."""
    listing = list_sessions(root, game)
    found, damaged = [], dict(listing.damaged)
    for listed in listing.sessions:
        try:
            found.append(_of(listed.folder, listed.info))
        except SessionError as error:
            damaged[listed.folder] = str(error)
    return Overviews(tuple(sorted(found, key=lambda o: (o.info.wall_ns, o.folder.name))), damaged)


def overview(folder: Path) -> Overview:
    """One session at a glance.

    Raises:
        SessionError: it can't be read.
    """
    return _of(folder, load_info(folder))


def _of(folder: Path, info: SessionInfo) -> Overview:
    try:
        ticks, last_ns = TickCodec(info.spec).glance(folder / TICKS)
        marks = read_lines(folder / MARKS)
    except OSError as error:
        raise SessionError(f"session {folder} can't be read ({error.strerror or error})") from error
    if info.closed is not None:
        state = State.WHOLE
        ticks = int(info.closed.get("ticks", ticks))
    else:
        state = State.GROWING if is_written(folder) else State.CUT_OFF
    seconds = max(0, (info.start_ns if last_ns is None else last_ns) - info.start_ns) / 1e9
    kept = is_kept(folder)
    note = kept_note(folder) if kept else ""
    return Overview(folder, info, state, ticks, seconds, disk_bytes(folder), kept, note, len(takeover_marks(marks)))


def takeover_marks(rows: list[Any]) -> list[tuple[int, int]]:
    """First and last tick of each stretch that a takeover marked as astray, from the rows of `marks.jsonl`."""
    strayed = int(TickFlag.STRAYED)
    return [(int(row[0]), int(row[1])) for row in rows if _is_mark(row) and int(row[2]) & strayed]


def _is_mark(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 3 and all(isinstance(value, int) for value in row)

"""Cuts a session to a stretch of itself: a new session, whole before it takes the old one's place. Caller's thread.

The new one has another name, so that whoever still reads the old one finds it gone, never changed. A kill at any moment
leaves the old session or the new one (see `removal`). Lossless frames are encoded anew, without loss. Others are taken
over as they were coded, so that they don't lose a second time, and the cut begins where a frame stands for itself; a
stretch so short that none does is kept without loss.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import av

from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import SessionError
from tray_agent.sessions.append_file import read_lines
from tray_agent.sessions.files import CopiedTick, Mark, SessionFiles
from tray_agent.sessions.keep import KEEP
from tray_agent.sessions.layout import MARKS, SOUND, TICKS, VIDEO, SessionInfo, new_name
from tray_agent.sessions.lock import held
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.removal import REPLACES, replace_session, waiting_folder
from tray_agent.sessions.sound import sound_pieces
from tray_agent.sessions.ticks import TickCodec
from tray_agent.sessions.wall_clock import last_wall_ns

_PER_S = 1e9


def trim(folder: Path, from_s: float | None = None, to_s: float | None = None) -> Path:
    """Keep the stretch from..to, in seconds since the session began; the new session's folder.

    What is not lossless begins up to two seconds later (see above).

    Raises:
        SessionError: it is being written, can't be read, no tick would be left, or the disk does not take the new one.
    """
    start_ns = SessionReader(folder).info.start_ns
    first_ns = None if from_s is None else start_ns + round(from_s * _PER_S)
    end_ns = None if to_s is None else start_ns + round(to_s * _PER_S)
    return cut(folder, first_ns, end_ns)


def cut(folder: Path, first_ns: int | None, end_ns: int | None) -> Path:
    """Keep what happened from `first_ns` until before `end_ns` on the session's clock (None: no limit); the new folder.

    Raises:
        SessionError: as `trim`.
    """
    with held(folder):
        stretch = _Stretch(SessionReader(folder), first_ns, end_ns)
        new = folder.with_name(new_name(datetime.fromisoformat(stretch.info.started_utc).astimezone(UTC)))
        _make(stretch, waiting_folder(new))
    replace_session(folder, new)
    return new


class _Stretch:
    """A part of a session, as what to write."""

    def __init__(self, session: SessionReader, first_ns: int | None, end_ns: int | None) -> None:
        self.session = session
        start_ns = session.info.start_ns
        self.first_ns = start_ns if first_ns is None else max(first_ns, start_ns)
        self.end_ns = end_ns
        times = session.ticks.t_ns
        self.rows = [row for row in range(len(times)) if self.holds(int(times[row]))]
        if not self.rows:
            raise SessionError(f"session {session.folder} would have no tick left. Delete it instead")
        self.copied = self._begin_at_keyframe() if session.info.quality != "lossless" else False
        self.info = self._info(session.info)

    def holds(self, t_ns: int) -> bool:
        """Whether that moment is in it."""
        return t_ns >= self.first_ns and (self.end_ns is None or t_ns < self.end_ns)

    def samples(self) -> Iterator[TickSample | CopiedTick]:
        """Its ticks with the flags as recorded, for marks come by themselves; the first one follows nothing."""
        recorded = TickCodec(self.session.spec).read(self.session.folder / TICKS).flags
        flags = [TickFlag(int(recorded[row])) for row in self.rows]
        flags[0] |= TickFlag.GAP
        first, count = self.rows[0], len(self.rows)
        if self.copied:
            for (sample, frame), own in zip(self.session.coded(first, first + count), flags, strict=True):
                yield CopiedTick(replace(sample, flags=own), frame)
        else:
            for sample, own in zip(islice(self.session.samples(first), count), flags, strict=True):
                yield replace(sample, flags=own)

    def marks(self) -> Iterator[Mark]:
        """What of each mark lies within it."""
        ticks = self.session.ticks.tick
        first, last = int(ticks[self.rows[0]]), int(ticks[self.rows[-1]])
        for begin, end, flags in read_lines(self.session.folder / MARKS):
            if begin <= last and end >= first:
                yield Mark(max(begin, first), min(end, last), flags)

    def sound(self) -> Iterator[AudioChunk]:
        """Its sound, exactly."""
        start_ns, at = self.session.info.start_ns, 0
        first = _sample(self.first_ns - start_ns)
        end = None if self.end_ns is None else _sample(self.end_ns - start_ns)
        for piece in sound_pieces(self.session.folder / SOUND):
            kept = piece[max(0, first - at) : None if end is None else max(0, end - at)]
            if len(kept):
                t_ns = self.first_ns + round((max(at, first) - first) * _PER_S / AUDIO_RATE_HZ)
                yield AudioChunk(t_ns, kept)
            at += len(piece)

    def end(self) -> dict[str, object]:
        """What to note of its end beside what the files tell."""
        info = self.session.info
        lost = {name: (info.closed or {}).get(name, 0) for name in ("dropped", "lost_records")}
        last_ns = int(self.session.ticks.t_ns[self.rows[-1]])
        return {**lost, "last_wall_ns": last_wall_ns(self.session.folder, info, last_ns)}

    def _begin_at_keyframe(self) -> bool:
        """Leave out what comes before the first frame that stands for itself; False when there is none."""
        row = self.session.keyframe_from(self.rows[0])
        if row is None or row > self.rows[-1]:
            return False
        if row > self.rows[0]:
            self.rows = self.rows[self.rows.index(row) :]
            self.first_ns = int(self.session.ticks.t_ns[row])
        return True

    def _info(self, info: SessionInfo) -> SessionInfo:
        later_ns = self.first_ns - info.start_ns
        started = datetime.fromisoformat(info.started_utc) + timedelta(microseconds=later_ns / 1000)
        return replace(
            info, started_utc=started.isoformat(), wall_ns=info.wall_ns + later_ns, start_ns=self.first_ns,
            extra={**info.extra, REPLACES: self.session.folder.name}, closed=None,
            quality=info.quality if self.copied else "lossless",
        )  # fmt: skip


def _sample(ns: int) -> int:
    return round(ns * AUDIO_RATE_HZ / _PER_S)


def _make(stretch: _Stretch, folder: Path) -> None:
    files = SessionFiles(folder, stretch.info, stretch.session.folder / VIDEO if stretch.copied else None)
    try:
        files.open()
        for sample in stretch.samples():
            files.write(sample)
        if events := [event for event in stretch.session.events if stretch.holds(event.t_ns)]:
            files.write(events)
        for chunk in stretch.sound():
            files.write([chunk])
        for mark in stretch.marks():
            files.write(mark)
        if (stretch.session.folder / KEEP).exists():
            shutil.copy2(stretch.session.folder / KEEP, folder / KEEP)
        files.finish(stretch.end())
    except (SessionError, OSError, av.FFmpegError, TypeError, ValueError) as error:
        files.abandon()
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, SessionError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise SessionError(f"session {stretch.session.folder} can't be cut ({reason}); it is as it was") from error

"""The open files of one session while it is written. One thread uses it: the writer's."""

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av

from tray_agent.core.events import InputEvent
from tray_agent.core.media import AudioChunk
from tray_agent.core.sample import TickSample
from tray_agent.sessions.append_file import AppendFile
from tray_agent.sessions.layout import EVENTS, MARKS, SOUND, TICKS, VIDEO, SessionInfo, save_info
from tray_agent.sessions.lock import SessionLock
from tray_agent.sessions.sound import SoundWriter
from tray_agent.sessions.ticks import TickCodec
from tray_agent.sessions.video import CodedFrame, VideoCopier, VideoWriter


@dataclass(frozen=True, slots=True)
class Mark:
    """Flags to be set on the ticks first..last, both included."""

    first: int
    last: int
    flags: int


@dataclass(frozen=True, slots=True)
class CopiedTick:
    """A tick whose picture is taken over as it was coded; `sample.pixels` does not count."""

    sample: TickSample
    frame: CodedFrame


class SessionFiles:
    """Appends to a session's files. Every method raises OSError or av.FFmpegError when the disk does not take it."""

    def __init__(self, folder: Path, info: SessionInfo, copied_video: Path | None = None) -> None:
        """Store.

        Args:
            folder: of the session.
            info: its metadata.
            copied_video: the file whose coded frames will come, as `CopiedTick`; None: pictures will come.
        """
        self._folder = folder
        self._copied_video = copied_video
        self._info = info
        self._codec = TickCodec(info.spec)
        self._video: VideoWriter | VideoCopier | None = None
        self._sound: SoundWriter | None = None
        self._appended: dict[str, AppendFile] = {}
        self._lock = SessionLock(folder)
        self._last_ns, self._last_wall_ns = info.start_ns, info.wall_ns
        self.ticks = 0

    @property
    def bytes(self) -> int:
        """Bytes written so far."""
        media = sum(m.file.size for m in (self._video, self._sound) if m is not None)
        return media + sum(f.size for f in self._appended.values())

    def open(self) -> None:
        """Make the folder (0700) and its files (0600); the metadata come first, so that the rest always has them.

        Raises SessionError when somebody else writes there.
        """
        for folder in (self._folder.parent.parent, self._folder.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700)
        self._lock.take()
        save_info(self._folder, self._info)
        spec = self._info.spec
        for name in (TICKS, EVENTS, MARKS):
            self._appended[name] = AppendFile(self._folder / name)
        self._appended[TICKS].write(self._codec.header())
        path = self._folder / VIDEO
        if self._copied_video is None:
            self._video = VideoWriter(path, spec.frame_width, spec.frame_height, spec.rate_hz, self._info.quality)
        else:
            self._video = VideoCopier(path, self._copied_video, spec.rate_hz, self._info.quality)
        if spec.audio:
            self._sound = SoundWriter(self._folder / SOUND, self._info.start_ns)

    def write(self, item: TickSample | CopiedTick | list[InputEvent] | list[AudioChunk] | Mark) -> None:
        """Append one item of any kind."""
        if isinstance(item, TickSample):
            assert isinstance(self._video, VideoWriter)  # noqa: S101 - open() made it
            self._video.add(item.pixels)
            self._write_record(item)
        elif isinstance(item, CopiedTick):
            assert isinstance(self._video, VideoCopier)  # noqa: S101 - open() made it
            self._video.add(item.frame)
            self._write_record(item.sample)
        elif isinstance(item, Mark):
            self._appended[MARKS].write_lines([[item.first, item.last, item.flags]])
        else:
            events = [x for x in item if isinstance(x, InputEvent)]
            if events:
                rows = [[e.t_ns, e.kind, e.control, e.value, e.device] for e in events]
                self._appended[EVENTS].write_lines(rows)
            for chunk in item:
                if isinstance(chunk, AudioChunk) and self._sound is not None:
                    self._sound.add(chunk)

    def finish(self, counts: dict[str, Any]) -> None:
        """Close all, then note the orderly end in the metadata; `counts` is added to what is noted."""
        self._close_all()
        ends = {"last_ns": self._last_ns, "last_wall_ns": self._last_wall_ns}
        closed = {"ticks": self.ticks, **ends, "bytes": self.bytes, **counts}
        save_info(self._folder, replace(self._info, closed=closed))
        self._lock.give_back()

    def abandon(self) -> None:
        """Let go of all files after an error, without noting an end; never raises."""
        with contextlib.suppress(OSError, av.FFmpegError):
            self._close_all()
        self._lock.give_back()

    def _write_record(self, sample: TickSample) -> None:
        self._appended[TICKS].write(self._codec.record(sample, int(sample.flags)))
        self._last_ns, self._last_wall_ns = sample.t_ns, int(datetime.now(UTC).timestamp() * 1e9)
        self.ticks += 1

    def _close_all(self) -> None:
        closers = [m.close for m in (self._video, self._sound) if m is not None]
        with contextlib.ExitStack() as stack:  # closes every file even when one of them fails
            for close in (*closers, *(f.close for f in self._appended.values())):
                stack.callback(close)

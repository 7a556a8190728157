"""Reads one session: finished, still growing, or cut off by a crash. No threads; one thread uses a reader.

Holds no file open between calls, so any number of sessions may be open at once.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tray_agent.core.events import InputEvent
from tray_agent.core.media import Pixels, Samples
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import SessionError
from tray_agent.sessions.append_file import read_lines
from tray_agent.sessions.layout import EVENTS, MARKS, SOUND, TICKS, VIDEO, SessionInfo, load_info
from tray_agent.sessions.sound import read_sound, sound_pieces
from tray_agent.sessions.ticks import TickCodec, TickTable
from tray_agent.sessions.video import CodedFrame, VideoReader

_CHUNK = 128


class SessionReader:
    """A session on disk. `len()` is the number of ticks whose record and frame are both there."""

    def __init__(self, folder: Path) -> None:
        """Read all but the pixels.

        Raises:
            SessionError: no session, another version, or damaged beyond its tail.
        """
        self.folder = folder
        self.info: SessionInfo = load_info(folder)
        self._codec = TickCodec(self.info.spec)
        self._video = VideoReader(folder / VIDEO, self.info.spec.frame_width, self.info.spec.frame_height)
        self._recorded = self._codec.empty()
        self.ticks: TickTable = self._recorded
        self.refresh()

    @property
    def spec(self) -> PolicySpec:
        """What was recorded."""
        return self.info.spec

    def __len__(self) -> int:
        return len(self.ticks)

    def refresh(self) -> int:
        """Take in what a writer added since; returns the new length.

        Raises:
            SessionError: see the constructor.
        """
        try:
            if self.info.closed is None:
                self.info = load_info(self.folder)
            new = self._codec.read(self.folder / TICKS, skip=len(self._recorded))
            self._recorded = self._recorded.followed_by(new)
            self._video.refresh()
            self.ticks = self._marked(self._recorded.first(len(self._video)))
        except OSError as error:
            raise SessionError(f"session {self.folder} can't be read ({error})") from error
        self.__dict__.pop("events", None)
        return len(self)

    def frames(self, start: int, stop: int) -> Pixels:
        """Pixels of the rows start..stop-1, uint8 (n, h, w, 3).

        Raises:
            IndexError: out of range.
            SessionError: they can't be decoded.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"frames {start}..{stop} of a session with {len(self)} ticks")
        return self._video.read(start, stop)

    def planes(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """Of the same rows what the network sees (`core.planes`), uint8 (n, 3, h, w).

        Raises:
            IndexError, SessionError: see `frames`.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"frames {start}..{stop} of a session with {len(self)} ticks")
        return self._video.planes(start, stop)

    def samples(self, first: int = 0) -> Iterator[TickSample]:
        """All ticks in order, from row `first` on."""
        table = self.ticks
        for start in range(first, len(table), _CHUNK):
            stop = min(start + _CHUNK, len(table))
            for i, pixels in zip(range(start, stop), self.frames(start, stop), strict=True):
                yield _sample(table, i, pixels)

    def coded(self, start: int, stop: int) -> Iterator[tuple[TickSample, CodedFrame]]:
        """The ticks of the rows start..stop-1 without pixels, and their frames as they lie on the disk.

        Raises:
            SessionError: they can't be read.
        """
        none = np.empty((0, 0, 3), np.uint8)
        for i, frame in zip(range(start, stop), self._video.coded(start, stop), strict=True):
            yield _sample(self.ticks, i, none), frame

    def keyframe_from(self, row: int) -> int | None:
        """The first row from that one on whose frame can be decoded without those before it."""
        found = self._video.keyframe_from(row)
        return found if found is not None and found < len(self) else None

    @cached_property
    def events(self) -> list[InputEvent]:
        """Raw events of the mapped controls, exactly as they came."""
        path = self.folder / EVENTS
        try:
            return [InputEvent(int(t), kind, str(c), float(v), str(d)) for t, kind, c, v, d in read_lines(path)]
        except (TypeError, ValueError) as error:
            raise SessionError(f"{path} is damaged ({error})") from error

    def sound(self) -> Samples:
        """The sound from `info.start_ns` on, float32 (n,) at AUDIO_RATE_HZ; empty without audio."""
        return read_sound(self.folder / SOUND)

    def sound_pieces(self) -> Iterator[Samples]:
        """The same, piece by piece."""
        return sound_pieces(self.folder / SOUND)

    def _marked(self, table: TickTable) -> TickTable:
        path = self.folder / MARKS
        flags = table.flags.copy()
        try:
            for first, last, bits in read_lines(path):
                a, b = np.searchsorted(table.tick, first), np.searchsorted(table.tick, last, side="right")
                flags[a:b] |= np.uint32(bits)
        except (TypeError, ValueError, OverflowError) as error:
            raise SessionError(f"{path} is damaged ({error})") from error
        return replace(table, flags=flags)


def _sample(table: TickTable, row: int, pixels: Pixels) -> TickSample:
    return TickSample(
        tick=int(table.tick[row]),
        t_ns=int(table.t_ns[row]),
        pixels=pixels,
        audio=table.audio[row],
        action=table.actions[row],
        flags=TickFlag(int(table.flags[row])),
    )

"""Writes one session. Owns its folder's files; all disk work and encoding run on one `Worker` thread of its own.

The capture calls `add`, `add_events`, `add_audio` and `mark` and is never held up: a full queue drops and counts, and
an I/O error (disk full) ends the writing with one `SessionError` in `failure` while all on disk stays readable. In
synchronous mode (`threaded=False`, for lockstep) there is no thread and every call has reached the disk on return.
"""

import logging
import queue
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.events import InputEvent
from tray_agent.core.media import AudioChunk, VideoQuality
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import SessionError
from tray_agent.runtime.worker import StopSignal, Worker
from tray_agent.sessions.files import Mark, SessionFiles
from tray_agent.sessions.layout import begin

_log = logging.getLogger(__name__)
_QUEUE_S = 10.0  # how long a stuck disk is borne
_ITEMS_PER_TICK = 4  # a tick, and now and then events, sound, marks
_POLL_S = 0.25

_Item = TickSample | list[InputEvent] | list[AudioChunk] | Mark


@dataclass(frozen=True, slots=True)
class WriterCounts:
    """What happened so far.

    Attributes:
        ticks: ticks written.
        dropped: ticks that found the queue full or came after a failure.
        lost_records: batches of events, sound or marks that met the same fate.
        bytes: written to disk.
    """

    ticks: int
    dropped: int
    lost_records: int
    bytes: int


class SessionWriter:
    """One session from `start()` to `close()`. All methods are for one capturing thread."""

    def __init__(
        self,
        folder: Path,
        spec: PolicySpec,
        game: str,
        vector: Sequence[float],
        *,
        clock: Clock | None = None,
        threaded: bool = True,
        quality: VideoQuality = "lossless",
        on_failure: Callable[[SessionError], None] | None = None,
        on_growth: Callable[[int], None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Store only.

        Args:
            folder: the session's own folder (see `layout.new_folder`); made by `start()`, must not exist.
            spec: what every sample must fit.
            game: name of the game.
            vector: its game vector.
            clock: the desktop's clock, which all `t_ns` come from; real time by default.
            threaded: False for lockstep.
            quality: how closely the pictures are kept.
            on_failure: told once when writing had to end; may be called on the writer's thread.
            on_growth: told after every write how many bytes there are; called on the writer's thread, must not raise.
            extra: plain data kept in `session.json` under "extra".
        """
        self.folder = folder
        self.spec = spec
        self._game, self._vector, self._extra = game, vector, extra or {}
        self._clock = clock or MonotonicClock()
        self._quality = quality
        self._on_failure = on_failure
        self._on_growth = on_growth
        self._queue: queue.Queue[_Item | None] = queue.Queue(int(_QUEUE_S * _ITEMS_PER_TICK * max(1.0, spec.rate_hz)))
        self._worker = Worker("session-writer", self._drain, self._fail) if threaded else None
        self._files: SessionFiles | None = None
        self._closed = False
        self._failure: SessionError | None = None
        self._last_tick = -1
        self._gap = False
        self._dropped = self._lost = 0

    @property
    def failure(self) -> SessionError | None:
        """Why writing ended before its time, None while all is well."""
        return self._failure

    def counts(self) -> WriterCounts:
        """Counts so far."""
        ticks, size = (self._files.ticks, self._files.bytes) if self._files else (0, 0)
        return WriterCounts(ticks, self._dropped, self._lost, size)

    def start(self) -> None:
        """Make the folder and its files, start the thread.

        Raises:
            SessionError: the folder can't be made or written, or the vector does not fit the spec.
        """
        info = begin(self.spec, self._game, self._vector, self._clock.now_ns(), self._extra, self._quality)
        self._files = SessionFiles(self.folder, info)
        try:
            self._files.open()
        except (OSError, av.FFmpegError) as error:
            self._files.abandon()
            raise _session_error(self.folder, error) from error
        if self._worker is not None:
            self._worker.start()

    def add(self, sample: TickSample) -> None:
        """Write one tick; never blocks, keeps copies of the arrays.

        Raises:
            ValueError: it does not fit the spec, or its number is not above the last one's.
        """
        self._check(sample)
        self._last_tick = sample.tick
        flags = sample.flags | TickFlag.GAP if self._gap else sample.flags
        if self._worker is not None:
            sample = replace(sample, pixels=sample.pixels.copy(), action=sample.action.copy(), flags=flags)
        else:
            sample = replace(sample, flags=flags)
        self._gap = not self._put(sample)
        self._dropped += self._gap

    def add_events(self, events: Iterable[InputEvent]) -> None:
        """Write raw events; those of controls that are not mapped, and the agent's own, are left out."""
        kept = [e for e in events if not e.own and e.control in self.spec.controls.names]
        if kept and not self._put(kept):
            self._lost += 1

    def add_audio(self, chunks: Iterable[AudioChunk]) -> None:
        """Write sound; nothing happens when the spec has no audio."""
        kept = list(chunks)
        if kept and self.spec.audio and not self._put(kept):
            self._lost += 1

    def mark(self, first_tick: int, last_tick: int, flags: TickFlag) -> None:
        """Set flags on the ticks first..last (both included), also on such that were written long ago."""
        if not self._put(Mark(first_tick, last_tick, int(flags))):
            self._lost += 1

    def close(self, deadline_s: float = 5.0) -> bool:
        """Write what waits, note the orderly end; idempotent. False when that took longer than `deadline_s`."""
        self.request_close()
        return self.join(deadline_s)

    def request_close(self) -> None:
        """Take nothing more; what waits is written, and the orderly end noted, by the writer's own thread."""
        if self._closed or self._files is None:
            self._closed = True
            return
        self._closed = True
        if self._worker is not None:
            self._worker.request_stop()
            self._wake()
        elif self._failure is None:
            self._finish()

    def join(self, deadline_s: float) -> bool:
        """Wait, on any thread, for the end after `request_close`; False when it is late."""
        return self._worker is None or self._worker.join(deadline_s)

    def _check(self, sample: TickSample) -> None:
        shape = (self.spec.frame_height, self.spec.frame_width, 3)
        if sample.pixels.shape != shape or sample.pixels.dtype != np.uint8:
            raise ValueError(f"frame is {sample.pixels.dtype} {sample.pixels.shape}, the session holds uint8 {shape}")
        if sample.action.shape != (self.spec.controls.size,):
            raise ValueError(f"action has shape {sample.action.shape}, not ({self.spec.controls.size},)")
        if self.spec.audio and sample.audio.shape != self.spec.audio_shape:
            raise ValueError(f"audio has shape {sample.audio.shape}, not {self.spec.audio_shape}")
        if sample.tick <= self._last_tick:
            raise ValueError(f"tick {sample.tick} after tick {self._last_tick}")

    def _put(self, item: _Item) -> bool:
        """Hand an item on; False when it is lost."""
        if self._failure is not None or self._files is None or self._closed:
            return False
        if self._worker is None:
            return self._write(item)
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            return False
        return True

    def _wake(self) -> None:
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return  # then there is work, and the thread is awake

    def _drain(self, stop: StopSignal) -> None:
        """The writer's thread."""
        assert self._files is not None  # noqa: S101 - start() made it before it started this thread
        while self._failure is None:
            try:
                item = self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                item = None
            if item is not None:
                self._write(item)
            elif stop.is_set() and self._queue.empty():
                self._finish()
                return

    def _write(self, item: _Item) -> bool:
        assert self._files is not None  # noqa: S101 - start() made it
        written = self._attempt(self._files.write, item)
        if written and self._on_growth is not None:
            self._on_growth(self._files.bytes)
        return written

    def _finish(self) -> None:
        assert self._files is not None  # noqa: S101 - nothing to finish before start()
        self._attempt(self._files.finish, {"dropped": self._dropped, "lost_records": self._lost})

    def _attempt(self, action: Callable[[Any], None], argument: object) -> bool:
        try:
            action(argument)
        except (OSError, av.FFmpegError) as error:
            self._fail(error)
            return False
        return True

    def _fail(self, error: BaseException) -> None:
        failure = _session_error(self.folder, error)
        failure.__cause__ = error
        self._failure = failure
        _log.error("%s", failure)
        if self._files is not None:
            self._files.abandon()
        if self._on_failure is not None:
            self._on_failure(failure)


def _session_error(folder: Path, error: BaseException) -> SessionError:
    reason = getattr(error, "strerror", None) or error
    return SessionError(
        f"session {folder} can't be written any more ({reason}); what is there stays readable. "
        "Free disk space or choose another data folder, then watch again"
    )

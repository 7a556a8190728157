"""A replay that reads its pictures from disk as they are needed, in short segments (numpy).

In memory are, of all sessions, what was held and heard, and of a window of segments the pictures. The window moves
over all segments in a new random order each pass, so far with each batch that every tick can be drawn about once a
pass. Which segments it holds follows from the number of batches drawn: a run that is resumed has the same ones.
"""

import threading
from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels
from tray_agent.core.motion import MOTION_SECONDS, motion
from tray_agent.core.planes import PLANES, Planes, planes_of
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.sessions.reader import SessionReader
from tray_agent.training.job import BATCH
from tray_agent.training.offline.recordings import Skip
from tray_agent.training.replay import _POSITION, Batch, Integers, Replay, _Index, _Session

_AHEAD = 16
"""Segments that are read before they are needed."""
_LEAST_TICKS = 2 * BATCH
"""In the window, however little memory it is given: a batch moves it by as many ticks as are drawn."""
_MOTION_STRETCHES = 64
_MOTION_LENGTH = 8
"""Stretches that motion is measured in, and how many times longer than MOTION_SECONDS each is."""


class SegmentReplay(Replay):
    """As `Replay`, of sessions that do not grow. `close()` ends its reading thread, which begins with the first batch.

    Args:
        spec: of all sessions.
        readers: sessions by name.
        held_out: sessions that nothing is learned from, beside each session's held-out stretches.
        segment: ticks in a segment.
        max_bytes: for the window.
        seed: of order and draws.
        skip: told of sessions with pictures that can't be read; the rest of them is used.
        rank, ranks: this process draws from each `ranks`-th segment of a pass.

    Raises:
        SessionError: there is not a segment for each process.
    """

    def __init__(
        self, spec: PolicySpec, readers: Mapping[str, SessionReader], held_out: Collection[str], segment: int,
        max_bytes: int, seed: int, skip: Skip, rank: int = 0, ranks: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(spec, 0, seed)
        self._readers = list(readers.values())
        self._names = list(readers)
        self._whole = frozenset(held_out)
        self._segment, self._seed, self._skip = segment, seed, skip
        self._rank, self._ranks = rank, ranks
        self._random = np.random.default_rng([seed, rank])
        self._before = spec.frames - 1
        for name, reader in readers.items():
            self._sessions[name] = _session_of(reader)
            self.total += len(reader)
        index = self._indexed()
        self._segments, self._chances = _segments_of(index, segment)
        if 0 < len(self._segments) < ranks:
            raise SessionError(f"{len(self._segments)} segments are too few for {ranks} processes; start fewer of them")
        self._mine = len(range(rank, len(self._segments), ranks))
        bytes_each = (segment + self._before) * PLANES * spec.frame_height * spec.frame_width
        room = max(ceil(_LEAST_TICKS / segment), max_bytes // bytes_each)
        self._slots = min(self._mine, room)
        self._stays = len(range(0, len(self._segments), ranks)) <= room  # for all processes or for none
        self._order: tuple[int, Integers] = (-1, np.zeros(0, np.int64))
        self._planes = np.zeros((0,), np.uint8)
        self._held = np.zeros((self._slots, 2), np.int64)  # session and first tick of the segment in each slot
        self._odds = np.zeros((self._slots, segment))
        self._cumulative = np.zeros(0)
        self._filled = 0  # places of the order that have been in the window
        self.batches = 0
        """Drawn so far."""
        self._reading = threading.Lock()  # a reader is for one thread at a time
        self._pool = ThreadPoolExecutor(1, "segment-reader")  # its thread starts when it is needed
        self._coming: deque[Future[Planes | None]] = deque()
        self._asked = 0  # places of the order that were asked for
        self._broken: set[str] = set()
        self._probe: Batch | None = None
        self._moved = False

    def close(self) -> None:
        """End the reading thread."""
        self._pool.shutdown(cancel_futures=True)

    @property
    def batches_per_pass(self) -> int:
        """Batches after which each tick has been drawn once, on average."""
        return max(1, ceil(self.learnable() / (BATCH * self._ranks)))

    @property
    def window_bytes(self) -> int:
        """Memory for pictures."""
        height, width = self._spec.frame_height, self._spec.frame_width
        return self._slots * (self._segment + self._before) * PLANES * height * width

    def state(self) -> dict[str, Any]:
        """Where it is, as plain data."""
        return {"batches": self.batches, "random": self._random.bit_generator.state}

    def go_to(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.batches = int(state["batches"])
        self._random.bit_generator.state = state["random"]
        self._coming.clear()
        if not (self._stays and self._filled == self._mine):
            self._filled = max(0, self._end() - self._slots)
        self._asked = self._filled

    def draw(self, n: int) -> Batch:
        """As `Replay.draw`, from the window."""
        self._move()
        self.batches += 1
        places = np.searchsorted(self._cumulative, self._random.random(n) * self._cumulative[-1], side="right")
        places = places.clip(0, self._odds.size - 1)
        frames = np.empty((n, *self._shape), np.uint8)
        audio = np.empty((n, *self._spec.audio_shape), np.float32)
        actions = np.empty((n, self._spec.controls.size), np.float32)
        for row, (slot, offset) in enumerate(zip(*np.divmod(places, self._segment), strict=True)):
            session = self._sessions[self._names[self._held[slot, 0]]]
            tick = int(self._held[slot, 1] + offset)
            first = tick - offset - self._before
            for n_frame, j in enumerate(self._seen_at(session, tick)):
                frames[row, n_frame] = self._planes[slot, j - first, 0]
            frames[row, self._spec.frames :] = self._planes[slot, tick - first, 1:]
            audio[row], actions[row] = session.audio[tick], session.actions[tick]
        return Batch(frames, audio, actions)

    def held_out(self, limit: int = 512) -> Batch | None:
        """As `Replay.held_out`, of whole sessions where some are held out; read once."""
        if self._probe is None:
            index = self._indexed()
            ticks = _spread(index.held_out[self._of_whole(index.held_out)] if self._whole else index.held_out, limit)
            self._probe = self._gather(index, ticks) if len(ticks) else None
        return self._probe

    def judged(self, limit: int = 512) -> Integers:
        """Ticks, packed, of the stretches of all sessions that no trainer ever learns from."""
        out = self._indexed().held_out
        return _spread(out[super()._is_held_out("", out & _POSITION)], limit)

    def pictures(self, packed: Integers) -> Pixels:
        """What is seen at ticks (packed), as it is played on: uint8, shape (n, frames, H, W, 3).

        Raises:
            SessionError: pictures can't be read.
        """
        s = self._spec
        out = np.empty((len(packed), s.frames, s.frame_height, s.frame_width, 3), np.uint8)
        for row, p in enumerate(packed.tolist()):
            number, tick = p >> 40, p & _POSITION
            seen = self._seen_at(self._sessions[self._names[number]], tick)
            pixels = self._read(number, seen[0], tick + 1)
            out[row] = pixels[np.array(seen) - seen[0]]
        return out

    def heard_and_done(self, packed: Integers) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Sound features (n, *audio_shape) and actions (n, controls.size) of ticks."""
        rows = [(self._sessions[self._names[p >> 40]], p & _POSITION) for p in packed.tolist()]
        return np.stack([s.audio[i] for s, i in rows]), np.stack([s.actions[i] for s, i in rows])

    def some_frames(self, n: int) -> npt.NDArray[np.uint8]:
        """As `Replay.some_frames`."""
        planes = []
        for number, session in enumerate(self._sessions.values()):
            count = min(max(1, n // len(self._sessions)), session.length)
            for i in np.unique(np.linspace(0, session.length - 1, count).astype(np.int64)).tolist():
                try:
                    planes.append(planes_of(self._read(number, i, i + 1)[0]))
                except SessionError as error:
                    self._tell(number, error)
        if not planes:
            raise SessionError("no picture of any session can be read; record again")
        return np.stack(planes)

    def least_motion(self) -> float:
        """As `Replay.least_motion`, from stretches spread over everything."""
        if not self._moved:
            self._moved = True
            self._measure_motion()
        return super().least_motion()

    # -- the window --------------------------------------------------------------------------------------------------

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (self._spec.frames + PLANES - 1, self._spec.frame_height, self._spec.frame_width)

    def _end(self) -> int:
        """Place of the order that the window reaches to, for the batch that is drawn next."""
        if self._stays:
            return self._mine  # all of it, always
        return self._slots + self.batches * self._mine // self.batches_per_pass

    def _move(self) -> None:
        """Fill the window up to where it shall reach."""
        if not self._mine:
            raise ValueError("nothing to learn from yet")
        end = self._end()
        if self._filled == end:
            return
        if not self._planes.size:
            height, width = self._spec.frame_height, self._spec.frame_width
            self._planes = np.zeros((self._slots, self._segment + self._before, PLANES, height, width), np.uint8)
        while self._filled < end:
            self._ask(end)
            segment = self._at(self._filled)
            slot = self._filled % self._slots
            self._put(slot, segment, self._coming.popleft().result())
            self._filled += 1
        self._ask(end + _AHEAD)
        self._cumulative = np.cumsum(self._odds.ravel())
        if not self._cumulative[-1] > 0:
            raise SessionError("no picture to learn from can be read; record again")

    def _ask(self, end: int) -> None:
        """Have read ahead, up to a place; not more at a time than _AHEAD."""
        if self._stays:
            end = min(end, self._mine)
        while self._asked < end and len(self._coming) < _AHEAD:
            self._coming.append(self._pool.submit(self._load, self._at(self._asked)))
            self._asked += 1

    def _at(self, place: int) -> int:
        """Segment at a place of the endless order."""
        turn, offset = divmod(place, self._mine)
        if self._order[0] != turn:
            order = np.random.default_rng([self._seed, turn]).permutation(len(self._segments))
            self._order = (turn, order[self._rank :: self._ranks])
        return int(self._order[1][offset])

    def _load(self, segment: int) -> Planes | None:
        """Planes of a segment and of what is seen with its first tick, None if they can't be read. Reading thread."""
        number, first = self._segments[segment].tolist()
        a, b = max(0, first - self._before), min(first + self._segment, self._sessions[self._names[number]].length)
        try:
            with self._reading:
                planes = self._readers[number].planes(a, b)
        except SessionError as error:
            self._tell(number, error)
            return None
        out = np.zeros((self._segment + self._before, *planes.shape[1:]), np.uint8)
        row = a - (first - self._before)
        out[row : row + len(planes)] = planes
        return out

    def _put(self, slot: int, segment: int, planes: Planes | None) -> None:
        self._held[slot] = self._segments[segment]
        self._odds[slot] = 0.0 if planes is None else self._chances[segment]
        if planes is not None:
            self._planes[slot] = planes

    # -- from disk ---------------------------------------------------------------------------------------------------

    def _read(self, number: int, start: int, stop: int) -> Pixels:
        with self._reading:
            return self._readers[number].frames(start, stop)

    def _tell(self, number: int, error: SessionError) -> None:
        name = self._names[number]
        if name not in self._broken:
            self._broken.add(name)
            self._skip(name, f"a part of it: {error}")

    def _seen_at(self, session: _Session, tick: int) -> list[int]:
        """Positions of the frames that are seen at one, oldest first."""
        start = session.starts[int(np.searchsorted(session.starts, tick, side="right")) - 1]
        return [max(start, j) for j in range(tick - self._before, tick + 1)]

    def _gather(self, _: _Index, packed: Integers) -> Batch:
        """As `Replay._gather`; ticks whose pictures can't be read are left out."""
        kept, frames = [], []
        for one in packed.tolist():
            try:
                pixels = self.pictures(np.array([one]))[0]
            except SessionError as error:
                self._tell(one >> 40, error)
                continue
            planes = [planes_of(picture) for picture in pixels]
            frames.append(np.concatenate([[p[0] for p in planes], planes[-1][1:]]))
            kept.append(one)
        if not kept:
            raise SessionError("no picture of the held-out play can be read; record again or hold out other sessions")
        return Batch(np.stack(frames), *self.heard_and_done(np.array(kept)))

    def _is_held_out(self, session: str, position: Integers) -> npt.NDArray[np.bool_]:
        return super()._is_held_out(session, position) | (session in self._whole)

    def _of_whole(self, packed: Integers) -> npt.NDArray[np.bool_]:
        whole = np.array([name in self._whole for name in self._names])
        chosen: npt.NDArray[np.bool_] = whole[packed >> 40]
        return chosen

    def _measure_motion(self) -> None:
        length = _MOTION_LENGTH * max(2, round(MOTION_SECONDS * self._spec.rate_hz))
        ends = np.cumsum([session.length for session in self._sessions.values()])
        for place in np.unique(np.linspace(0, max(0, self.total - length), _MOTION_STRETCHES).astype(np.int64)):
            number = int(np.searchsorted(ends, place, side="right"))
            session = self._sessions[self._names[number]]
            first = int(place - (ends[number] - session.length))
            try:
                pixels = self._read(number, first, min(first + length, session.length))
            except SessionError as error:
                self._tell(number, error)
                continue
            for i in range(1, len(pixels)):
                if first + i not in session.starts:
                    session.motion[first + i] = motion(pixels[i - 1], pixels[i])


def _session_of(reader: SessionReader) -> _Session:
    """What is in memory of a session; ticks whose action is no number are never learned from."""
    table = reader.ticks
    count = len(table)
    usable = np.isfinite(table.actions).all(1)
    flags = np.where(usable, table.flags, table.flags & ~np.uint32(TickFlag.LEARN)).astype(np.int32)
    begins = (table.flags & int(TickFlag.GAP) != 0) | (np.diff(table.tick, prepend=-2) != 1)
    begins[:1] = True
    return _Session(
        audio=np.nan_to_num(table.audio),
        actions=np.nan_to_num(table.actions),
        flags=flags,
        ticks=table.tick,
        motion=np.full(count, np.nan, np.float32),
        length=count,
        starts=np.flatnonzero(begins).tolist(),
    )


def _spread(packed: Integers, limit: int) -> Integers:
    """Up to `limit` of them, evenly spread."""
    return packed[np.linspace(0, len(packed) - 1, min(limit, len(packed))).astype(np.int64)]


def _segments_of(index: _Index, length: int) -> tuple[Integers, npt.NDArray[np.float64]]:
    """Session and first tick of each segment that can be learned from (n, 2); chances of its ticks (n, length)."""
    number, tick = index.learn >> 40, index.learn & _POSITION
    keys, which = np.unique((number << 40) + tick // length, return_inverse=True)
    chances = np.zeros((len(keys), length))
    chances[which, tick % length] = np.diff(index.cumulative, prepend=0.0)
    return np.stack([keys >> 40, (keys & _POSITION) * length], axis=1), chances

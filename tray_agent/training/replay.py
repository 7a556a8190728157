"""Everything the trainer may learn from, in memory: all sessions of one game (numpy; one thread at a time).

`core/held_out.py` says which ticks are not learned from.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tray_agent.core.held_out import are_held_out
from tray_agent.core.media import Pixels
from tray_agent.core.motion import MOTION_SECONDS, motion
from tray_agent.core.planes import PLANES, Planes, planes_of
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample

BLOCK = 512
"""Ticks whose frames are allocated, and given up, together."""
_STALE_SHARE = 100  # the index may miss the newest hundredth: building it costs more than they are worth

_LEAST_BLOCKS = 2
_CORRECTION_WEIGHT = 3.0
_POSITION = (1 << 40) - 1
Integers = npt.NDArray[np.int64]


@dataclass
class Batch:
    """Arrays of one training step; n is the batch size."""

    frames: npt.NDArray[np.uint8]  # (n, frames + 2, H, W): luma, oldest first; red and blue difference of the last
    audio: npt.NDArray[np.float32]  # (n, *audio_shape)
    actions: npt.NDArray[np.float32]  # (n, controls.size), those `Replay.offset` ticks after the picture
    ticks: Integers = field(default_factory=lambda: np.zeros(0, np.int64))  # (n,), as `Replay.around` takes them


@dataclass
class _Session:
    """Ticks of one session by position: dense, from 0. Frames lie in blocks, the oldest of which may be gone."""

    audio: npt.NDArray[np.float32]
    actions: npt.NDArray[np.float32]
    flags: npt.NDArray[np.int32]
    ticks: Integers
    motion: npt.NDArray[np.float32]  # from the frame before; nan where there is none
    last_pixels: Pixels | None = None
    blocks: list[npt.NDArray[np.uint8] | None] = field(default_factory=list)
    gone: int = 0  # positions before this one have lost their frames
    length: int = 0
    starts: list[int] = field(default_factory=list)  # positions where history may not reach over

    @property
    def last_tick(self) -> int:
        return int(self.ticks[self.length - 1]) if self.length else -1

    def append(self, sample: TickSample) -> bool:
        """Take a tick; True when a new block was made for it."""
        i = self.length
        if i == len(self.flags):
            self._grow()
        # a hole (ticks lost) is closed: positions stay dense, history just may not reach over it
        if i == 0 or sample.flags & TickFlag.GAP or sample.tick != self.last_tick + 1:
            self.starts.append(i)
            self.last_pixels = None
        self.motion[i] = np.nan if self.last_pixels is None else motion(self.last_pixels, sample.pixels)
        self.last_pixels = sample.pixels
        begins_block = i % BLOCK == 0
        if begins_block:
            self.blocks.append(np.empty((BLOCK, PLANES, *sample.pixels.shape[:2]), np.uint8))
        self.frame(i)[:] = planes_of(sample.pixels)
        self.audio[i], self.actions[i] = np.nan_to_num(sample.audio), sample.action
        self.flags[i], self.ticks[i] = int(sample.flags), sample.tick
        self.length += 1
        return begins_block

    def frame(self, i: int) -> Planes:
        """Planes of a position that is not gone."""
        block = self.blocks[i // BLOCK]
        assert block is not None  # noqa: S101 - positions below `gone` are never asked for
        planes: Planes = block[i % BLOCK]
        return planes

    def history(self, i: int, frames: int, into: npt.NDArray[np.uint8]) -> None:
        """Luma of the last `frames` frames up to position i, then the colour of the last, into (frames + 2, H, W).

        The first frame of its stretch is repeated where there are too few.
        """
        start = max(self.gone, self.stretch(i)[0])
        for n, j in enumerate(range(i - frames + 1, i + 1)):
            into[n] = self.frame(max(start, j))[0]
        into[frames:] = self.frame(i)[1:]

    def stretch(self, i: int) -> tuple[int, int]:
        """First and last position of the stretch that a position is in."""
        after = int(np.searchsorted(self.starts, i, side="right"))
        return self.starts[after - 1], (self.starts[after] if after < len(self.starts) else self.length) - 1

    def drop_block(self) -> int:
        """Give up the oldest block of frames; returns how many ticks went with it."""
        before = self.gone
        self.blocks[before // BLOCK] = None
        self.gone = min(self.length, before + BLOCK)
        return self.gone - before

    def _grow(self) -> None:
        for name in ("audio", "actions", "flags", "ticks", "motion"):
            old = getattr(self, name)
            more = np.zeros((max(BLOCK, len(old) // 2), *old.shape[1:]), old.dtype)
            setattr(self, name, np.concatenate([old, more]))


@dataclass(frozen=True)
class _Index:
    """What can be drawn; a tick is packed as session number << 40 | position."""

    sessions: list[_Session]
    learn: Integers
    cumulative: npt.NDArray[np.float64]  # weights of `learn`, summed up
    held_out: Integers
    total: int  # ticks held when it was built


def _block_bytes(spec: PolicySpec) -> int:
    return BLOCK * spec.frame_height * spec.frame_width * PLANES


def least_bytes(spec: PolicySpec) -> int:
    """Memory for frames that a replay takes, however little it was given."""
    return _LEAST_BLOCKS * _block_bytes(spec)


class Replay:
    """All samples of one game, up to `max_bytes` of frames; when full, the oldest ticks go first."""

    def __init__(self, spec: PolicySpec, max_bytes: int, seed: int = 0) -> None:
        self._spec = spec
        self._max_blocks = max(_LEAST_BLOCKS, max_bytes // _block_bytes(spec))
        self._blocks = 0
        self._random = np.random.default_rng(seed)
        self._sessions: dict[str, _Session] = {}
        self._index: _Index | None = None
        self._offset = 0
        self.total = 0
        """Ticks held."""

    @property
    def offset(self) -> int:
        """So many ticks after a picture was done what is learned with it: the time the player needs to answer it."""
        return self._offset

    @offset.setter
    def offset(self, ticks: int) -> None:
        self._offset, self._index = ticks, None

    def add(self, session: str, sample: TickSample) -> None:
        """Append one tick. Names of sessions sort by age.

        Ticks at or before the session's last one are ignored, so that repeats after a restart do no harm.
        """
        held = self._sessions.get(session)
        if held is None:
            held = self._sessions[session] = self._new_session()
        if sample.tick <= held.last_tick:
            return
        if not np.isfinite(sample.action).all():
            return  # nothing can be learned from it, and one such tick would spoil every batch it is drawn into
        self._blocks += held.append(sample)
        self.total += 1
        while self._blocks > self._max_blocks:
            self._drop_oldest()

    def mark(self, session: str, first: int, last: int, flags: TickFlag) -> None:
        """Add flags to ticks first..last of a session; unknown ones are ignored."""
        held = self._sessions.get(session)
        if held is not None:
            ticks = held.ticks[: held.length]
            a, b = np.searchsorted(ticks, first), np.searchsorted(ticks, last, side="right")
            held.flags[a:b] |= int(flags)
            self._index = None

    def last_tick(self, session: str) -> int:
        """Number of the last tick held of a session, -1 if none."""
        held = self._sessions.get(session)
        return held.last_tick if held is not None else -1

    @property
    def sessions(self) -> int:
        """How many sessions are held."""
        return len(self._sessions)

    @property
    def full(self) -> bool:
        """Whether what is added now pushes older ticks out."""
        return self._blocks >= self._max_blocks

    @property
    def frame_bytes(self) -> int:
        """Memory that frames take."""
        return self._blocks * _block_bytes(self._spec)

    def learnable(self) -> int:
        """How many ticks can be drawn for learning."""
        return len(self._indexed().learn)

    def draw(self, n: int) -> Batch:
        """A random batch; rare combinations of held buttons are drawn more often (weight count^-0.5), corrections too.

        Raises:
            ValueError: nothing learnable yet.
        """
        return self._gather(*self._drawn(n))

    def spread(self, limit: int) -> tuple[Batch, npt.NDArray[np.float64]]:
        """Up to `limit` of the ticks that can be drawn, spread evenly, and how often each is drawn.

        Raises:
            ValueError: nothing learnable yet.
        """
        index = self._indexed()
        count = len(index.learn)
        if not count:
            raise ValueError("nothing to learn from yet")
        places = np.linspace(0, count - 1, min(limit, count)).astype(np.int64)
        return self._gather(index, index.learn[places]), np.diff(index.cumulative, prepend=0.0)[places]

    def held_out(self, limit: int = 512) -> Batch | None:
        """Evenly spread ticks of the held-out stretches, None while there are none."""
        index = self._indexed()
        count = len(index.held_out)
        if not count:
            return None
        return self._gather(index, index.held_out[np.linspace(0, count - 1, min(limit, count)).astype(np.int64)])

    def around(self, ticks: Integers, ahead: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which buttons are held from the tick before each of n ticks to `ahead` after it, and which of them are known.

        Args:
            ticks: of a batch, before anything was added since.
            ahead: how many.

        Returns:
            (n, ahead + 2, buttons), and (n, ahead + 2): whether that tick is of the same stretch.
        """
        sessions = self._indexed().sessions
        buttons = len(self._spec.controls.buttons)
        held = np.zeros((len(ticks), ahead + 2, buttons), bool)
        known = np.zeros((len(ticks), ahead + 2), bool)
        for row, p in enumerate(ticks.tolist()):
            session, i = sessions[p >> 40], p & _POSITION
            first, last = session.stretch(i)
            positions = np.arange(i - 1, i + ahead + 1)
            known[row] = (positions >= first) & (positions <= last)
            held[row] = session.actions[positions.clip(first, last), :buttons] >= 0.5
        return held, known

    def some_frames(self, n: int) -> npt.NDArray[np.uint8]:
        """Planes of up to n frames of all sessions, shape (n, 3, H, W); at least one tick must be held."""
        per = max(1, n // max(1, len(self._sessions)))
        return np.stack(
            [
                s.frame(int(i))
                for s in self._sessions.values()
                for i in np.unique(np.linspace(s.gone, s.length - 1, min(per, s.length - s.gone)).astype(np.int64))
            ]
        )

    def some_actions(self, n: int) -> npt.NDArray[np.float32]:
        """n actions drawn as `draw` does, shape (n, controls.size).

        Raises:
            ValueError: nothing learnable yet.
        """
        index, places = self._drawn(n)
        return np.stack([index.sessions[p >> 40].actions[(p & _POSITION) + self._offset] for p in places.tolist()])

    def least_motion(self) -> float:
        """How little the picture moved for the player: first percentile of the mean over MOTION_SECONDS, grey levels.

        0 while there is less than a few such stretches.
        """
        ticks = max(2, round(MOTION_SECONDS * self._spec.rate_hz))
        means = []
        for s in self._sessions.values():
            values = s.motion[: s.length].astype(np.float64)
            values[s.flags[: s.length] & int(TickFlag.LEARN) == 0] = np.nan
            if len(values) >= ticks:
                sums = np.convolve(values, np.ones(ticks), "valid")  # nan wherever a stretch holds one
                means.append(sums[np.isfinite(sums)] / ticks)
        together = np.concatenate(means) if means else np.zeros(0)
        return float(np.percentile(together, 1)) if len(together) > 10 * ticks else 0.0

    def use_of_controls(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the controls that were not the same in all learnable ticks; of the buttons that were always held."""
        controls = self._spec.controls
        low, high = np.full(controls.size, np.inf), np.full(controls.size, -np.inf)
        for s in self._sessions.values():
            flags = s.flags[s.gone : s.length]
            actions = s.actions[s.gone : s.length][flags & int(TickFlag.LEARN) != 0]
            if len(actions):
                low, high = np.minimum(low, actions.min(0)), np.maximum(high, actions.max(0))
        used = tuple(name for name, a, b in zip(controls.names, low, high, strict=True) if b > a)
        held = tuple(
            n for n, a in zip(controls.buttons, low[: len(controls.buttons)], strict=True) if 0.5 <= a < np.inf
        )
        return used, held

    def combinations(self) -> npt.NDArray[np.bool_]:
        """Sets of buttons held together in the learnable ticks, shape (combinations, buttons), most frequent first."""
        controls = len(self._spec.controls.buttons)
        held = [np.zeros((0, controls), bool)]
        for s in self._sessions.values():
            flags = s.flags[s.gone : s.length]
            held.append(s.actions[s.gone : s.length, :controls][flags & int(TickFlag.LEARN) != 0] >= 0.5)
        sets, counts = np.unique(np.concatenate(held), axis=0, return_counts=True)
        return sets[np.argsort(-counts, kind="stable")]

    def _drawn(self, n: int) -> tuple[_Index, Integers]:
        index = self._indexed()
        if not len(index.learn):
            raise ValueError("nothing to learn from yet")
        places = np.searchsorted(index.cumulative, self._random.random(n), side="right")
        return index, index.learn[places.clip(0, len(index.learn) - 1)]

    def _new_session(self) -> _Session:
        s = self._spec
        return _Session(
            audio=np.zeros((BLOCK, *s.audio_shape), np.float32),
            actions=np.zeros((BLOCK, s.controls.size), np.float32),
            flags=np.zeros(BLOCK, np.int32),
            ticks=np.zeros(BLOCK, np.int64),
            motion=np.full(BLOCK, np.nan, np.float32),
        )

    def _drop_oldest(self) -> None:
        name = min(self._sessions)
        oldest = self._sessions[name]
        self.total -= oldest.drop_block()
        self._blocks -= 1
        if oldest.gone == oldest.length:
            del self._sessions[name]
        self._index = None

    def _indexed(self) -> _Index:
        if self._index is None or self.total - self._index.total > self._index.total // _STALE_SHARE:
            self._index = self._build_index()
        return self._index

    def _build_index(self) -> _Index:
        sessions = list(self._sessions.values())
        learn, held_out, codes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        corrections = [np.zeros(0, bool)]
        buttons = len(self._spec.controls.buttons)
        powers = 2 ** (np.arange(buttons) % 62)
        for number, (name, s) in enumerate(self._sessions.items()):
            position = np.arange(s.gone, s.length)
            flags, actions = s.flags[s.gone : s.length], s.actions[s.gone : s.length, :buttons]
            good = (flags & int(TickFlag.LEARN) != 0) & (flags & int(TickFlag.STRAYED) == 0)
            if self._offset:
                good, actions = self._paired(s, position, good, actions)
            out = self._is_held_out(name, position)
            packed = position + (number << 40)
            learn.append(packed[good & ~out])
            held_out.append(packed[good & out])
            codes.append((actions >= 0.5)[good & ~out] @ powers)
            corrections.append(flags[good & ~out] & int(TickFlag.CORRECTION) != 0)
        _, inverse, counts = np.unique(np.concatenate(codes), return_inverse=True, return_counts=True)
        weights = counts[inverse] ** -0.5 * np.where(np.concatenate(corrections), _CORRECTION_WEIGHT, 1.0)
        cumulative = np.cumsum(weights) / max(weights.sum(), 1e-9)
        return _Index(sessions, np.concatenate(learn), cumulative, np.concatenate(held_out), self.total)

    def _is_held_out(self, _session: str, position: Integers) -> npt.NDArray[np.bool_]:
        """Of positions in a session, which are kept out of learning."""
        return are_held_out(position, self._spec.rate_hz)

    def _paired(
        self, s: _Session, position: Integers, good: npt.NDArray[np.bool_], actions: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
        """Which ticks are good together with the one `offset` later, in the same stretch, and what was done then."""
        later = np.minimum(position + self._offset, s.length - 1)
        stretch = np.searchsorted(s.starts, position, side="right")
        together = (np.searchsorted(s.starts, later, side="right") == stretch) & (later == position + self._offset)
        return good & together & good[later - s.gone], actions[later - s.gone]

    def _gather(self, index: _Index, packed: Integers) -> Batch:
        rows = [(index.sessions[p >> 40], int(p & _POSITION)) for p in packed.tolist()]
        spec = self._spec
        frames = np.empty((len(rows), spec.frames + PLANES - 1, spec.frame_height, spec.frame_width), np.uint8)
        for row, (s, i) in enumerate(rows):
            s.history(i, spec.frames, into=frames[row])
        return Batch(
            frames=frames,
            audio=np.stack([s.audio[i] for s, i in rows]),
            actions=np.stack([s.actions[min(i + self._offset, s.length - 1)] for s, i in rows]),
            ticks=packed,
        )

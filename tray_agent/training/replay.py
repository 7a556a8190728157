"""Everything the trainer may learn from, in memory: all sessions of one game (numpy; the trainer's main thread).

Held-out stretches are cut by time, never by frame: in each session the ticks of every sixth ten seconds.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample

HELD_OUT_SECONDS = 10.0
HELD_OUT_EVERY = 6
_GROWTH = 1024


@dataclass
class Batch:
    """Arrays of one training step; n is the batch size."""

    frames: npt.NDArray[np.uint8]  # (n, frames, H, W, 3)
    audio: npt.NDArray[np.float32]  # (n, *audio_shape)
    actions: npt.NDArray[np.float32]  # (n, controls.size)


@dataclass
class _Stretch:
    """Growing arrays of one session."""

    frames: npt.NDArray[np.uint8]
    audio: npt.NDArray[np.float32]
    actions: npt.NDArray[np.float32]
    flags: npt.NDArray[np.int32]
    first_tick: int
    length: int = 0
    starts: list[int] = field(default_factory=list)  # positions where history may not reach over

    def grow(self) -> None:
        for name in ("frames", "audio", "actions", "flags"):
            old = getattr(self, name)
            setattr(
                self, name, np.concatenate([old, np.zeros((max(_GROWTH, len(old) // 2), *old.shape[1:]), old.dtype)])
            )


class Replay:
    """All samples of one game, up to `max_bytes` of frames; when full, the oldest session goes first."""

    def __init__(self, spec: PolicySpec, max_bytes: int, seed: int = 0) -> None:
        self._spec = spec
        self._max_bytes = max_bytes
        self._random = np.random.default_rng(seed)
        self._stretches: dict[str, _Stretch] = {}
        self._index_cache: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]] | None = None
        self.total = 0

    def add(self, session: str, sample: TickSample) -> None:
        """Append one tick.

        Ticks at or before the session's last one are ignored, so that repeats after a restart do no harm.
        """
        stretch = self._stretches.get(session)
        if stretch is None:
            stretch = self._stretches[session] = self._new_stretch(sample.tick)
        if stretch.length and sample.tick < stretch.first_tick + stretch.length:
            return
        if stretch.length == len(stretch.frames):
            stretch.grow()
        i = stretch.length
        # a hole (ticks lost) is closed: positions stay dense, history just may not reach over it
        if i == 0 or sample.flags & TickFlag.GAP or sample.tick != stretch.first_tick + i:
            stretch.starts.append(i)
        stretch.first_tick = sample.tick - i
        stretch.frames[i], stretch.audio[i], stretch.actions[i] = sample.pixels, sample.audio, sample.action
        stretch.flags[i] = int(sample.flags)
        stretch.length += 1
        self.total += 1
        self._index_cache = None
        self._make_room(session)

    def mark(self, session: str, first: int, last: int, flags: TickFlag) -> None:
        """Add flags to ticks first..last of a session; unknown ones are ignored."""
        stretch = self._stretches.get(session)
        if stretch is not None:
            a, b = max(0, first - stretch.first_tick), min(stretch.length, last - stretch.first_tick + 1)
            if a < b:
                stretch.flags[a:b] |= int(flags)
                self._index_cache = None

    def last_tick(self, session: str) -> int:
        """Number of the last tick held of a session, -1 if none."""
        stretch = self._stretches.get(session)
        return stretch.first_tick + stretch.length - 1 if stretch and stretch.length else -1

    @property
    def sessions(self) -> int:
        """How many sessions are held."""
        return len(self._stretches)

    def learnable(self) -> int:
        """How many ticks can be drawn for learning."""
        return len(self._indices()[0])

    def draw(self, n: int) -> Batch:
        """A random batch; rare combinations of held buttons are drawn more often (weight count^-0.5).

        Raises:
            ValueError: nothing learnable yet.
        """
        index, cumulative, _ = self._indices()
        if not len(index):
            raise ValueError("nothing to learn from yet")
        picks = index[np.searchsorted(cumulative, self._random.random(n), side="right").clip(0, len(index) - 1)]
        return self._gather(picks)

    def held_out(self, limit: int = 512) -> Batch | None:
        """Evenly spread ticks of the held-out stretches, None while there are none."""
        index = self._indices()[2]
        if not len(index):
            return None
        return self._gather(index[np.linspace(0, len(index) - 1, min(limit, len(index))).astype(np.int64)])

    def some_frames(self, n: int) -> npt.NDArray[np.uint8]:
        """Up to n frames spread over all sessions, shape (n, H, W, 3)."""
        per = max(1, n // max(1, len(self._stretches)))
        parts = [
            s.frames[np.unique(np.linspace(0, s.length - 1, min(per, s.length)).astype(np.int64))]
            for s in self._stretches.values()
            if s.length
        ]
        return np.concatenate(parts)

    def _new_stretch(self, first_tick: int) -> _Stretch:
        s = self._spec
        return _Stretch(
            frames=np.zeros((_GROWTH, s.frame_height, s.frame_width, 3), np.uint8),
            audio=np.zeros((_GROWTH, *s.audio_shape), np.float32),
            actions=np.zeros((_GROWTH, s.controls.size), np.float32),
            flags=np.zeros(_GROWTH, np.int32),
            first_tick=first_tick,
        )

    def _make_room(self, current: str) -> None:
        while len(self._stretches) > 1 and sum(s.frames.nbytes for s in self._stretches.values()) > self._max_bytes:
            oldest = next(name for name in self._stretches if name != current)
            self.total -= self._stretches.pop(oldest).length
            self._index_cache = None

    def _indices(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Packed (session number << 40 | position) of learnable ticks, cumulative weights, held-out ticks."""
        if self._index_cache is None:
            self._index_cache = self._build_indices()
        return self._index_cache

    def _build_indices(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        block = max(1, int(HELD_OUT_SECONDS * self._spec.rate_hz))
        learn, held_out, codes = [], [], []
        buttons = len(self._spec.controls.buttons)
        powers = 2 ** (np.arange(buttons) % 62)
        for number, s in enumerate(self._stretches.values()):
            position = np.arange(s.length)
            good = (s.flags[: s.length] & int(TickFlag.LEARN) != 0) & (s.flags[: s.length] & int(TickFlag.STRAYED) == 0)
            out = position // block % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
            packed = position + (number << 40)
            learn.append(packed[good & ~out])
            held_out.append(packed[good & out])
            codes.append((s.actions[: s.length, :buttons] >= 0.5)[good & ~out] @ powers)
        if not learn:
            empty = np.zeros(0, np.int64)
            return empty, np.zeros(0), empty
        _, inverse, counts = np.unique(np.concatenate(codes), return_inverse=True, return_counts=True)
        weights = counts[inverse] ** -0.5
        return np.concatenate(learn), np.cumsum(weights) / max(weights.sum(), 1e-9), np.concatenate(held_out)

    def _gather(self, packed: npt.NDArray[np.int64]) -> Batch:
        stretches = list(self._stretches.values())
        rows = [(stretches[p >> 40], int(p & ((1 << 40) - 1))) for p in packed.tolist()]
        return Batch(
            frames=np.stack([s.frames[self._history(s, i)] for s, i in rows]),
            audio=np.stack([s.audio[i] for s, i in rows]),
            actions=np.stack([s.actions[i] for s, i in rows]),
        )

    def _history(self, s: _Stretch, i: int) -> npt.NDArray[np.int64]:
        start = s.starts[max(0, int(np.searchsorted(s.starts, i, side="right")) - 1)] if s.starts else 0
        return np.arange(i - self._spec.frames + 1, i + 1).clip(start, i)

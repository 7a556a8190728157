"""Stretches of consecutive ticks out of a replay: the player's, and the agent's own play (no torch; one owner)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tray_agent.core.sample import TickFlag
from tray_agent.training.replay import _POSITION, Batch, Integers, Replay, _Index


@dataclass(frozen=True)
class Chunks:
    """Some stretches one after another; n is their ticks together.

    Attributes:
        batch: the ticks.
        strayed: bool (n,), whether the player took over right after a tick or within two seconds.
    """

    batch: Batch
    strayed: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Table:
    """What can be drawn: the first ticks, packed as the replay's index does it, and their weights summed up."""

    first: Integers
    cumulative: npt.NDArray[np.float64]


class ChunkSource:
    """Draws from a replay, whose index it goes by; a table of its own is made when that changes.

    No stretch reaches over a gap, and none of the player's into what is held out.

    Args:
        replay: what is held.
        length: ticks of a stretch.
        seed: of what is drawn.
    """

    def __init__(self, replay: Replay, length: int, seed: int = 0) -> None:
        self._replay = replay
        self._length = length
        self._random = np.random.default_rng(seed)
        self._index: _Index | None = None
        self._player = self._agent = _table(np.zeros(0, np.int64), np.zeros(0))

    def of_player(self, n: int) -> Chunks | None:
        """n stretches to learn from, each nearly as often as `Replay.draw` gives its ticks; None while there is none.

        Drawn evenly they would show other shares of held keys than those that cloning is taught.
        """
        index = self._refresh()
        return self._drawn(index, self._player, n)

    def of_agent(self, n: int) -> Chunks | None:
        """n stretches in which the agent played, strayed ones too; None while there is none.

        What the agent did it did at once, however late the player is (`Replay.offset`).
        """
        index = self._refresh()
        chunks = self._drawn(index, self._agent, n)
        if chunks is not None:
            ticks = chunks.batch.ticks.tolist()
            chunks.batch.actions = np.stack([index.sessions[p >> 40].actions[p & _POSITION] for p in ticks])
        return chunks

    def _refresh(self) -> _Index:
        index = self._replay._indexed()
        if index is not self._index:
            self._index = index
            cuts = np.concatenate(
                [np.zeros(0, np.int64), *(np.array(s.starts) + (i << 40) for i, s in enumerate(index.sessions))]
            )
            learn = index.learn
            places = _whole(learn, cuts, self._length)
            sums = np.concatenate([[0.0], index.cumulative])
            self._player = _table(learn[places], sums[places + self._length] - sums[places])
            played = _agents(index)
            places = _whole(played, cuts, self._length)
            self._agent = _table(played[places], np.ones(len(places)))
        return index

    def _drawn(self, index: _Index, table: _Table, n: int) -> Chunks | None:
        if not len(table.first):
            return None
        places = np.searchsorted(table.cumulative, self._random.random(n), side="right")
        first = table.first[places.clip(0, len(table.first) - 1)]
        packed = (first[:, None] + np.arange(self._length)).ravel()
        flags = np.array([index.sessions[p >> 40].flags[p & _POSITION] for p in packed.tolist()])
        return Chunks(self._replay._gather(index, packed), flags & int(TickFlag.STRAYED) != 0)


def _table(first: Integers, weights: npt.NDArray[np.float64]) -> _Table:
    return _Table(first, np.cumsum(weights) / max(weights.sum(), 1e-9))


def _agents(index: _Index) -> Integers:
    """Ticks of the agent's own play that still have their frames, packed."""
    found = [np.zeros(0, np.int64)]
    for number, s in enumerate(index.sessions):
        flags = s.flags[s.gone : s.length]
        found.append(s.gone + np.flatnonzero(flags & int(TickFlag.AGENT)) + (number << 40))
    return np.concatenate(found)


def _whole(ticks: Integers, cuts: Integers, length: int) -> Integers:
    """Places in sorted ticks from which on `length` of them follow each other, with no cut between.

    Args:
        ticks: packed, sorted.
        cuts: ticks that what was before may not be joined with, sorted.
        length: of a stretch.
    """
    count = max(0, len(ticks) - length + 1)
    first, last = ticks[:count], ticks[len(ticks) - count :]
    joined = np.searchsorted(cuts, first, side="right") == np.searchsorted(cuts, last, side="right")
    return np.flatnonzero((last - first == length - 1) & joined)

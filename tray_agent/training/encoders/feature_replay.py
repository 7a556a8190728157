"""A replay whose batches hold a frozen encoder's features instead of planes (numpy and torch; the main thread).

Features are computed once: `<checkpoints>/<game>/features/<digest>/<session>.npy`, a row for each tick.
"""

import contextlib
import logging
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tray_agent.core.media import Pixels
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickSample
from tray_agent.training.encoders.feature_file import FeatureFile, Rows
from tray_agent.training.replay import _POSITION, Batch, Integers, Replay, _Index, _Session

_log = logging.getLogger(__name__)
SIZE = 1024
"""Numbers kept of a frame."""
BACK = 3
"""Beside the newest frame the one of so many decisions before is seen."""
_AT_ONCE = 32
FOLDER = "features"


class Frozen(Protocol):
    """What computes features of frames and never changes."""

    digest: str
    """Says which: features with the same one are the same."""

    def __call__(self, frames: Tensor) -> Tensor:
        """RGB, uint8 (n, H, W, 3) -> float (n, SIZE)."""
        ...


class _SessionFeatures:
    """Features of one session by tick: on disk, what is not there (yet) in memory, and frames still to be encoded."""

    def __init__(self, file: FeatureFile) -> None:
        self._file = file
        self._here: dict[int, Rows] = {}
        self._disk_works = True
        self.waiting: list[tuple[int, Pixels]] = []

    def want(self, tick: int, pixels: Pixels) -> None:
        """A tick is held from now on; `pixels` are taken only where its features are not known."""
        if tick >= self._file.count or np.isnan(self._file.read(np.array([tick]))[0, 0]):
            self.waiting.append((tick, pixels))

    def compute(self, frozen: Frozen) -> None:
        """Encode the frames that wait."""
        waiting, self.waiting = self.waiting, []
        with torch.no_grad():
            for i in range(0, len(waiting), _AT_ONCE):
                part = waiting[i : i + _AT_ONCE]
                rows = frozen(torch.from_numpy(np.stack([pixels for _, pixels in part]))).numpy().astype(np.float16)
                self._here |= {tick: row for (tick, _), row in zip(part, rows, strict=True)}
        self._write()

    def read(self, ticks: Integers) -> Rows:
        """Features of ticks that are held, shape (n, SIZE)."""
        rows = np.empty((len(ticks), SIZE), np.float16)
        on_disk = np.array([tick not in self._here for tick in ticks.tolist()], bool)
        if on_disk.any():
            rows[on_disk] = self._file.read(ticks[on_disk])
        for place in np.flatnonzero(~on_disk):
            rows[place] = self._here[int(ticks[place])]
        return rows

    def _write(self) -> None:
        """Ticks in their order; those that were lost become rows of nan."""
        new = sorted(tick for tick in self._here if tick >= self._file.count)
        if not new or not self._disk_works:
            return
        rows = np.full((new[-1] + 1 - self._file.count, SIZE), np.nan, np.float16)
        for tick in new:
            rows[tick - self._file.count] = self._here[tick]
        try:
            self._file.append(rows)
        except OSError as error:
            self._disk_works = False
            _log.warning("features can't be kept on disk and will be computed again after a restart: %s", error)
            return
        for tick in new:
            del self._here[tick]


class FeatureReplay(Replay):
    """As `Replay`; `draw` and `held_out` give features, float16 (n, 2, SIZE), as `Batch.frames`.

    Args:
        spec, max_bytes, seed: as `Replay`.
        frozen: computes features.
        folder: of the game's checkpoints.
    """

    def __init__(self, spec: PolicySpec, max_bytes: int, seed: int, frozen: Frozen, folder: Path) -> None:
        super().__init__(spec, max_bytes, seed)
        self._frozen = frozen
        self._root = folder / FOLDER
        self._back = min(BACK, spec.frames - 1)
        self._features: dict[str, _SessionFeatures] = {}

    def add(self, session: str, sample: TickSample) -> None:
        before = self.last_tick(session)
        super().add(session, sample)
        if self.last_tick(session) == before:
            return
        features = self._features.get(session)
        if features is None:
            self._forget_dropped()
            file = FeatureFile(self._root / self._frozen.digest / f"{session}.npy", SIZE)
            features = self._features[session] = _SessionFeatures(file)
        features.want(sample.tick, sample.pixels)
        if len(features.waiting) >= _AT_ONCE:
            features.compute(self._frozen)

    def prune(self, sessions: Collection[str]) -> None:
        """Delete what was kept of sessions that are gone, and of other encoders."""
        with contextlib.suppress(OSError):
            for folder in self._root.iterdir():
                if folder.name != self._frozen.digest:
                    shutil.rmtree(folder, ignore_errors=True)
            for path in (self._root / self._frozen.digest).glob("*.npy"):
                if path.stem not in sessions:
                    path.unlink()

    def some_features(self, n: int) -> Rows:
        """Features of up to n ticks of all sessions, shape (n, SIZE)."""
        self._compute()
        per = max(1, n // max(1, len(self._sessions)))
        return np.concatenate(
            [
                self._features[name].read(s.ticks[np.unique(np.linspace(s.gone, s.length - 1, per).astype(np.int64))])
                for name, s in self._sessions.items()
            ]
        )

    def _gather(self, index: _Index, packed: Integers) -> Batch:
        self._compute()
        features = np.empty((len(packed), 2, SIZE), np.float16)
        numbers, positions = packed >> 40, packed & _POSITION
        names = {id(s): name for name, s in self._sessions.items()}
        for number in np.unique(numbers).tolist():
            rows, session = np.flatnonzero(numbers == number), index.sessions[number]
            kept = self._features[names[id(session)]]
            features[rows, 1] = kept.read(session.ticks[positions[rows]])
            features[rows, 0] = kept.read(session.ticks[self._older(session, positions[rows])])
        return replace(super()._gather(index, packed), frames=cast("npt.NDArray[np.uint8]", features))

    def _older(self, session: _Session, positions: Integers) -> Integers:
        """Positions of the older frames: not before the stretch began, as `_Session.history` does it."""
        starts = np.array(session.starts)[np.searchsorted(session.starts, positions, side="right") - 1]
        older: Integers = np.maximum(np.maximum(starts, session.gone), positions - self._back)
        return older

    def _compute(self) -> None:
        for features in self._features.values():
            if features.waiting:
                features.compute(self._frozen)

    def _forget_dropped(self) -> None:
        self._features = {name: kept for name, kept in self._features.items() if name in self._sessions}

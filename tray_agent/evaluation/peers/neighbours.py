"""Nearest neighbours: do what the player did where it looked most like this.

An encoder turns windows of frames into features; the action is that of one of the k nearest ticks of the recording,
drawn with weights 1 / distance. The encoder can be exchanged; the one here is a PCA of grey windows, `shipped_encoder`
has the product's own.
"""

import time
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels
from tray_agent.core.sample import AudioFeatures
from tray_agent.evaluation.peers.actions import Floats
from tray_agent.evaluation.peers.history import Bytes, RecentFrames, Windows, grey
from tray_agent.evaluation.peers.peer import LearnReport, Recording, check
from tray_agent.evaluation.peers.principal_components import principal_components
from tray_agent.evaluation.peers.training import Fit, batches, prepare

_NEAREST = 5
_BATCH = 256
_CLOSEST = 1e-6  # of the mean distance: an exact match is as good as sure, and nothing is divided by 0


class Encoder(Protocol):
    """Windows of frames -> features whose Euclidean distance says how alike two windows are."""

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the frames it wants."""

    @property
    def frames(self) -> int:
        """Length of a window."""

    def fit(self, data: Recording, windows: Windows, deadline: float, seed: int) -> None:
        """Learn what there is to learn, at the latest until the deadline (monotonic clock)."""

    def features(self, windows: Bytes) -> Floats:
        """RGB windows, uint8 (n, frames, H, W, 3), oldest frame first -> float32 (n, features)."""


class PcaEncoder:
    """Principal components of grey windows, each pixel first normalised by its own mean and deviation.

    The components come from some of the ticks: all of them would take longer than they are worth.
    """

    frame_size = (28, 28)
    frames = 4
    _COMPONENTS = 256
    _TICKS = 4096
    _LEAST_STD = 8.0  # of 255: below this a pixel is still, and dividing by less would blow up its noise

    def __init__(self) -> None:
        self._mean = self._std = self._basis = torch.zeros(0)

    def fit(self, data: Recording, windows: Windows, deadline: float, seed: int) -> None:
        """See Encoder."""
        n = len(data)
        rows = np.sort(np.random.default_rng(seed).permutation(n)[: self._TICKS])
        pixels = self._pixels(data.frames[windows.rows(rows)])
        self._mean, self._std = pixels.mean(0), pixels.std(0, correction=0).clamp_min(self._LEAST_STD)
        x = (pixels - self._mean) / self._std
        self._basis = principal_components(x, self._COMPONENTS, deadline, seed)

    def features(self, windows: Bytes) -> Floats:
        """See Encoder."""
        features: Floats = (((self._pixels(windows) - self._mean) / self._std) @ self._basis).numpy()
        return features

    @staticmethod
    def _pixels(windows: Bytes) -> Tensor:
        n, frames, height, width, _ = windows.shape
        flat = grey(windows.reshape(n * frames, height, width, 3))
        return torch.from_numpy(flat).reshape(n, -1).float()


class NeighboursPeer:
    """See the module.

    Args:
        encoder: PcaEncoder unless given.
        nearest: how many neighbours the action is drawn from.
    """

    def __init__(self, encoder: Encoder | None = None, nearest: int = _NEAREST) -> None:
        self._encoder: Encoder = encoder or PcaEncoder()
        self._nearest = nearest
        self._recent = RecentFrames(self._encoder.frames)
        self._random = np.random.default_rng()
        self._features: Floats = np.zeros((0, 0), np.float32)
        self._squares: Floats = np.zeros(0, np.float32)
        self._actions: Floats = np.zeros((0, 0), np.float32)

    @property
    def frame_size(self) -> tuple[int, int]:
        """The encoder's."""
        return self._encoder.frame_size

    def learn(self, data: Recording, seconds: float, threads: int, seed: int) -> LearnReport:
        """See Peer. Ticks that can't be encoded in time are no neighbours; it ends early when all are encoded."""
        began = time.monotonic()
        check(data, self.frame_size)
        prepare(threads, seed)
        windows = Windows(len(data), data.starts, self._encoder.frames)
        self._encoder.fit(data, windows, began + seconds, seed)
        encoding = time.monotonic()
        features: list[Floats] = []
        actions: list[Floats] = []
        for rows in np.array_split(next(batches(len(data), len(data), seed)), -(-len(data) // _BATCH)):
            if features and time.monotonic() > began + seconds:
                break
            features.append(self._encoder.features(data.frames[windows.rows(rows)]))
            actions.append(data.actions[rows])
        self._features, self._actions = np.concatenate(features), np.concatenate(actions)
        self._squares = np.square(self._features).sum(1)
        self._random = np.random.default_rng(seed)
        return Fit(0, len(self._actions), time.monotonic() - encoding).report(began)

    def reset(self) -> None:
        """See Peer."""
        self._recent.reset()

    def act(self, pixels: Pixels, audio: AudioFeatures) -> FloatVector:  # noqa: ARG002 - it is deaf
        """See Peer."""
        if not len(self._actions):
            raise RuntimeError("the peer has not learned yet")
        here = self._encoder.features(self._recent.push(pixels)[None])[0]
        distances = np.sqrt(np.maximum(self._squares - 2.0 * (self._features @ here) + here @ here, 0.0))
        k = min(self._nearest, len(distances))
        nearest = np.argpartition(distances, k - 1)[:k]
        weights = 1.0 / (distances[nearest].astype(np.float64) + _CLOSEST * float(distances.mean()) + 1e-12)
        chosen = self._random.choice(nearest, p=weights / weights.sum())
        action: FloatVector = self._actions[chosen].copy()
        return action

"""What a peer is, learns from and reports (numpy; no I/O)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import AudioFeatures


@dataclass(frozen=True)
class Recording:
    """Everything to learn from; row i of each array belongs to one tick, n ticks in all.

    Attributes:
        frames: RGB, uint8, shape (n, H, W, 3).
        audio: float32, shape (n, AUDIO_STEPS, AUDIO_BANDS); zeros when the game has no audio.
        actions: what was held from each frame to the next, float32, shape (n, controls.size).
        starts: positions that history may not reach back over, ascending; 0 is the first.
        spec: of what was recorded.
        vector: the game vector, `spec.vector_size` numbers.
    """

    frames: npt.NDArray[np.uint8]
    audio: npt.NDArray[np.float32]
    actions: npt.NDArray[np.float32]
    starts: list[int]
    spec: PolicySpec
    vector: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True)
class LearnReport:
    """What learning came to.

    Attributes:
        samples: training samples drawn, repeats counted.
        seconds: wall time of all, preprocessing and export included.
        samples_per_s: samples by the wall time of the updates alone.
        updates: steps of the optimiser; 0 where there is none.
    """

    samples: int
    seconds: float
    samples_per_s: float
    updates: int


class Peer(Protocol):
    """A policy that learns once and then plays. One owner, one thread; can be pickled once it has learned."""

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the frames it wants, in learning and in playing."""

    def learn(self, data: Recording, seconds: float, threads: int, seed: int) -> LearnReport:
        """Learn from scratch for so long (wall time, everything included), on so many threads of this process.

        The same seed, data and number of updates give the same policy.

        Raises:
            ValueError: the recording is empty or has another frame size.
        """

    def reset(self) -> None:
        """A new episode begins: forget what was seen."""

    def act(self, pixels: Pixels, audio: AudioFeatures) -> FloatVector:
        """What to hold until the next frame.

        Args:
            pixels: uint8 (H, W, 3).
            audio: float32 (AUDIO_STEPS, AUDIO_BANDS).

        Returns:
            Action vector, float32 (controls.size,): buttons 0 or 1, others within what was recorded.

        Raises:
            RuntimeError: it has not learned yet.
        """


def check(data: Recording, frame_size: tuple[int, int]) -> None:
    """Whether a peer can learn from a recording. Raises ValueError."""
    if not len(data):
        raise ValueError("the recording is empty: there is nothing to learn from")
    height, width = data.frames.shape[1:3]
    if (width, height) != frame_size:
        wanted = "x".join(map(str, frame_size))
        raise ValueError(f"the recording has frames of {width}x{height}, this peer wants {wanted}; record it at that")

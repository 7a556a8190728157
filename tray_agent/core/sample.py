"""One tick as the learner sees it (numpy; no I/O)."""

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import numpy.typing as npt

from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels

AUDIO_BANDS = 16
"""Log-mel bands of one tick's sound."""
AUDIO_STEPS = 4
"""Time steps of one tick's sound."""

AudioFeatures = npt.NDArray[np.float32]
"""Log-mel energies of the tick, shape (AUDIO_STEPS, AUDIO_BANDS), 0 = silence."""


class TickFlag(IntFlag):
    """What a tick is good for."""

    LEARN = 1  # the player was really playing: use it
    AGENT = 2  # the agent held the controls
    CORRECTION = 4  # right after a takeover
    STRAYED = 8  # the seconds before a takeover: what not to do
    GAP = 16  # first tick after a pause: do not join it with the ticks before
    AUDIO_GAP = 32  # the sound device was gone


@dataclass(frozen=True, slots=True)
class TickSample:
    """What was seen and heard up to a tick, and what the player did in the tick that followed.

    Attributes:
        tick: number within the session, from 0, without holes.
        t_ns: when the frame was taken.
        pixels: RGB frame, shape (height, width, 3), uint8.
        audio: log-mel features of the tick before the frame.
        action: action vector over the session's controls.
        flags: see TickFlag.
    """

    tick: int
    t_ns: int
    pixels: Pixels
    audio: AudioFeatures
    action: FloatVector
    flags: TickFlag

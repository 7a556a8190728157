"""A play that can be learned in seconds: a bright square is left or right, and the key of that side is held."""

import numpy as np

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import AUDIO_BANDS, AUDIO_STEPS
from tray_agent.evaluation.peers.peer import Recording

KEYS = Controls(("ArrowLeft", "ArrowRight"))
PAD = Controls(("PadA",), axes=("PadLX",))
MOUSE = Controls(("MouseLeft",), ("MouseX",))
STRETCH = 8
"""Ticks that the square stays on a side; history may not reach over the change."""


def frame(size: tuple[int, int], right: bool, jitter: int = 0) -> np.ndarray:
    """RGB, uint8 (H, W, 3)."""
    width, height = size
    pixels = np.full((height, width, 3), 20, np.uint8)
    side, top = width // 4, height // 4 + jitter % 3
    left = width - side - 2 if right else 2
    pixels[top : top + side, left : left + side] = (220, 200 + jitter % 7, 180)
    return pixels


def action(controls: Controls, right: bool) -> np.ndarray:
    """What the player does."""
    if controls == KEYS:
        return np.array([not right, right], np.float32)
    far = 12.0 if controls.relative else 0.75
    return np.array([right, far if right else -far], np.float32)


def recording(size: tuple[int, int], controls: Controls = KEYS, stretches: int = 12, audio: bool = False) -> Recording:
    """Sides in random order."""
    sides = np.random.default_rng(3).permutation(np.arange(stretches) % 2 == 0)
    rights = np.repeat(sides, STRETCH)
    n = len(rights)
    return Recording(
        frames=np.stack([frame(size, bool(right), i) for i, right in enumerate(rights)]),
        audio=np.full((n, AUDIO_STEPS, AUDIO_BANDS), 0.5 if audio else 0.0, np.float32),
        actions=np.stack([action(controls, bool(right)) for right in rights]),
        starts=list(range(0, n, STRETCH)),
        spec=PolicySpec(controls, 15, *size, audio=audio),
        vector=(1.0,) + (0.0,) * 7,
    )


def silence() -> np.ndarray:
    """Features of no sound."""
    return np.zeros((AUDIO_STEPS, AUDIO_BANDS), np.float32)

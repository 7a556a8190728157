"""The toy game of the fake desktop: keep the paddle under the ball (no threads, no clock; pure but for its state)."""

import math
import random

import numpy as np

from tray_agent.core.media import Pixels

STEPS_PER_S = 60
_SPEED = 0.02
_REACH = 0.1


class ToyWorld:
    """A ball wanders from side to side, the paddle is moved with two keys; a step with the ball above it scores 1.

    Places are 0 (left) to 1 (right). All of it follows from the seed and what was held in each step.
    """

    def __init__(self, seed: int = 0) -> None:
        dice = random.Random(seed)  # noqa: S311 - play, not secrets
        self._phases = [dice.uniform(0, 2 * math.pi) for _ in range(3)]
        self.paddle = 0.5
        self.steps = 0
        self.score = 0

    @property
    def ball(self) -> float:
        """Where the ball is now."""
        seconds = self.steps / STEPS_PER_S
        waves = (math.sin(rate * seconds + phase) for rate, phase in zip((0.9, 1.7, 2.3), self._phases, strict=True))
        return 0.5 + sum(waves) / 6.5

    @property
    def wanted(self) -> frozenset[str]:
        """The keys that a good player holds now."""
        off = self.ball - self.paddle
        if abs(off) < _REACH / 2:
            return frozenset()
        return frozenset({"ArrowRight" if off > 0 else "ArrowLeft"})

    def step(self, held: frozenset[str]) -> None:
        """One sixtieth of a second."""
        self.paddle += _SPEED * (("ArrowRight" in held) - ("ArrowLeft" in held))
        self.paddle = min(1.0, max(0.0, self.paddle))
        self.steps += 1
        self.score += abs(self.ball - self.paddle) < _REACH

    def draw(self, width: int, height: int) -> Pixels:
        """The picture, shape (height, width, 3): white ball in the upper half, green paddle in the lower."""
        picture = np.full((height, width, 3), 24, np.uint8)
        size = max(1, width // 8)
        for place, rows, colour in (
            (self.ball, slice(height // 4, height // 2), (255, 255, 255)),
            (self.paddle, slice(height * 3 // 4, height), (0, 220, 0)),
        ):
            left = round(place * (width - size))
            picture[rows, left : left + size] = colour
        return picture

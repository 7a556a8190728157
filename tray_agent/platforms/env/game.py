"""What a packaged game is to its desktops (no threads: whoever steps the game owns it)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.core.media import Pixels, Samples


@dataclass(frozen=True)
class GameInfo:
    """What is fixed about a game.

    Attributes:
        name: name in the catalog, for example "doom-basic".
        controls: the keys and axes it answers to.
        frames_per_s: the game's own rate.
        frames_per_tick: frames in which one decision is held.
        width, height: native picture in pixels.
        max_ticks: an episode is cut after so many ticks.
        sound_rate_hz: rate of `EnvGame.sound`, 0 for a silent game.
    """

    name: str
    controls: Controls
    frames_per_s: float
    frames_per_tick: int
    width: int
    height: int
    max_ticks: int
    sound_rate_hz: int = 0

    @property
    def rate_hz(self) -> float:
        """Ticks a second."""
        return self.frames_per_s / self.frames_per_tick

    @property
    def frame_ns(self) -> int:
        """Nanoseconds of game time in one frame."""
        return round(1e9 / self.frames_per_s)


@dataclass(frozen=True, slots=True)
class SeenObject:
    """A thing in the picture: its kind and its box in native pixels."""

    name: str
    left: int
    top: int
    width: int
    height: int

    @property
    def centre_x(self) -> float:
        return self.left + self.width / 2


@dataclass(frozen=True)
class Facts:
    """Privileged knowledge for scripted players and scores; the agent never gets it.

    Attributes:
        ram: console memory, shape (n,), uint8; empty where the game has none.
        objects: what is in view, as the game itself knows it.
        numbers: further values by name.
    """

    ram: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    objects: tuple[SeenObject, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


class EnvGame(Protocol):
    """One running game. Deterministic for a seed and a row of commands."""

    info: GameInfo

    def start(self) -> None:
        """Load the game; `reset` must follow. Raises PlatformUnavailable."""
        ...

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        ...

    def advance(self, command: Command, frames: int) -> float:
        """Play `frames` frames (fewer when the episode ends) with `command` held; returns the reward of them."""
        ...

    @property
    def over(self) -> bool:
        """Whether the episode has ended by itself."""
        ...

    def pixels(self) -> Pixels:
        """Picture now, shape (height, width, 3), uint8; valid until the next call of any method."""
        ...

    def sound(self) -> Samples:
        """Mono sound of the frames since the last call, at `info.sound_rate_hz`; empty for a silent game."""
        ...

    def facts(self) -> Facts:
        """What the game knows about itself now."""
        ...

    def close(self) -> None:
        """Unload; idempotent."""
        ...

"""Airstriker, the one free Mega Drive game that comes with stable-retro (no threads)."""

from typing import Any

import gymnasium
import numpy as np

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.core.media import Samples
from tray_agent.platforms.env.game import Facts, GameInfo
from tray_agent.platforms.env.gym_game import GymBinding, GymGame

PAD_OF_KEYS = {"ArrowLeft": "LEFT", "ArrowRight": "RIGHT", "ArrowUp": "UP", "ArrowDown": "DOWN", "Space": "B"}
_PAD = ("B", "A", "MODE", "START", "UP", "DOWN", "LEFT", "RIGHT", "C", "Y", "X", "Z")
_LONGEST_WAIT = 60
"""Frames."""


def airstriker() -> GymGame:
    """The game; one tick is 4 of its 60 frames a second."""
    controls = Controls(buttons=tuple(PAD_OF_KEYS))
    info = GameInfo("airstriker", controls, 60.0, 4, 320, 224, max_ticks=3000, sound_rate_hz=44_100)
    remedy = "Run: pip install 'tray-agent[games]'"
    return GymGame(GymBinding(info, _make, by_keys, remedy, sound=_sound, facts=_facts))


class _IdleStart(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The game ignores its seed and always plays the same: so it waits for a seeded while before one may play."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        seen, told = self.env.reset(seed=seed, options=options)
        for _ in range(int(np.random.default_rng(seed).integers(_LONGEST_WAIT))):
            seen, _, _, _, told = self.env.step(np.zeros(len(_PAD), np.int8))
        return seen, told


def _make() -> Any:
    import stable_retro

    return _IdleStart(stable_retro.make("Airstriker-Genesis-v0", render_mode="rgb_array"))


def by_keys(command: Command) -> Any:
    """Held keys -> the pad's 12 buttons, 0 or 1."""
    pressed = {PAD_OF_KEYS[key] for key in command.held if key in PAD_OF_KEYS}
    return np.array([name in pressed for name in _PAD], np.int8)


def _sound(env: Any) -> Samples:
    mono: Samples = env.unwrapped.em.get_audio().astype(np.float32).mean(axis=1) / 32_768
    return mono


def _facts(env: Any, told: dict[str, Any]) -> Facts:
    return Facts(ram=env.unwrapped.get_ram(), numbers={name: float(value) for name, value in told.items()})

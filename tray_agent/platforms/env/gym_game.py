"""Any environment with Gymnasium's interface as an EnvGame (no threads)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.core.media import Pixels, Samples
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.env.game import Facts, GameInfo

_DIGITS = tuple(f"Digit{i}" for i in range(1, 10))


@dataclass(frozen=True)
class GymBinding:
    """How one environment is played with keys.

    Attributes:
        info: what is fixed about the game.
        make: makes the environment; ImportError and its own errors become PlatformUnavailable.
        remedy: what to do when it can't be made.
        action: command -> what `step` takes.
        picture: environment and last observation -> picture.
        sound: environment -> mono sound of the last step.
        facts: environment and the last step's info -> privileged knowledge.
    """

    info: GameInfo
    make: Callable[[], Any]
    action: Callable[[Command], Any]
    remedy: str = ""
    picture: Callable[[Any, Any], Pixels] = lambda _env, observation: np.asarray(observation, np.uint8)
    sound: Callable[[Any], Samples] = field(default=lambda _env: np.zeros(0, np.float32))
    facts: Callable[[Any, dict[str, Any]], Facts] = lambda _env, _info: Facts()


class GymGame:
    """An environment; one frame is one `step`."""

    def __init__(self, binding: GymBinding) -> None:
        self.info = binding.info
        self._binding = binding
        self._env: Any = None
        self._observation: Any = None
        self._told: dict[str, Any] = {}
        self._heard: list[Samples] = []
        self._over = False

    def start(self) -> None:
        self._env = made(self._binding.make, self.info.name, self._binding.remedy)

    def reset(self, seed: int) -> None:
        self._observation, self._told = self._env.reset(seed=seed % 2**31)
        self._over = False
        self._heard.clear()

    def advance(self, command: Command, frames: int) -> float:
        action = self._binding.action(command)
        total = 0.0
        for _ in range(frames):
            if self._over:
                break
            self._observation, reward, ended, cut, self._told = self._env.step(action)
            self._over = bool(ended or cut)
            total += float(reward)
            self._hear()
        return total

    def _hear(self) -> None:
        if self.info.sound_rate_hz:
            self._heard.append(self._binding.sound(self._env))
            del self._heard[:-600]

    @property
    def over(self) -> bool:
        return self._over

    def pixels(self) -> Pixels:
        return self._binding.picture(self._env, self._observation)

    def sound(self) -> Samples:
        heard = np.concatenate([np.zeros(0, np.float32), *self._heard])
        self._heard.clear()
        return heard

    def facts(self) -> Facts:
        return self._binding.facts(self._env, self._told)

    def close(self) -> None:
        env, self._env = self._env, None
        if env is not None:
            env.close()


def made(make: Callable[[], Any], name: str, remedy: str) -> Any:
    """An environment. Raises PlatformUnavailable with the remedy."""
    try:
        return make()
    except Exception as error:  # packages raise what they like: ImportError, their own, or of a compiled library
        raise PlatformUnavailable(f"{name} can't be made: {type(error).__name__}: {error}", remedy) from error


def registered_game(env_id: str) -> GymGame:
    """A registered environment with a discrete action space; action 1 is key Digit1, and so on; no key is action 0.

    Raises:
        PlatformUnavailable: there is no such environment, or its actions are not discrete.
    """
    import gymnasium

    def make() -> Any:
        return gymnasium.make(env_id, render_mode="rgb_array")

    remedy = "See `python -c 'import gymnasium; gymnasium.pprint_registry()'` for those there are"
    env = made(make, env_id, remedy)
    try:
        space = env.action_space
        if not isinstance(space, gymnasium.spaces.Discrete) or space.n > len(_DIGITS) + 1:
            raise PlatformUnavailable(f"{env_id} has actions {space}", "Only up to 10 discrete actions fit on keys")
        env.reset(seed=0)
        height, width = np.asarray(env.render()).shape[:2]
        keys, first = _DIGITS[: int(space.n) - 1], int(space.start)
        info = GameInfo(
            name=env_id,
            controls=Controls(buttons=keys),
            frames_per_s=float(env.metadata.get("render_fps") or 30),
            frames_per_tick=1,
            width=width,
            height=height,
            max_ticks=10_000,
        )
    finally:
        env.close()
    return GymGame(
        GymBinding(
            info,
            make,
            lambda command: first + next((i for i, key in enumerate(keys, 1) if key in command.held), 0),
            picture=lambda running, _: np.asarray(running.render(), np.uint8),
        )
    )

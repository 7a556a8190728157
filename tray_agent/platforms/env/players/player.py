"""What a player of a packaged game is, and the plain ones (no threads: the one who steps the game asks it)."""

import itertools
import random
from collections.abc import Iterable
from typing import Protocol

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.platforms.env.game import EnvGame

HUMAN_HOLD_S = 0.133
"""People hold a key at least so long."""
_OPPOSITE = ({"ArrowLeft", "ArrowRight"}, {"ArrowUp", "ArrowDown"}, {"KeyA", "KeyD"})
IDLE = Command()


class Player(Protocol):
    """Decides once a tick what is held."""

    def reset(self, seed: int) -> None:
        """A new episode begins."""
        ...

    def decide(self, game: EnvGame) -> Command:
        """What to hold in the tick that begins now."""
        ...


class ConstantPlayer:
    """Holds the same all the time."""

    def __init__(self, command: Command) -> None:
        self._command = command

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:  # noqa: ARG002 - a player's signature
        return self._command


class RandomPlayer:
    """Holds a random sensible command for 0.13 to 0.6 s, then another."""

    def __init__(self, controls: Controls) -> None:
        self._choices = sensible_commands(controls)
        self._dice = random.Random(0)  # noqa: S311 - play, not secrets
        self._left = 0
        self._now = IDLE

    def reset(self, seed: int) -> None:
        self._dice.seed(seed)
        self._left = 0

    def decide(self, game: EnvGame) -> Command:
        if self._left <= 0:
            self._now = self._dice.choice(self._choices)
            self._left = hold_ticks(game.info.rate_hz, self._dice.uniform(HUMAN_HOLD_S, 0.6))
        self._left -= 1
        return self._now


class HandOf:
    """A player with a human hand: what it presses stays down for `HUMAN_HOLD_S` at least."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._down: dict[str, int] = {}

    def reset(self, seed: int) -> None:
        self._down.clear()
        self._player.reset(seed)

    def decide(self, game: EnvGame) -> Command:
        wanted = self._player.decide(game)
        ticks = hold_ticks(game.info.rate_hz, HUMAN_HOLD_S)
        self._down = {key: age + 1 for key, age in self._down.items() if key in wanted.held or age < ticks}
        for key in wanted.held:
            self._down.setdefault(key, 1)
        return Command(frozenset(self._down), wanted.relative, wanted.axes)


def hold_ticks(rate_hz: float, seconds: float) -> int:
    """Whole ticks that last `seconds` at least."""
    return max(1, -int(-seconds * rate_hz // 1))


def holding(*keys: str) -> Command:
    """A command that holds these keys."""
    return Command(frozenset(keys))


def sensible_commands(controls: Controls) -> list[Command]:
    """Nothing, each button, each axis at either end, and all pairs of buttons that are not opposite."""
    singles = [holding(key) for key in controls.buttons]
    ends = [Command(axes={name: value}) for name in controls.axes for value in axis_ends(name)]
    return [IDLE, *singles, *ends, *(holding(*pair) for pair in _pairs(controls.buttons))]


def axis_ends(name: str) -> tuple[float, ...]:
    """The far positions of an axis: triggers have one."""
    return (1.0,) if name.endswith("T") else (-1.0, 1.0)


def _pairs(buttons: Iterable[str]) -> list[tuple[str, str]]:
    return [pair for pair in itertools.combinations(buttons, 2) if set(pair) not in _OPPOSITE]

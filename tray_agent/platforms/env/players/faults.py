"""The faults people have at play: they react late, press wrong keys and pause (no threads)."""

import random
from collections import deque
from dataclasses import dataclass

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.player import IDLE, Player, hold_ticks, sensible_commands

_DELAY_S = (0.100, 0.250)
_SLIP_EVERY_S, _SLIP_S = 4.0, (0.133, 0.400)
_PAUSE_EVERY_S, _PAUSE_S = 20.0, (1.0, 2.0)


@dataclass(frozen=True)
class Faults:
    """Which faults a player has.

    Attributes:
        delay: it acts 100 to 250 ms late; how late is drawn once an episode.
        noise: about every 4 s, for 133 to 400 ms, it presses something else, or nothing.
        pauses: about every 20 s, for 1 to 2 s, it presses nothing.
    """

    delay: bool = False
    noise: bool = False
    pauses: bool = False


ALL_FAULTS = Faults(delay=True, noise=True, pauses=True)


def with_faults(player: Player, faults: Faults) -> Player:
    """`player` with those faults, all drawn from the episode's seed; a human hand goes around the result."""
    if faults.delay:
        player = Delayed(player)
    if faults.noise:
        player = Slipping(player)
    if faults.pauses:
        player = Pausing(player)
    return player


class Delayed:
    """Does what the player decided some ticks ago, as many as the episode's reaction time lasts."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._decided: deque[Command] = deque()
        self._delay_s = _DELAY_S[0]

    def reset(self, seed: int) -> None:
        self._player.reset(seed)
        self._decided.clear()
        self._delay_s = _dice("delay", seed).uniform(*_DELAY_S)

    def decide(self, game: EnvGame) -> Command:
        self._decided.append(self._player.decide(game))
        rate = game.info.rate_hz
        if len(self._decided) <= max(1, min(round(self._delay_s * rate), int(_DELAY_S[1] * rate))):
            return IDLE
        return self._decided.popleft()


class Slipping:
    """Now and then, for a short time, presses something else than the player wants, or nothing."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._dice = _dice("noise", 0)
        self._left = 0
        self._slip = IDLE

    def reset(self, seed: int) -> None:
        self._player.reset(seed)
        self._dice = _dice("noise", seed)
        self._left = 0

    def decide(self, game: EnvGame) -> Command:
        wanted = self._player.decide(game)
        if self._left:
            self._left -= 1
            return self._slip
        if self._dice.random() * _SLIP_EVERY_S * game.info.rate_hz >= 1:
            return wanted
        self._left = hold_ticks(game.info.rate_hz, self._dice.uniform(*_SLIP_S)) - 1
        self._slip = self._something_else(wanted, game.info.controls)
        return self._slip

    def _something_else(self, wanted: Command, controls: Controls) -> Command:
        if self._dice.random() < 0.5 and wanted != IDLE:
            return IDLE
        others = [other for other in sensible_commands(controls) if other != wanted]
        return self._dice.choice(others)


class Pausing:
    """Now and then lets go of everything for a second or two, and still watches."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._dice = _dice("pauses", 0)
        self._left = 0

    def reset(self, seed: int) -> None:
        self._player.reset(seed)
        self._dice = _dice("pauses", seed)
        self._left = 0

    def decide(self, game: EnvGame) -> Command:
        wanted = self._player.decide(game)
        if not self._left and self._dice.random() * _PAUSE_EVERY_S * game.info.rate_hz < 1:
            self._left = hold_ticks(game.info.rate_hz, self._dice.uniform(*_PAUSE_S))
        if not self._left:
            return wanted
        self._left -= 1
        return IDLE


def _dice(fault: str, seed: int) -> random.Random:
    """Dice of their own for each fault, so that switching one off leaves the others as they were."""
    return random.Random(f"{fault} {seed}")  # noqa: S311 - play, not secrets

"""Scripted players of the Atari games; they read the console's memory (no threads)."""

from tray_agent.core.events import Command
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.player import IDLE, holding


class SkiingPlayer:
    """Steers to the middle of the next gate.

    Memory: 25 player x, 15 heading (0 far left .. 15 far right; 7 and 8 straight down), 62+i object x,
    178 - ram[86+i] its line, 70+i its type (2 = flag of a gate; the second flag stands 32 right of the first).
    """

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram.astype(int)
        gates = [(178 - ram[86 + i], ram[62 + i]) for i in range(8) if ram[70 + i] == 2]
        ahead = [(y, x) for y, x in gates if y > 50]
        aim = (min(ahead)[1] + 16 if ahead else 78) - (ram[25] + 4)
        return self._turn(ram[15], aim)

    def _turn(self, heading: int, aim: float) -> Command:
        wanted = 7.5 + max(-4.0, min(4.0, aim / 4))
        if abs(heading - wanted) < 1:
            return IDLE
        return holding("ArrowRight" if heading < wanted else "ArrowLeft")


class BoxingPlayer:
    """Closes in until the other's head is in reach of one glove, and punches whenever it is level with that glove.

    Memory: 32 and 34 own x and y, 33 and 35 the other's.
    """

    _FAR, _NEAR, _GLOVE, _LEVEL = 24, 10, 8, 3
    _REACH_X, _REACH_Y = 40, 24

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram.astype(int)
        across, down = ram[33] - ram[32], ram[35] - ram[34]
        held = set()
        if not self._NEAR <= abs(across) <= self._FAR:
            held.add("ArrowRight" if (across > 0) == (abs(across) > self._FAR) else "ArrowLeft")
        to_glove = min((down - self._GLOVE, down + self._GLOVE), key=abs)
        if abs(to_glove) > self._LEVEL:
            held.add("ArrowDown" if to_glove > 0 else "ArrowUp")
        elif abs(across) <= self._REACH_X and abs(down) <= self._REACH_Y:
            held.add("Space")
        return Command(frozenset(held))


class FreewayPlayer:
    """Walks up."""

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:  # noqa: ARG002 - a player's signature
        return holding("ArrowUp")

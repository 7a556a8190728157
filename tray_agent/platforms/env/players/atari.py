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

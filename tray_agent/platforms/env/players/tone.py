"""Scripted player of the tone test (no threads)."""

from tray_agent.core.events import Command
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.player import IDLE, holding


class TonePlayer:
    """Holds what the tone heard last asks for."""

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:
        tone = game.facts().numbers["tone"]
        if not tone:
            return IDLE
        return holding("ArrowUp" if tone > 0 else "ArrowDown")

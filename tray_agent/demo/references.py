"""What the agent's score is measured against: random play, the best constant action, the player (lockstep)."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from tray_agent.platforms.env.catalog import entry, scripted_player
from tray_agent.platforms.env.players.player import ConstantPlayer, RandomPlayer, sensible_commands
from tray_agent.platforms.env.scoring import play_episodes

SEED = 10_000


@dataclass(frozen=True)
class References:
    """Episode scores of everyone the agent is compared with.

    Attributes:
        random, constant, player: scores.
        constant_keys: what the best constant action holds.
    """

    random: list[float]
    constant: list[float]
    player: list[float]
    constant_keys: str

    @property
    def floor(self) -> float:
        """The better mean of random and best constant: what takes no skill."""
        return max(fmean(self.random), fmean(self.constant))

    def normalised(self, score: float) -> float:
        """0 is the floor, 1 is the player."""
        return (score - self.floor) / max(1e-9, fmean(self.player) - self.floor)


def measure(game_name: str, episodes: int, tell: Callable[[str], None]) -> References:
    """Play all references on fresh seeds; every constant action is tried.

    Raises:
        PlatformUnavailable: the game's package is missing.
    """
    game = entry(game_name).make_game()
    game.start()
    try:
        tell("random play")
        random = play_episodes(game, RandomPlayer(game.info.controls), episodes, SEED)
        best: tuple[list[float], str] | None = None
        for command in sensible_commands(game.info.controls):
            keys = " + ".join([*sorted(command.held), *command.axes]) or "nothing"
            tell(f"holding {keys}")
            scores = play_episodes(game, ConstantPlayer(command), episodes, SEED)
            if best is None or fmean(scores) > fmean(best[0]):
                best = (scores, keys)
        assert best is not None  # noqa: S101 - there is always the empty command
        tell("the scripted player")
        player = play_episodes(game, scripted_player(game_name), episodes, SEED)
    finally:
        game.close()
    return References(random, best[0], player, best[1])

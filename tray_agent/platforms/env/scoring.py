"""Reference scores in lockstep: random, best constant action, scripted player (caller's thread, nothing sleeps)."""

from dataclasses import dataclass

from tray_agent.core.events import Command
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.player import ConstantPlayer, Player, sensible_commands


def play_episodes(game: EnvGame, player: Player, episodes: int, seed: int) -> list[float]:
    """Scores of `episodes` episodes with seeds `seed`, `seed + 1`, ...; `game` is started and stays open."""
    return [play_episode(game, player, seed + i) for i in range(episodes)]


def play_episode(game: EnvGame, player: Player, seed: int) -> float:
    """Score (sum of rewards) of one episode, cut at `info.max_ticks`."""
    game.reset(seed)
    player.reset(seed)
    score = 0.0
    for _ in range(game.info.max_ticks):
        score += game.advance(player.decide(game), game.info.frames_per_tick)
        if game.over:
            break
    return score


@dataclass(frozen=True)
class ConstantScore:
    """A held command and its mean score."""

    command: Command
    mean: float


def constant_scores(game: EnvGame, episodes: int, seed: int) -> list[ConstantScore]:
    """Mean score of every sensible constant action, best first."""
    tried = [
        ConstantScore(command, sum(play_episodes(game, ConstantPlayer(command), episodes, seed)) / episodes)
        for command in sensible_commands(game.info.controls)
    ]
    return sorted(tried, key=lambda one: -one.mean)

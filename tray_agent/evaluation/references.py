"""What scores are measured against: random play, the best constant action, the player (lockstep)."""

from statistics import fmean
from typing import Any

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.evaluation.cell import Cell
from tray_agent.evaluation.playing import FIRST_SEED, spread
from tray_agent.evaluation.recording import Tell, player_of
from tray_agent.platforms.env.catalog import entry
from tray_agent.platforms.env.players.player import ConstantPlayer, Player, RandomPlayer, sensible_commands
from tray_agent.platforms.env.scoring import play_episode

_TRIED = 4
"""Episodes every constant action gets; the best three then get all."""
_FINALISTS = 3
_RANDOM, _PLAYER = "random", "player"
"""Others are numbers of constant actions."""


def take_references(cell: Cell, tell: Tell) -> dict[str, Any]:
    """Scores of random, of the best constant action and of the player, `cell.episodes` each."""
    commands = sensible_commands(entry(cell.game).make_game().info.controls)
    tries = _all(cell, [str(i) for i in range(len(commands))], _TRIED, tell)
    order = sorted(tries, key=lambda number: -fmean(tries[number]))[:_FINALISTS]
    finals = _all(cell, [*order, _RANDOM, _PLAYER], cell.episodes, tell)
    best = max(order, key=lambda number: fmean(finals[number]))
    return {
        "random": finals[_RANDOM], "constant": finals[best], "player": finals[_PLAYER],
        "constant_keys": _name(commands[int(best)]),
    }  # fmt: skip


def _all(cell: Cell, who: list[str], episodes: int, tell: Tell) -> dict[str, list[float]]:
    """Scores by who plays; each episode is a job of its own."""
    jobs = [(cell, one, FIRST_SEED + i) for one in who for i in range(episodes)]
    scores = [result["score"] for result in spread(_play, jobs, 2, tell)]
    return {one: scores[i * episodes : (i + 1) * episodes] for i, one in enumerate(who)}


def floor(result: dict[str, Any]) -> float:
    """What takes no skill: the better mean of random play and the best constant action."""
    return max(fmean(result["random"]), fmean(result["constant"]))


def _name(command: Command) -> str:
    axes = [f"{name} {value:+g}" for name, value in command.axes.items()]
    return " + ".join([*sorted(command.held), *axes]) or "nothing"


def _play(cell: Cell, who: str, seed: int) -> dict[str, Any]:
    game = entry(cell.game).make_game()
    game.start()
    try:
        return {"score": play_episode(game, _someone(cell, who, game.info.controls), seed)}
    finally:
        game.close()


def _someone(cell: Cell, who: str, controls: Controls) -> Player:
    if who == _PLAYER:
        return player_of(cell)
    return RandomPlayer(controls) if who == _RANDOM else ConstantPlayer(sensible_commands(controls)[int(who)])

"""What scores are measured against: random play, the best constant action, the player (lockstep)."""

from statistics import fmean
from typing import Any

from tray_agent.core.events import Command
from tray_agent.evaluation.cell import Cell
from tray_agent.evaluation.playing import FIRST_SEED, spread
from tray_agent.evaluation.recording import Tell, player_of
from tray_agent.platforms.env.catalog import entry
from tray_agent.platforms.env.players.player import ConstantPlayer, Player, RandomPlayer, sensible_commands
from tray_agent.platforms.env.scoring import play_episodes

_TRIED = 4
"""Episodes every constant action gets; the best three then get all."""
_FINALISTS = 3


def take_references(cell: Cell, tell: Tell) -> dict[str, Any]:
    """Scores of random, of the best constant action and of the player, `cell.episodes` each."""
    controls = entry(cell.game).make_game().info.controls
    commands = sensible_commands(controls)
    tries = spread(_held, [(cell.game, i, _TRIED) for i in range(len(commands))], 2, tell)
    order = sorted(range(len(commands)), key=lambda i: -fmean(tries[i]["scores"]))[:_FINALISTS]
    finals = spread(_held, [(cell.game, i, cell.episodes) for i in order], 2, tell)
    best = max(range(len(order)), key=lambda i: fmean(finals[i]["scores"]))
    others = spread(_played, [(cell, "random"), (cell, "player")], 2, tell)
    return {
        "random": others[0]["scores"], "constant": finals[best]["scores"], "player": others[1]["scores"],
        "constant_keys": _name(commands[order[best]]),
    }  # fmt: skip


def floor(result: dict[str, Any]) -> float:
    """What takes no skill: the better mean of random play and the best constant action."""
    return max(fmean(result["random"]), fmean(result["constant"]))


def _name(command: Command) -> str:
    axes = [f"{name} {value:+g}" for name, value in command.axes.items()]
    return " + ".join([*sorted(command.held), *axes]) or "nothing"


def _held(game: str, number: int, episodes: int) -> dict[str, Any]:
    controls = entry(game).make_game().info.controls
    return {"scores": _scores(game, ConstantPlayer(sensible_commands(controls)[number]), episodes)}


def _played(cell: Cell, who: str) -> dict[str, Any]:
    player = player_of(cell) if who == "player" else RandomPlayer(entry(cell.game).make_game().info.controls)
    return {"scores": _scores(cell.game, player, cell.episodes)}


def _scores(name: str, player: Player, episodes: int) -> list[float]:
    game = entry(name).make_game()
    game.start()
    try:
        return play_episodes(game, player, episodes, FIRST_SEED)
    finally:
        game.close()

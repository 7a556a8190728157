"""A chain's steps -> what one shared model gains and forgets, and a table of it (no I/O but the console)."""

from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from tray_agent.evaluation.cell import OURS, REFERENCES
from tray_agent.evaluation.report import Normaliser
from tray_agent.evaluation.shared_chain import Chain
from tray_agent.evaluation.store import Kept


def chain_summary(chain: Chain, steps: dict[str, dict[str, Any]], kept: dict[str, Kept]) -> dict[str, Any]:
    """By game: normalised scores of the single-game learning, right after its own learning, and after all games.

    Args:
        chain: what was done.
        steps: results by name.
        kept: cells of the same games: references, and the single-game learning if it was taken.
    """
    games = {}
    for number, cell in enumerate(chain.cells):
        found = {one.cell.policy: one.result for one in kept.values() if one.cell.game == cell.game
                 and one.cell.seed in {cell.seed, 0} and not one.cell.more}  # fmt: skip
        if REFERENCES not in found:
            continue
        normalise = Normaliser(found[REFERENCES])
        learned = steps[f"{number:02d}.learned"]
        after_all = steps.get(f"{number:02d}.again", learned)

        def mean(result: dict[str, Any] | None, normalise: Normaliser = normalise) -> float | None:
            return None if result is None else round(float(normalise(result["scores"]).mean()), 4)

        alone = found.get(OURS)
        games[cell.game] = {
            "alone": mean(alone), "shared": mean(learned), "after_all": mean(after_all),
            "score": round(fmean(learned["scores"]), 2), "score_after_all": round(fmean(after_all["scores"]), 2),
            "updates": learned["learned"]["updates"], "alone_updates": alone["learned"]["updates"] if alone else None,
            "others": learned["others"], "held_out": learned["learned"]["held_out"],
        }  # fmt: skip
    return {
        "games": games, "order": [cell.game for cell in chain.cells], "checkpoint_mb": _last(chain, steps),
        "mean_alone": _mean(games, "alone"), "mean_shared": _mean(games, "shared"),
        "mean_after_all": _mean(games, "after_all"),
    }  # fmt: skip


def _last(chain: Chain, steps: dict[str, dict[str, Any]]) -> float | None:
    size: float | None = steps[f"{len(chain.cells) - 1:02d}.learned"].get("checkpoint_mb")
    return size


def _mean(games: dict[str, dict[str, Any]], name: str) -> float | None:
    """None unless every game has it."""
    values = [one[name] for one in games.values()]
    return round(fmean(values), 4) if values and None not in values else None


def show_chain(console: Console, result: dict[str, Any]) -> None:
    """The table a person reads."""
    table = Table("game", "alone", "shared, right after", "shared, after all", "others learned along",
                  title="one model for all games, normalised scores")  # fmt: skip
    for game, one in result["games"].items():
        table.add_row(game, *map(_text, (one["alone"], one["shared"], one["after_all"])), str(len(one["others"])))
    means = (result["mean_alone"], result["mean_shared"], result["mean_after_all"])
    table.add_row("[bold]mean[/bold]", *map(_text, means), "")
    console.print(table)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"

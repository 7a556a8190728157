"""Finished cells -> one object with everything, and a table of it (no I/O but the console)."""

from collections.abc import Iterable
from statistics import fmean, median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tray_agent.evaluation.cell import OURS, REFERENCES, Cell
from tray_agent.evaluation.references import floor
from tray_agent.evaluation.statistics import (
    Estimate,
    Floats,
    interquartile_mean,
    iqm_of_runs,
    mean_of_games,
    median_of_games,
    over_games,
)
from tray_agent.evaluation.store import Kept

_LEAST_GAP = 1e-9


class Normaliser:
    """Scores of one game -> 0 at the floor, 1 at the player."""

    def __init__(self, references: dict[str, Any]) -> None:
        self.floor = floor(references)
        self.player = fmean(references["player"])

    def __call__(self, scores: list[float]) -> Floats:
        """Normalised scores, shape (n,); without a gap between floor and player they mean nothing and are nan."""
        gap = self.player - self.floor
        values: Floats = np.asarray(scores, np.float64) - self.floor
        return values / gap if gap > _LEAST_GAP else np.full(len(scores), np.nan)


def summary(wanted: list[Cell], kept: dict[str, Kept]) -> dict[str, Any]:
    """Everything that is known about the wanted cells; those missing are listed."""
    found = [kept[cell.key] for cell in wanted if cell.key in kept]
    normalisers = {k.cell.game: Normaliser(k.result) for k in found if k.cell.policy == REFERENCES}
    runs = [k for k in found if k.cell.policy != REFERENCES and k.cell.game in normalisers]
    policies = list(dict.fromkeys(k.cell.name for k in runs))
    overall = {name: _overall([k for k in runs if k.cell.name == name], normalisers) for name in policies}
    # a peer measured on other games than ours, or on fewer, can't be compared with it
    all_games = overall[OURS]["games"] if OURS in overall else max((o["games"] for o in overall.values()), default=0)
    peers = {n: o["mean"][0] for n, o in overall.items() if not n.startswith(OURS) and o["games"] == all_games}
    best = max(peers, key=lambda name: peers[name], default=None)
    ours = overall[OURS]["mean"][0] if OURS in overall else None
    return {
        "mean_normalised": ours,
        "best_peer": best,
        "best_peer_normalised": peers[best] if best else None,
        "vs_best_peer": round(ours / peers[best], 3) if best and ours is not None and peers[best] > 0 else None,
        "policies": overall,
        "games": {game: _game(game, found, normalisers[game]) for game in normalisers},
        "commits": sorted({k.commit for k in found}),
        "machines": sorted({k.machine for k in found}),
        "missing": [cell.label for cell in wanted if cell.key not in kept],
    }


def _overall(runs: list[Kept], normalisers: dict[str, Normaliser]) -> dict[str, Any]:
    by_game: dict[str, list[Floats]] = {}
    for kept in runs:
        by_game.setdefault(kept.cell.game, []).append(normalisers[kept.cell.game](kept.result["scores"]))
    games = list(by_game.values())
    estimates: dict[str, Estimate] = {
        "mean": over_games(games, mean_of_games),
        "median": over_games(games, median_of_games),
        "iqm": over_games(games, iqm_of_runs, interquartile_mean),
    }
    rates = [k.result["samples_per_s"] for k in runs if k.result.get("samples_per_s")]
    return {name: e.to_json() for name, e in estimates.items()} | {
        "games": len(games),
        "runs": len(runs),
        "samples_per_s": round(fmean(rates), 1) if rates else None,
    }


def _game(game: str, found: list[Kept], normaliser: Normaliser) -> dict[str, Any]:
    references = next(k for k in found if k.cell.game == game and k.cell.policy == REFERENCES)
    result: dict[str, Any] = {
        "random": round(fmean(references.result["random"]), 2),
        "constant": round(fmean(references.result["constant"]), 2),
        "constant_keys": references.result["constant_keys"],
        "player": round(normaliser.player, 2),
        "floor": round(normaliser.floor, 2),
        "policies": {},
        "mixed_plays": _mixed_plays([k for k in found if k.cell.game == game and k.cell.policy != REFERENCES]),
    }
    for name in dict.fromkeys(k.cell.name for k in found if k.cell.game == game and k.cell.policy != REFERENCES):
        runs = [k for k in found if k.cell.game == game and k.cell.name == name]
        result["policies"][name] = _policy(runs, normaliser)
    return result


def _mixed_plays(runs: list[Kept]) -> list[int]:
    """Seeds whose policies did not all learn from the same play: the player's script has changed between them."""
    plays: dict[int, set[str]] = {}
    for kept in runs:
        plays.setdefault(kept.cell.seed, set()).add(kept.result.get("play", ""))
    return sorted(seed for seed, digests in plays.items() if len(digests) > 1)


def _policy(runs: list[Kept], normaliser: Normaliser) -> dict[str, Any]:
    normalised = [normaliser(k.result["scores"]) for k in runs]
    scores = [s for k in runs for s in k.result["scores"]]
    return {
        "score": round(fmean(scores), 2),
        "score_median": round(median(scores), 2),
        "normalised": over_games([normalised], mean_of_games).to_json(),
        "normalised_iqm": round(interquartile_mean(np.concatenate(normalised)), 4),
        "seeds": {str(k.cell.seed): round(float(n.mean()), 4) for k, n in zip(runs, normalised, strict=True)},
        "half_at_s": _half_at(runs, normaliser),
        "first_bundle_s": [k.result["learned"]["first_bundle_s"] for k in runs if "learned" in k.result],
        "samples_per_s": [k.result.get("samples_per_s") for k in runs],
        "inference_ms": [k.result["inference_ms"] for k in runs if "inference_ms" in k.result],
        "offline": [k.result["offline"] for k in runs if k.result.get("offline")],
        "commits": sorted({k.commit for k in runs}),
    }


def _half_at(runs: list[Kept], normaliser: Normaliser) -> list[float]:
    """Seconds of learning of the first bundle that was played and beat half of the run's final score."""
    times = []
    for kept in runs:
        curve = [
            (point["seconds"], float(normaliser(point["scores"]).mean())) for point in kept.result.get("curve", ())
        ]
        if curve and curve[-1][1] > 0:
            times.append(next(seconds for seconds, score in curve if score >= curve[-1][1] / 2))
    return times


def show(console: Console, result: dict[str, Any], caption: str) -> None:
    """The table a person reads."""
    policies = list(result["policies"])
    table = Table(
        "game", "random", "best held key", "player", *policies, title="normalised score: 0 no skill, 1 player"
    )
    for game, one in result["games"].items():
        cells = [_cell_text(one["policies"].get(name)) for name in policies]
        held = f"{_score(one['constant'])} ({one['constant_keys']})"
        table.add_row(game, _score(one["random"]), held, _score(one["player"]), *cells)
    for name in ("mean", "median", "iqm"):
        texts = [_overall_text(result["policies"][p], name, len(result["games"])) for p in policies]
        table.add_row(f"[bold]{name}[/bold]", "", "", "", *texts)
    console.print(table)
    console.print(caption)
    for game, one in result["games"].items():
        if one["mixed_plays"]:
            console.print(f"[red]{game}: not all learned from the same play (seeds {one['mixed_plays']}); take it anew")
    if result["missing"]:
        count = len(result["missing"])
        console.print(f"{count} cell{'s are' if count != 1 else ' is'} missing; --resume goes on")


def _cell_text(one: dict[str, Any] | None) -> str:
    return "-" if one is None else f"{_score(one['score'])} = {_interval(one['normalised'])}"


def _overall_text(one: dict[str, Any], name: str, games: int) -> str:
    """With a word where it can't be compared, because it is over fewer games."""
    return _interval(one[name]) + (f" of {one['games']} games" if one["games"] < games else "")


def _score(score: float) -> str:
    return f"{score:.0f}" if abs(score) >= 100 else f"{score:.1f}"


def _interval(estimate: Iterable[float]) -> str:
    value, low, high = estimate
    return f"[bold]{value:.2f}[/bold] ({low:.2f}..{high:.2f})"

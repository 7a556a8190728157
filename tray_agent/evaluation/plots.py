"""The results table and the learning curves as pictures (matplotlib)."""

from pathlib import Path
from typing import Any

from tray_agent.errors import PlatformUnavailable
from tray_agent.evaluation.cell import OURS, REFERENCES
from tray_agent.evaluation.report import Normaliser
from tray_agent.evaluation.store import Kept

_COLOURS = {OURS: "#2a6fdb"}
_OTHERS = ("#9aa5b1", "#c9a66b", "#8fb996", "#c58fb0", "#8f93c5", "#d0d0d0")
_LOWEST = -0.5  # a bar that goes further down ends there, with its value below it


def draw(result: dict[str, Any], kept: dict[str, Kept], folder: Path) -> list[Path]:
    """Write `scores.png` and `learning.png` under `folder`; what there are no cells for is left out.

    Raises:
        PlatformUnavailable: matplotlib is missing.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise PlatformUnavailable(f"plots need matplotlib: {error}", "Run: pip install matplotlib") from error
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    if result["policies"]:
        paths.append(_scores(result, folder / "scores.png"))
    curves = _curves(kept)
    if curves:
        paths.append(_learning(curves, folder / "learning.png"))
    return paths


def _colour(name: str, number: int) -> str:
    return _COLOURS.get(name, _OTHERS[number % len(_OTHERS)])


def _scores(result: dict[str, Any], path: Path) -> Path:
    import matplotlib.pyplot as plt

    games = [*result["games"], "mean"]
    names = list(result["policies"])
    figure, axes = plt.subplots(figsize=(max(6.0, 1.25 * len(games)), 4.5), layout="constrained")
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        values = [result["games"][g]["policies"].get(name, {}).get("normalised") for g in games[:-1]]
        overall = result["policies"][name]  # a mean over fewer games beside one over all would mislead
        values.append(overall["mean"] if overall["games"] == len(result["games"]) else None)
        places = [i + (number - (len(names) - 1) / 2) * width for i, value in enumerate(values) if value]
        shown = [value for value in values if value]
        heights = [max(_LOWEST, v[0]) for v in shown]
        errors = [
            [max(0.0, h - max(_LOWEST, v[1])) for h, v in zip(heights, shown, strict=True)],
            [max(0.0, v[2] - h) for h, v in zip(heights, shown, strict=True)],
        ]
        axes.bar(places, heights, width, yerr=errors, label=name, color=_colour(name, number), error_kw={"lw": 0.8})
        for place, (value, *_) in zip(places, shown, strict=True):
            if value < _LOWEST:
                axes.text(place, _LOWEST + 0.02, f"{value:.1f}", ha="center", va="bottom", fontsize=8, rotation=90)
    axes.axhline(1.0, color="black", lw=0.8, ls="--")
    axes.axhline(0.0, color="black", lw=0.8)
    axes.text(len(games) - 0.45, 1.02, "the player", ha="right", fontsize=8)
    axes.set_xticks(range(len(games)), games, rotation=25, ha="right")
    axes.set_ylabel("normalised score (0: no skill)")
    axes.legend(fontsize=8, ncols=min(6, len(names)), loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def _curves(kept: dict[str, Kept]) -> dict[str, list[list[tuple[float, float]]]]:
    """Game -> one curve a seed: (seconds of learning, normalised score)."""
    normalisers = {k.cell.game: Normaliser(k.result) for k in kept.values() if k.cell.policy == REFERENCES}
    curves: dict[str, list[list[tuple[float, float]]]] = {}
    for one in kept.values():
        if one.cell.name == OURS and one.cell.game in normalisers:
            scale = normalisers[one.cell.game]
            points = [(p["seconds"], float(scale(p["scores"]).mean())) for p in one.result["curve"]]
            curves.setdefault(one.cell.game, []).append(points)
    return curves


def _learning(curves: dict[str, list[list[tuple[float, float]]]], path: Path) -> Path:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.0, 4.5), layout="constrained")
    for number, (game, seeds) in enumerate(curves.items()):
        for i, points in enumerate(seeds):
            x, y = [p[0] for p in points], [max(_LOWEST, p[1]) for p in points]
            axes.plot(x, y, marker="o", ms=3, lw=1.2, color=f"C{number}", label=game if i == 0 else None)
    axes.axhline(1.0, color="black", lw=0.8, ls="--")
    axes.axhline(0.0, color="black", lw=0.8)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("seconds of learning")
    axes.set_ylabel("normalised score (0: no skill, 1: the player)")
    axes.legend(fontsize=8, ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path

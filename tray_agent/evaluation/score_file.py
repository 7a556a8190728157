"""A measured play score out of a file that `tray-agent evaluate` wrote (no threads)."""

import json
from pathlib import Path
from statistics import fmean

from tray_agent.errors import BundleError
from tray_agent.evaluation.cell import OURS


def measured_score(path: Path, game: str) -> dict[str, float]:
    """The score of that game in a cell's file or in what `evaluate --json` printed.

    Returns:
        {"score", "episodes"} of a cell; {"score", "normalised"} of a table.

    Raises:
        BundleError: the file can't be read, or holds no score of that game.
    """
    try:
        data = json.loads(path.read_text())
        if "cell" in data:
            scores = [float(score) for score in data["result"]["scores"]] if data["cell"]["game"] == game else []
            return {"score": round(fmean(scores), 4), "episodes": float(len(scores))}
        row = data["games"][game]["policies"][OURS]
        return {"score": float(row["score"]), "normalised": float(row["normalised"][0])}
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise BundleError(
            f"{path} holds no score of {game} ({type(error).__name__}: {error}). "
            "Name a cell's file of `tray-agent evaluate`, or what its --json printed"
        ) from error

"""Aggregates over games and seeds with intervals (numpy; no I/O).

Source: Agarwal et al. 2021, "Deep RL at the Edge of the Statistical Precipice": interquartile mean, stratified
bootstrap over runs. A run here is one seed's episodes of one game.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_RESAMPLES = 2000
_LEVEL = 0.95
Floats = npt.NDArray[np.float64]
Scores = list[Floats]
"""For each game the scores of its runs."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval (95 %, percentile bootstrap)."""

    value: float
    low: float
    high: float

    def to_json(self) -> list[float]:
        """[value, low, high]."""
        return [round(self.value, 4), round(self.low, 4), round(self.high, 4)]


def interquartile_mean(values: Floats) -> float:
    """Mean of the middle half, the quartiles' own values weighted by how much of them lies inside."""
    ordered = np.sort(values.ravel())
    n = len(ordered)
    inside = np.clip(np.minimum(np.arange(1, n + 1), 0.75 * n) - np.maximum(np.arange(n), 0.25 * n), 0.0, None)
    return float((ordered * inside).sum() / inside.sum())


def mean_of_games(games: Scores) -> float:
    """Mean of the games' means, so that a game of more seeds does not count more."""
    return float(np.mean([scores.mean() for scores in games]))


def median_of_games(games: Scores) -> float:
    """Median of the games' means."""
    return float(np.median([scores.mean() for scores in games]))


def iqm_of_runs(games: Scores) -> float:
    """Interquartile mean of all runs of all games."""
    return interquartile_mean(np.concatenate(games))


def over_games(
    games: list[list[Floats]], statistic: Callable[[Scores], float], weigh: Callable[[Floats], float] = np.mean
) -> Estimate:
    """A statistic over games and seeds, with a stratified bootstrap: seeds and episodes are redrawn per game.

    Args:
        games: for each game a list of runs; a run is the array of its episodes' normalised scores.
        statistic: of a list with the scores of its runs for each game.
        weigh: a run's score from its episodes.
    """
    random = np.random.default_rng(0)
    value = statistic([np.array([weigh(run) for run in runs]) for runs in games])
    draws = [
        statistic([np.array([weigh(_redrawn(random, run)) for run in _some(random, runs)]) for runs in games])
        for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(draws, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))


def _some(random: np.random.Generator, runs: list[Floats]) -> list[Floats]:
    return [runs[i] for i in random.integers(0, len(runs), len(runs))]


def _redrawn(random: np.random.Generator, run: Floats) -> Floats:
    picked: Floats = random.choice(run, len(run))
    return picked

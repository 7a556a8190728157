"""Aggregates: interquartile mean and intervals, against values worked out by hand and a library's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_agent.evaluation.statistics import interquartile_mean, iqm_of_runs, mean_of_games, median_of_games, over_games

FLOATS = st.floats(-1e3, 1e3)


def test_interquartile_mean_drops_the_outer_halves() -> None:
    """Of eight values the middle four count; one stuck episode of -30,000 does not."""
    values = np.array([-30000.0, 1, 2, 3, 4, 5, 6, 1000])
    assert interquartile_mean(values) == pytest.approx((2 + 3 + 4 + 5) / 4)


def test_interquartile_mean_weighs_values_on_the_border() -> None:
    """With five values the quarter points lie inside the second and fourth: each counts by three quarters."""
    values = np.array([5.0, 1, 2, 4, 3])
    assert interquartile_mean(values) == pytest.approx((0.75 * 2 + 3 + 0.75 * 4) / 2.5)


@given(st.lists(FLOATS, min_size=1, max_size=30))
def test_interquartile_mean_lies_between_the_extremes(values: list[float]) -> None:
    """Whatever the values, and for one value it is that value."""
    result = interquartile_mean(np.array(values))
    assert min(values) - 1e-6 <= result <= max(values) + 1e-6


def test_interval_holds_the_value_and_narrows_with_more_episodes() -> None:
    """The bootstrap's interval is about the mean's standard error."""
    random = np.random.default_rng(1)

    def width(episodes: int) -> float:
        games = [[random.normal(0.5, 0.2, episodes) for _ in range(3)] for _ in range(4)]
        estimate = over_games(games, mean_of_games)
        assert estimate.low < estimate.value < estimate.high
        return estimate.high - estimate.low

    assert width(200) < 0.7 * width(10)


def test_one_run_of_equal_scores_has_no_width() -> None:
    """Nothing varies, so the interval is the value."""
    estimate = over_games([[np.full(5, 0.25)]], mean_of_games)
    assert estimate.to_json() == [0.25, 0.25, 0.25]


def test_a_game_of_more_seeds_counts_as_one_game() -> None:
    """Two games, one of them taken twice: mean and median are over games, the interquartile mean over all runs."""
    games = [[np.full(2, 0.1), np.full(2, 0.3)], [np.full(2, 0.8)]]
    assert over_games(games, mean_of_games).value == pytest.approx((0.2 + 0.8) / 2)
    assert over_games([*games, [np.full(2, 0.5)]], median_of_games).value == pytest.approx(0.5)
    assert over_games(games, iqm_of_runs).value == pytest.approx((0.1 * 0.25 + 0.3 + 0.8 * 0.25) / 1.5)

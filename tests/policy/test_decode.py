"""Outputs -> actions: temperatures, holds, gaps, thresholds, bins, axes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_agent.core.controls import Controls, to_command
from tray_agent.policy.decode import ControlDecoding, Decoding, Sampler, chances_of, likeliest, sigmoid

MIXED = Controls(("KeyA", "KeyB", "Space"), ("MouseX", "WheelY"), ("PadLX", "PadRT"))
BINS = {"MouseX": (-10.0, -1.0, 0.0, 1.0, 10.0), "WheelY": (-2.0, -1.0, 0.0, 1.0, 2.0)}
AXIS_BINS = (-1.0, -0.5, 0.0, 0.5, 1.0)
ONE = Controls(("Space",))
NO_BINS = np.zeros((0, 5), np.float32)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def pressed(logit: float, ticks: int = 400, seed: int = 1, **decoding) -> np.ndarray:
    """Held state of one button whose logit stands still."""
    own = {k: v for k, v in decoding.items() if k != "game_temperature"}
    d = Decoding(decoding.get("game_temperature", 1.0), {"Space": ControlDecoding(**own)})
    sampler = Sampler(ONE, {}, (), d, seed)
    return np.array([sampler.draw(floats(logit), NO_BINS, NO_BINS)[0] for _ in range(ticks)])


def stretches(held: np.ndarray) -> list[int]:
    """Lengths of the stretches of 1, the unfinished last one left out."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], held])))
    return [int(b - a) for a, b in zip(edges[::2], edges[1::2], strict=False)]


def test_temperature_one_presses_as_often_as_the_policy_says() -> None:
    """At temperature 1 the share of held ticks is the probability; colder goes to the more likely side."""
    share = pressed(1.0, 4000, temperature=1.0).mean()
    assert share == pytest.approx(float(sigmoid(floats(1.0))[0]), abs=0.03)
    assert pressed(1.0, 4000, temperature=0.25).mean() == pytest.approx(float(sigmoid(floats(4.0))[0]), abs=0.02)
    assert pressed(1.0, temperature=0.0).all()
    assert not pressed(-1.0, temperature=0.0).any()


def test_control_without_temperature_takes_the_games() -> None:
    """A control's own temperature wins, 0 included; without one the game's holds."""
    assert pressed(0.7, 4000, game_temperature=1e-9).all()
    assert not pressed(0.7, 4000, game_temperature=1e-9, temperature=5.0).all()
    assert pressed(0.7, 4000, game_temperature=5.0, temperature=0.0).all()


@given(st.integers(1, 6), st.integers(0, 9), st.integers(0, 12), st.floats(-3, 3), st.integers(0, 99))
def test_holds_and_gaps_are_kept(min_hold: int, more: int, min_gap: int, logit: float, seed: int) -> None:
    """No press is shorter than min_hold or longer than max_hold, and presses begin min_gap ticks apart."""
    max_hold = min_hold + more if more else 0
    held = pressed(logit, 120, seed, min_hold_ticks=min_hold, max_hold_ticks=max_hold, min_gap_ticks=min_gap)
    done = stretches(held)
    assert all(length >= min_hold for length in done)
    assert not max_hold or all(length <= max_hold for length in done)
    starts = np.flatnonzero(np.diff(np.concatenate([[0], held])) > 0)
    assert (np.diff(starts) >= min_gap).all()


def test_max_hold_lets_go_for_one_tick() -> None:
    """A button the policy is sure of is let go of for a tick each time its hold is up."""
    assert pressed(20.0, 8, max_hold_ticks=3).tolist() == [1, 1, 1, 0, 1, 1, 1, 0]


def test_limits_hold_for_actions_given_from_outside() -> None:
    """What is pressed to get unstuck keeps to the game's limits as well; what is not a button stays as it is."""
    sampler = Sampler(MIXED, BINS, AXIS_BINS, Decoding(1.0, {"KeyA": ControlDecoding(max_hold_ticks=3)}), seed=1)
    given = floats(1, 0, 1, -10, 2, 0.5, 1)
    got = np.stack([sampler.limit(given) for _ in range(8)])
    assert got[:, 0].tolist() == [1, 1, 1, 0, 1, 1, 1, 0]
    assert (got[:, 1:] == given[1:]).all()


def test_threshold_is_about_the_policys_own_probability() -> None:
    """With a threshold nothing is by chance, and the temperature does not move it."""
    for temperature in (0.1, 1.0, 2.0):
        assert pressed(1.0, 50, threshold=0.7, temperature=temperature).all()  # sigmoid(1) = 0.73
        assert not pressed(1.0, 50, threshold=0.75, temperature=temperature).any()


def test_relative_controls_draw_bins_by_their_weight() -> None:
    """Counts are bin values, drawn as often as the policy says, each control by its own bins."""
    sampler = Sampler(MIXED, BINS, AXIS_BINS, Decoding(1.0), seed=3)
    relative = np.log(np.array([[0.5, 1e-9, 0.25, 1e-9, 0.25], [1e-9, 1e-9, 1e-9, 1.0, 1e-9]], np.float32))
    drawn = np.array(
        [sampler.draw(np.zeros(3, np.float32), relative, np.zeros((2, 5), np.float32)) for _ in range(3000)]
    )
    values, counts = np.unique(drawn[:, 3], return_counts=True)
    assert values.tolist() == [-10.0, 0.0, 10.0]
    assert counts / 3000 == pytest.approx([0.5, 0.25, 0.25], abs=0.03)
    assert (drawn[:, 4] == 1.0).all()


def test_axes_are_the_mean_and_triggers_stay_above_zero() -> None:
    """A stick goes to the mean of what is likely, smoothly; a trigger has no negative side."""
    sampler = Sampler(MIXED, BINS, AXIS_BINS, Decoding(1.0), seed=3)
    axes = np.log(np.array([[1e-9, 1e-9, 1e-9, 0.5, 0.5], [0.5, 1e-9, 0.5, 1e-9, 1e-9]], np.float32))
    action = sampler.draw(np.zeros(3, np.float32), np.zeros((2, 5), np.float32), axes)
    assert action[5] == pytest.approx(0.75, abs=1e-4)
    assert action[6] == 0.0


ANY = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(ANY, min_size=23, max_size=23), st.floats(0, 2), st.integers(0, 9))
def test_every_finite_output_gives_a_command_in_bounds(logits: list[float], temperature: float, seed: int) -> None:
    """However large the logits, the action is finite, held bits are 0 or 1, counts are bins, axes in -1..1."""
    values = np.array(logits, np.float32)
    sampler = Sampler(MIXED, BINS, AXIS_BINS, Decoding(temperature), seed)
    action = sampler.draw(values[:3], values[3:13].reshape(2, 5), values[13:].reshape(2, 5))
    command = to_command(MIXED, action)
    assert set(action[:3]) <= {0.0, 1.0}
    assert action[3] in BINS["MouseX"]
    assert action[4] in BINS["WheelY"]
    assert -1.0 <= command.axes["PadLX"] <= 1.0
    assert 0.0 <= command.axes["PadRT"] <= 1.0


def test_same_seed_same_draws_and_reset_forgets_holds() -> None:
    """Two samplers with one seed agree; after reset a min-hold from before is not carried on."""
    assert (pressed(0.0, seed=5) == pressed(0.0, seed=5)).all()
    sampler = Sampler(ONE, {}, (), Decoding(0.0, {"Space": ControlDecoding(min_hold_ticks=9)}), 0)
    assert sampler.draw(floats(1), NO_BINS, NO_BINS)[0] == 1
    assert sampler.draw(floats(-1), NO_BINS, NO_BINS)[0] == 1
    sampler.reset()
    assert sampler.draw(floats(-1), NO_BINS, NO_BINS)[0] == 0


MAZE = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


def drawn(together: tuple[tuple[int, ...], ...], *logits: float, temperature: float = 1.0, n: int = 3000) -> np.ndarray:
    """Held bits of three buttons, n times."""
    controls = Controls(("KeyA", "KeyB", "Space"))
    sampler = Sampler(controls, {}, (), Decoding(temperature), 5, together)
    return np.array([sampler.draw(floats(*logits), NO_BINS, NO_BINS) for _ in range(n)])


def test_only_sets_that_the_player_used_are_drawn() -> None:
    """Unsure which of three, it still presses one; how often each is the softmax of the logits."""
    bits = drawn(MAZE, 0.0, 1.0, 2.0)
    assert (bits.sum(1) == 1).all()
    chances = np.exp([0.0, 1.0, 2.0]) / np.exp([0.0, 1.0, 2.0]).sum()
    assert bits.mean(0) == pytest.approx(chances, abs=0.04)
    assert (drawn((), 0.0, 1.0, 2.0).sum(1) != 1).any()


def test_all_sets_allowed_is_each_button_on_its_own() -> None:
    """Then a button's chance is its own logistic function."""
    every = tuple((a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1))
    expected = sigmoid(floats(-1.0, 0.5, 2.0))
    assert drawn(every, -1.0, 0.5, 2.0).mean(0) == pytest.approx(expected, abs=0.04)


def test_cold_takes_the_likeliest_set() -> None:
    """At temperature 0 the set with the largest sum wins, not each button with a positive logit."""
    assert (drawn(MAZE, 1.0, 3.0, 2.0, temperature=0.0, n=20) == [0, 1, 0]).all()
    assert (drawn(MAZE, -5.0, -3.0, -4.0, temperature=0.0, n=20) == [0, 1, 0]).all()


def test_likeliest_is_a_set_that_was_used() -> None:
    """Two positive logits are no reason to hold two buttons that never were held together."""
    assert likeliest(floats(1.0, 3.0, 2.0), MAZE).tolist() == [False, True, False]
    assert likeliest(floats(-5.0, -4.0, -3.0), MAZE).tolist() == [False, False, True]
    assert likeliest(floats(1.0, 3.0, -2.0), ()).tolist() == [True, True, False]


def test_chances_are_shares_of_what_is_drawn() -> None:
    """Of three directions the softmax; each button on its own its logistic function."""
    logits = floats(0.0, 1.0, 2.0)[None]
    assert chances_of(logits, MAZE)[0] == pytest.approx(drawn(MAZE, 0.0, 1.0, 2.0).mean(0), abs=0.04)
    assert chances_of(logits, MAZE).sum() == pytest.approx(1.0)
    assert chances_of(logits, ())[0] == pytest.approx(sigmoid(logits[0]))

"""Getting unstuck: only when the picture moves less than it ever did for the player, and only until it moves again."""

import itertools

import numpy as np

from tray_agent.policy.unstuck import Unsticker

HABITS = ((1.0, 0.0), (0.0, 1.0))
RATE_HZ = 10.0
WINDOW = 15


def picture(grey: int) -> np.ndarray:
    return np.full((4, 4, 3), grey, np.uint8)


def after(unsticker: Unsticker, greys: list[int]) -> list[np.ndarray | None]:
    actions = []
    for grey in greys:
        unsticker.see(picture(grey))
        actions.append(unsticker.action())
    return actions


def moving(ticks: int) -> list[int]:
    return [10 * (i % 2) for i in range(ticks)]


def test_game_that_moves_is_left_alone() -> None:
    unsticker = Unsticker(1.0, HABITS, RATE_HZ, seed=0)
    assert after(unsticker, moving(200)) == [None] * 200
    assert unsticker.ticks == 0


def test_game_that_stands_still_gets_the_players_habits_until_it_moves() -> None:
    """Each is held for 0.25 to 0.75 s; both are tried; soon after the game moves again the policy is back."""
    unsticker = Unsticker(1.0, HABITS, RATE_HZ, seed=0)
    assert after(unsticker, [7] * WINDOW) == [None] * WINDOW
    actions = after(unsticker, [7] * 300)
    assert all(action is not None for action in actions)
    rows = [tuple(action) for action in actions]
    assert set(rows) == set(HABITS)
    changes = np.flatnonzero([a != b for a, b in itertools.pairwise(rows)])
    assert np.diff(changes).min() >= 2
    assert unsticker.ticks == 300
    assert after(unsticker, moving(30))[-1] is None


def test_no_habits_never_interfere() -> None:
    for floor in (0.0, 1.0):
        assert after(Unsticker(floor, (), RATE_HZ, 0), [7] * 100) == [None] * 100


def test_where_the_player_stood_still_too_something_is_pressed_before_the_play_would_end() -> None:
    """With an unknown floor: 2.5 s of a picture that stands quite still, then presses until it moves; never none."""
    unsticker = Unsticker(0.0, (*HABITS, (0.0, 0.0)), RATE_HZ, 0)
    assert after(unsticker, moving(50)) == [None] * 50
    assert after(unsticker, [7] * 25) == [None] * 25
    actions = after(unsticker, [7] * 40)
    assert {tuple(action) for action in actions if action is not None} == set(HABITS)
    assert None not in [None if action is None else 0 for action in actions]
    assert after(unsticker, moving(20))[-1] is None
    assert after(Unsticker(0.0, ((0.0, 0.0),), RATE_HZ, 0), [7] * 100) == [None] * 100


def test_reset_forgets_the_standstill() -> None:
    unsticker = Unsticker(1.0, HABITS, RATE_HZ, seed=0)
    after(unsticker, [7] * 40)
    unsticker.reset()
    assert after(unsticker, [7] * WINDOW) == [None] * WINDOW


def test_a_newer_policy_goes_on_getting_unstuck() -> None:
    """Nothing is forgotten: neither what is being done nor for how long the game has stood still."""
    old, new = (Unsticker(1.0, HABITS, RATE_HZ, seed) for seed in (0, 1))
    before = after(old, [7] * (WINDOW + 1))[-1]
    new.inherit(old)
    (now,) = after(new, [7])
    assert now is not None
    assert before is not None
    assert tuple(now) == tuple(before)
    assert new.ticks == 2

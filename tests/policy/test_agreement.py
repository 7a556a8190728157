"""Agreement of two ways of holding buttons."""

import numpy as np

from tray_agent.policy.agreement import before, beside_nothing_clever

HELD = np.array([[0, 1], [1, 1], [1, 1], [0, 1]], bool)


def test_perfect_copying_and_nothing():
    """Who holds what the player holds has 1 in all; copying the last action never finds a change."""
    found = beside_nothing_clever(HELD, HELD, before(HELD))
    assert found["policy"] == {"accuracy": 1.0, "balanced_accuracy": 1.0, "change_f1": 1.0}
    assert found["copy_last"]["accuracy"] == 0.625
    assert found["copy_last"]["change_f1"] == 0.0
    # of the first button half is right, of the second, which is never up, nothing
    assert found["released"]["balanced_accuracy"] == 0.25


def test_changes_found_late_do_not_count():
    """One change of three is found, and none is seen where there is none."""
    guess = np.array([[0, 1], [0, 1], [1, 1], [1, 1]], bool)
    assert before(HELD)[:, 0].tolist() == [False, False, True, True]
    found = beside_nothing_clever(guess, HELD, before(HELD))
    # real: (0, second), (1, first), (3, first); predicted: (0, second)
    assert found["policy"]["change_f1"] == round(2 / 4, 4)

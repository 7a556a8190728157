"""What is said about a policy: the sentence fits what is known, and a blind one is refused."""

from dataclasses import replace

import pytest

from tray_agent.training.readiness import Facts, State, judge

GOOD = Facts(seconds=300, passes=20, used=("ArrowLeft", "Space"), held=(), picture_changes=True,
             skill=0.7, loss=0.3, blind_loss=0.9, baseline_loss=0.8)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "state", "said"),
    [
        ({}, State.READY, "knows 70%"),
        ({"seconds": 10.0}, State.LEARNING, "10 s of play watched so far"),
        ({"used": ()}, State.CANNOT, "nothing was ever pressed"),
        ({"used": (), "held": ("ArrowUp",)}, State.CANNOT, "ArrowUp was held all the time"),
        ({"picture_changes": False}, State.CANNOT, "the picture never changed"),
        ({"skill": None}, State.LEARNING, "check itself"),
        ({"skill": 0.02, "passes": 2.0}, State.LEARNING, "not yet see"),
        ({"skill": 0.02}, State.CANNOT, "no better than chance"),
        ({"skill": 0.2, "blind_loss": 0.31}, State.CANNOT, "eyes shut"),
        ({"skill": 0.2, "blind_loss": 0.31, "passes": 2.0}, State.LEARNING, "not yet see"),
        ({"skill": 0.3, "loss": 0.55, "blind_loss": 0.47}, State.READY, "knows 30%"),  # sure of itself where it errs
        ({"skill": 0.2}, State.LEARNING, "knows 20%"),
    ],
)
def test_each_case_has_its_sentence(changes: dict, state: State, said: str) -> None:
    readiness = judge(replace(GOOD, **changes))
    assert readiness.state == state
    assert said in readiness.why


def test_still_picture_with_sound_may_be_played_by_ear() -> None:
    """A game that is heard need not be seen."""
    assert judge(replace(GOOD, picture_changes=False, hears=True)).state == State.READY

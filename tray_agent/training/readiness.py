"""Whether a policy is fit to play, said in a sentence and not in a loss (no torch, no I/O).

Judged on stretches that were never learned from. The limits are low on purpose: they keep out what can't play, they do
not promise that the rest plays well; only play itself shows that.
"""

from dataclasses import dataclass
from enum import StrEnum

MIN_SECONDS = 20.0
"""Less play than this says nothing about anything."""
PATIENCE_PASSES = 6.0
"""Passes over the data after which "not yet" becomes "can't"."""
_CHANCE_SKILL = 0.08
_READY_SKILL = 0.25
_BLIND_SHARE = 0.05


class State(StrEnum):
    """What `status`, tray and CLI say."""

    READY = "ready"
    LEARNING = "still learning"
    CANNOT = "cannot"


@dataclass(frozen=True)
class Facts:
    """What is known about data and policy.

    Attributes:
        seconds: of play that may be learned from.
        passes: how often each tick was learned from, on average.
        used: names of the controls that were not the same all the time.
        held: names of the buttons that were down all the time.
        picture_changes: whether any two pictures differ.
        hears: whether sound is listened to.
        skill: on held-out stretches, 0 the best constant guess, 1 perfect; None while there are none.
        loss, blind_loss, baseline_loss: on held-out stretches: as it is, with picture and sound taken away, and of
            the best constant guess.
    """

    seconds: float
    passes: float
    used: tuple[str, ...]
    held: tuple[str, ...]
    picture_changes: bool
    hears: bool = False
    skill: float | None = None
    loss: float = 0.0
    blind_loss: float = 0.0
    baseline_loss: float = 0.0


@dataclass(frozen=True)
class Readiness:
    """A judgement and its reason, both for the user."""

    state: State
    why: str

    def to_json(self) -> dict[str, str]:
        """Plain data."""
        return {"state": str(self.state), "why": self.why}


def judge(facts: Facts) -> Readiness:
    """The sentence that fits."""
    if facts.seconds < MIN_SECONDS:
        return Readiness(
            State.LEARNING, f"{facts.seconds:.0f} s of play watched so far, at least {MIN_SECONDS:.0f} s are needed"
        )
    if not facts.used:
        return Readiness(State.CANNOT, _nothing_to_imitate(facts))
    if not facts.picture_changes and not facts.hears:
        return Readiness(
            State.CANNOT, "the picture never changed while it watched: is the right window or region captured?"
        )
    if facts.skill is None:
        return Readiness(State.LEARNING, "it needs a minute of play to check itself")
    return _by_skill(facts, facts.skill)


def _nothing_to_imitate(facts: Facts) -> str:
    if facts.held:
        return f"{' and '.join(facts.held)} was held all the time and nothing else pressed: there is nothing to learn"
    return "nothing was ever pressed while it watched: play, and see that the game's keys are in its `controls`"


def _by_skill(facts: Facts, skill: float) -> Readiness:
    # with its eyes shut it always says the same, which is a skill of 0: who has some sees, however high the loss, which
    # rises where it is too sure of itself (Ms. Pac-Man at 0.3 of its player had a higher one than with its eyes shut)
    blind = skill < _READY_SKILL and facts.blind_loss - facts.loss < _BLIND_SHARE * facts.baseline_loss
    if skill < _CHANCE_SKILL or blind:
        if facts.passes < PATIENCE_PASSES:
            return Readiness(State.LEARNING, "it does not yet see what your keys depend on")
        if blind:
            return Readiness(
                State.CANNOT,
                "it would press the same with its eyes shut: what you press does not show in the picture it sees. "
                "Is the right window captured, and large enough to see what matters?",
            )
        return Readiness(
            State.CANNOT, "on play it had not learned from it guesses your keys no better than chance; watch more"
        )
    if skill < _READY_SKILL:
        return Readiness(State.LEARNING, f"it knows {skill:.0%} of what your keys depend on; go on playing")
    return Readiness(State.READY, f"on play it had not learned from it knows {skill:.0%} of what your keys depend on")

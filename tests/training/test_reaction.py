"""A player's delay is told from the play, and none is made up where there is none."""

import numpy as np
import pytest

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.training.learner import Learner
from tray_agent.training.reaction import AT_ONCE, AUTO, offset_of, skills_ahead
from tray_agent.training.replay import Replay

AHEAD = 5


def foretold(delay: int, seed: int = 1, ticks: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture tells one of 2 things, for 6 to 14 ticks each; the player answers late; the seer knows that rule.

    Returns:
        what a perfect seer of the pictures so far foretells, what is held, and which ticks are known.
    """
    random = np.random.default_rng(seed)
    shown = np.repeat(random.integers(0, 2, ticks), random.integers(6, 15, ticks))[:ticks].astype(bool)
    held = np.roll(shown, delay)
    i = np.arange(20, ticks - AHEAD - 1)
    around = np.stack([held[i + k] for k in range(-1, AHEAD + 1)], axis=1)[:, :, None]
    told = np.stack([held[i + min(k, delay)] for k in range(AHEAD + 1)], axis=1)[:, :, None]
    return told, around, np.ones(around.shape[:2], bool)


@pytest.mark.parametrize("delay", [0, 2, 3, 4])
def test_delay_is_found(delay: int) -> None:
    """What was seen decides up to `delay` ticks ahead, and nothing after."""
    skills = skills_ahead(*foretold(delay))
    assert skills[: delay + 1] == pytest.approx([1.0] * (delay + 1))
    assert max(skills[delay + 1 :], default=-1.0) < 0.0
    assert offset_of(skills) == delay


def test_what_cannot_be_told_is_no_delay() -> None:
    """Guesses worth nothing, nothing that changes, a lead of a single tick: no correction."""
    told, held, known = foretold(3)
    noise = np.random.default_rng(0).integers(0, 2, told.shape).astype(bool)
    assert offset_of(skills_ahead(noise, held, known)) == 0
    assert skills_ahead(told, np.zeros_like(held), known) == []
    assert skills_ahead(told, held, np.zeros_like(known)) == []
    assert offset_of([]) == 0
    assert offset_of([0.9, 0.8, 0.2, 0.1]) == 0


SPEC = PolicySpec(Controls(("KeyA",)), rate_hz=10, frame_width=36, frame_height=36)


@pytest.mark.parametrize("delay", [0, 3])
def test_learner_pairs_pictures_with_what_they_made_the_player_do(delay: int) -> None:
    """Bright: the button is held, `delay` ticks later. The offset is found while learning, and is what was put in."""
    random = np.random.default_rng(3)
    bright = np.repeat(random.integers(0, 2, 800), random.integers(4, 9, 800))[:3000].astype(bool)
    replay = Replay(SPEC, 1 << 28)
    for tick in range(delay, len(bright)):
        pixels = random.integers(0, 40, (36, 36, 3)).astype(np.uint8)
        pixels[10:26, 10:26] += np.uint8(160 * bright[tick])
        action = np.array([bright[tick - delay]], np.float32)
        replay.add("s", TickSample(tick, tick, pixels, np.zeros(SPEC.audio_shape, np.float32), action, TickFlag.LEARN))
    learner = Learner(SPEC, (0.0,) * 8, replay, reaction=AUTO)
    while learner.updates < 400:
        learner.update()
    learner.playing()
    learner.close()
    assert replay.offset == delay


def test_nothing_is_looked_for_unless_asked() -> None:
    """Nor does a player without buttons have a delay that could be told."""
    wheel = PolicySpec(Controls(axes=("PadLX",)), rate_hz=10, frame_width=36, frame_height=36)
    for spec, reaction in ((SPEC, AT_ONCE), (wheel, AUTO)):
        learner = Learner(spec, (0.0,) * 8, Replay(spec, 1 << 28), reaction=reaction)
        assert learner._foresight is None
        learner.close()

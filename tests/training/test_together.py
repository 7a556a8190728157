"""Buttons chosen together: loss, entropy, the likeliest set; what play taught it."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.policy.decode import MOST_SETS
from tray_agent.training.replay import Replay
from tray_agent.training.together import Together, alone

MAZE = np.eye(3, dtype=bool)
EVERY = np.array([[a, b] for a in (0, 1) for b in (0, 1)], bool)


def test_loss_is_that_of_the_right_set() -> None:
    """By hand: a softmax over three sets, divided by the number of buttons."""
    logits = torch.tensor([[0.0, 1.0, 2.0]])
    expected = -torch.log_softmax(logits, 1)[0, 1] / 3
    assert float(Together(MAZE).loss(logits, torch.tensor([[0.0, 1.0, 0.0]]))) == pytest.approx(float(expected))


def test_all_sets_are_the_same_as_each_button_on_its_own() -> None:
    """With every set allowed the loss is the binary cross-entropy, and so is the one without sets."""
    logits, held = torch.randn(20, 2), (torch.rand(20, 2) < 0.5).float()
    own = functional.binary_cross_entropy_with_logits(logits, held)
    torch.testing.assert_close(Together(EVERY).loss(logits, held), own)
    torch.testing.assert_close(alone(2).loss(logits, held), own)


def test_tick_with_a_set_of_its_own_is_left_out() -> None:
    """A set that came later teaches nothing yet, and breaks nothing."""
    together, logits = Together(MAZE), torch.tensor([[0.3, -1.0, 2.0], [0.0, 1.0, 0.5]], requires_grad=True)
    known, new = [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]
    torch.testing.assert_close(
        together.loss(logits, torch.tensor([known, new])), together.loss(logits[:1], torch.tensor([known]))
    )
    nothing = together.loss(logits, torch.tensor([new, new]))
    nothing.backward()
    assert float(nothing.detach()) == 0.0
    assert float(logits.grad.abs().sum()) == 0.0


def test_likeliest_set_is_one_that_was_used() -> None:
    """Two positive logits are no reason to press two buttons that never were held together."""
    logits = torch.tensor([[1.0, 3.0, 2.0], [-5.0, -4.0, -3.0]])
    assert Together(MAZE).likeliest(logits).tolist() == [[False, True, False], [False, False, True]]
    assert alone(3).likeliest(logits).tolist() == [[True, True, True], [False, False, False]]


def test_samples_are_sets_and_move_the_logits() -> None:
    """Whole bits of a set that was used, as often as its chance; their gradient reaches the logits, alone as well."""
    logits = torch.zeros(900, 3, requires_grad=True)
    bits = Together(MAZE).sampled(logits)
    assert bits.detach().sum(1).tolist() == pytest.approx([1.0] * 900)
    assert bits.detach().mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.07)
    for together in (Together(MAZE), alone(3)):
        (gradient,) = torch.autograd.grad((together.sampled(logits) * torch.tensor([1.0, 2.0, 4.0])).sum(), logits)
        assert bool(gradient.abs().sum(1).gt(0).all())


def test_each_is_the_loss_of_each() -> None:
    """The loss is the mean of what each tick is told; one with an unknown set is told nothing."""
    logits, held = torch.tensor([[0.3, -1.0, 2.0], [0.0, 1.0, 0.5]]), torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    each = Together(MAZE).each(logits, held)
    assert each[1] == 0.0
    torch.testing.assert_close(each[0], Together(MAZE).loss(logits, held))
    torch.testing.assert_close(alone(3).each(logits, held).mean(), alone(3).loss(logits, held))


def test_entropy_is_the_loss_of_the_best_constant_guess() -> None:
    """Three directions equally often: log 3, a third of it for each of three buttons."""
    assert Together(MAZE).entropy(np.tile(MAZE, (5, 1))) == pytest.approx(np.log(3) / 3)
    assert alone(3).entropy(np.tile(EVERY, (5, 1))) == pytest.approx(np.log(2))


def test_too_many_sets_or_one_leave_each_button_on_its_own() -> None:
    """Somebody who holds everything at once is no maze; who holds one thing for ever tells nothing."""
    many = np.array([[n >> k & 1 for k in range(12)] for n in range(MOST_SETS + 1)], bool)
    assert Together(many).sets == ()
    assert Together(MAZE[:1]).sets == ()
    assert len(Together(many[:MOST_SETS]).sets) == MOST_SETS


def test_replay_finds_the_sets_in_what_may_be_learned() -> None:
    """Most frequent first; ticks that are not the player's don't count."""
    spec = PolicySpec(Controls(("ArrowLeft", "ArrowRight")), rate_hz=2, frame_width=40, frame_height=36)
    replay = Replay(spec, 1 << 26)
    pixels, quiet = np.zeros((36, 40, 3), np.uint8), np.zeros(spec.audio_shape, np.float32)
    for tick, held in enumerate([(1, 0), (0, 1), (0, 1), (0, 1), (1, 1)]):
        flags = TickFlag.LEARN if held != (1, 1) else TickFlag(0)
        replay.add("s", TickSample(tick, tick, pixels, quiet, np.array(held, np.float32), flags))
    assert replay.combinations().tolist() == [[False, True], [True, False]]

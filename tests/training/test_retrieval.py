"""A memory beside the network: it plays what was done where it looked like this, and lets the network take over."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.policy.graph_check import check_graph
from tray_agent.training.export import MAX_PARITY_ERROR, Exporter
from tray_agent.training.handover import SHARES
from tray_agent.training.learner import Learner
from tray_agent.training.model import AXIS_BINS, RELATIVE_BINS, PolicyNet
from tray_agent.training.replay import Replay
from tray_agent.training.retrieval import MEMORY, Retrieval

ALL = Controls(("ArrowLeft", "ArrowRight"), ("MouseX",), ("PadLX",))
SPEC = PolicySpec(ALL, rate_hz=2, frame_width=40, frame_height=36, frames=2)
VECTOR = (0.0,) * 8
TICKS = 240


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As the trainer runs."""
    torch.set_num_threads(1)


def square(right: bool, random: np.random.Generator) -> np.ndarray:
    """A bright square somewhere in the left or right half."""
    pixels = random.integers(0, 60, (SPEC.frame_height, SPEC.frame_width, 3), dtype=np.uint8)
    x, y = random.integers(0, 12) + (20 if right else 0), random.integers(0, 28)
    pixels[y : y + 8, x : x + 8] = 230
    return pixels


def action(right: bool) -> np.ndarray:
    return np.array([not right, right, 20.0 if right else -7.0, 0.6 if right else -0.4], np.float32)


def watched(ticks: int) -> Replay:
    """The side of the square tells everything."""
    random, held = np.random.default_rng(4), Replay(SPEC, 1 << 28)
    silence = np.zeros(SPEC.audio_shape, np.float32)
    for tick in range(ticks):
        right = bool(random.integers(2))
        held.add("s", TickSample(tick, tick, square(right, random), silence, action(right), TickFlag.LEARN))
    return held


@pytest.fixture(scope="module")
def replay() -> Replay:
    """Two minutes."""
    return watched(TICKS)


def young(replay: Replay, updates: int = 3) -> Learner:
    learner = Learner(SPEC, VECTOR, replay)
    learner.bf16 = False  # trying out which is faster takes updates, too
    while learner.updates < updates:
        learner.update()
    return learner


@pytest.fixture(scope="module")
def learner(replay: Replay) -> Learner:
    """One that has hardly learned; tests must not change it."""
    torch.set_num_threads(1)
    return young(replay)


def filled(learner: Learner, share: float) -> Retrieval:
    memory = Retrieval(learner.average, share)
    ticks, weights = learner.replay.spread(MEMORY)
    memory.remember(ticks, torch.from_numpy(weights).float(), torch.zeros(8))
    return memory


def fresh(n: int = 48) -> tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], np.ndarray]:
    """Inputs nobody has seen, and on which side the square is."""
    random = np.random.default_rng(99)
    sides = random.integers(2, size=n).astype(bool)
    frames = np.stack([np.stack([square(bool(side), random)] * SPEC.frames) for side in sides])
    return (torch.from_numpy(frames), torch.zeros(n, *SPEC.audio_shape), torch.zeros(n, 8)), sides


def test_memory_knows_what_was_done_before_the_network_does(learner: Learner) -> None:
    """After three updates: buttons, counts and places of fresh ticks are those of ticks that look alike."""
    inputs, sides = fresh()
    with torch.no_grad():
        held, relative, axes = (output.numpy() for output in filled(learner, 1.0)(*inputs))
    assert ((held >= 0.0) == np.stack([~sides, sides], axis=1)).mean() > 0.75
    counts = np.array(RELATIVE_BINS)[relative[:, 0].argmax(-1)]
    assert (counts == np.where(sides, 20.0, -7.0)).mean() > 0.75
    places = np.array(AXIS_BINS)[axes[:, 0].argmax(-1)]
    assert (places == np.where(sides, 0.6, -0.4)).mean() > 0.75
    assert learner.held_out(filled(learner, 1.0))["skill"] > learner.held_out()["skill"] + 0.1


def test_share_goes_from_the_network_alone_to_the_memory_alone(learner: Learner) -> None:
    """0 is exactly the network, a half the middle of both, and no memory yet is no harm to the network's half."""
    inputs, _ = fresh(4)
    with torch.no_grad():
        network, alone, both, none = (
            p(*inputs) for p in (learner.average.eval(), *(filled(learner, share) for share in (1.0, 0.5, 0.0)))
        )
    for a, b, c, d in zip(network, alone, both, none, strict=True):
        torch.testing.assert_close(d, a)
        torch.testing.assert_close(c, (a + b) / 2)


def test_places_that_hold_nothing_count_nothing(learner: Learner) -> None:
    """With three ticks of one action remembered, that action is as sure as it may be, wherever one looks."""
    memory = filled(learner, 1.0)
    ticks, _ = learner.replay.spread(MEMORY)
    few = replace(ticks, frames=ticks.frames[:3], audio=ticks.audio[:3], actions=np.stack([action(True)] * 3))
    memory.remember(few, torch.ones(3), torch.zeros(8))
    assert "3 ticks" in memory.about
    with torch.no_grad():
        held, _, _ = memory(*fresh(8)[0])
    torch.testing.assert_close(torch.sigmoid(held), torch.tensor([[0.01, 0.99]]).expand(8, -1))


def test_one_graph_serves_all_memories(learner: Learner) -> None:
    """Traced with an empty memory, then filled: the graph computes what torch does, with the memory at its limit."""
    exporter = Exporter(SPEC)
    memory = Retrieval(learner.average)
    empty, parity = exporter.export(memory)
    ticks, weights = learner.replay.spread(MEMORY)
    again = np.resize(np.arange(len(weights)), MEMORY)
    much = replace(ticks, frames=ticks.frames[again], audio=ticks.audio[again], actions=ticks.actions[again])
    memory.remember(much, torch.from_numpy(weights[again]).float(), torch.zeros(8))
    full, parity_full = exporter.export(memory)
    assert max(parity, parity_full) <= MAX_PARITY_ERROR
    check_graph(full, SPEC)
    assert len(full) == len(empty)
    assert full != empty


@pytest.mark.parametrize("controls", [Controls(("KeyW",)), Controls(relative=("MouseX",)), Controls(axes=("PadLX",))])
def test_kinds_of_controls_that_a_game_lacks_are_empty(controls: Controls) -> None:
    """As the network's own outputs are, which says of each tick what it is fed."""
    spec = replace(SPEC, controls=controls)
    shapes = [[tuple(o.shape) for o in p(*Exporter(spec).example())] for p in _both(PolicyNet(spec))]
    assert shapes[0] == shapes[1]


def _both(net: PolicyNet) -> tuple[PolicyNet, Retrieval]:
    return net, Retrieval(net)


def test_handover_happens_once_and_outlives_the_process(replay: Replay, tmp_path: Path) -> None:
    """The memory plays first; when the network was no worse twice it plays alone, then and after a restart."""
    learner = young(replay)
    policy, measures = learner.playing()
    assert isinstance(policy, Retrieval)
    assert learner.is_worse(measures) == ""
    learner.remember(policy)
    path = tmp_path / "trainer.safetensors"
    learner.save_checkpoint(path)
    while learner.updates < 120:
        learner.update()
    kinds = []
    for _ in range(4):
        policy, measures = learner.playing()
        assert learner.is_worse(measures) == ""
        learner.remember(policy)
        kinds.append(type(policy))
    assert kinds[-1] is PolicyNet
    assert kinds == sorted(kinds, key=lambda kind: kind is PolicyNet)
    other = Learner(SPEC, VECTOR, replay)
    assert other.load_checkpoint(path)
    assert isinstance(other.policy, Retrieval)
    learner.save_checkpoint(path)
    assert other.load_checkpoint(path)
    assert other.policy is other.average


def test_nothing_is_handed_over_before_anything_is_held_out() -> None:
    """The network has learned all there is by heart then, so nothing tells who is ahead."""
    learner = young(watched(80))
    for _ in range(4):
        policy, measures = learner.playing()
        assert isinstance(policy, Retrieval)
        assert measures == {}
    assert float(policy.share) == SHARES[0]

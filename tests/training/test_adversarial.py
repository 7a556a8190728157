"""Adversarial imitation: who plays is learned, the policy's timing follows, and what is off changes nothing."""

import itertools
import queue
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.training import child
from tray_agent.training.adversarial import CHUNKS, EVERY, LENGTH, NONE, SESSIONS, ChunkAdversary, SessionAdversary
from tray_agent.training.chunks import ChunkSource
from tray_agent.training.discriminator import ActionCode, Discriminator, Judge, Played
from tray_agent.training.job import TrainerJob
from tray_agent.training.learner import Learner
from tray_agent.training.model import AXIS_BINS, RELATIVE_BINS, PolicyNet
from tray_agent.training.replay import Batch, Replay
from tray_agent.training.together import alone

SPEC = PolicySpec(Controls(("ArrowLeft", "ArrowRight")), rate_hz=2, frame_width=36, frame_height=36, frames=2)
ALONE = alone(2)
ALL_KINDS = Controls(("KeyA", "KeyB"), ("MouseX", "MouseY"), ("PadLX",))
VECTOR = (0.0,) * 8
HOLD = 6
SILENCE = np.zeros(SPEC.audio_shape, np.float32)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As the trainer runs; the same numbers each time."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


def picture(right: bool) -> np.ndarray:
    pixels = np.full((SPEC.frame_height, SPEC.frame_width, 3), 20, np.uint8)
    pixels[10:20, (22 if right else 4) :][:, :10] = 230
    return pixels


def task(ticks: int = 240, agent: str = "") -> Replay:
    """A square changes sides every HOLD ticks, and the player holds its side's key.

    Args:
        ticks: how many.
        agent: "" or how the agent plays as many ticks again: "well", "badly" (the wrong key, every other tick), "both".
    """
    replay = Replay(SPEC, 1 << 28)
    for tick in range(ticks * (2 if agent else 1)):
        right = bool(tick // HOLD % 2)
        badly = agent == "badly" or (agent == "both" and tick // 40 % 2 == 0)
        action = np.array([not right, right], np.float32)
        flags = TickFlag.LEARN
        if tick >= ticks:
            flags = TickFlag.AGENT
            action = np.array([right, not right], np.float32) * (tick % 2) if badly else action
        replay.add("s", TickSample(tick, tick, picture(right), SILENCE, action, flags))
    return replay


def inputs(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    return torch.from_numpy(batch.frames), torch.from_numpy(batch.audio), torch.zeros(len(batch.actions), 8)


def small_net(replay: Replay) -> PolicyNet:
    net = PolicyNet(SPEC, width=32, dropout=0.0)
    net.preprocess.fit(torch.from_numpy(replay.some_frames(64)))
    return net


def runs(rows: Tensor) -> float:
    """Mean number of ticks that the second key is held at a stretch."""
    held = [0.0, *rows[:, 1].tolist()]
    presses = sum(b >= 0.5 > a for a, b in itertools.pairwise(held))
    return sum(held) / max(1, presses)


def stretches(n: int, hold: int, random: np.random.Generator) -> Played:
    """A key held and released for `hold` ticks each, from any moment on; nothing to see."""
    at = np.arange(LENGTH) + random.integers(0, 2 * hold, n)[:, None]
    done = torch.from_numpy((at // hold % 2).astype(np.float32))[:, :, None]
    return Played(torch.zeros(n, LENGTH, 4), done)


def test_wrong_hold_durations_are_told_from_right_ones() -> None:
    """As many ticks are held in both: only how long the key stays down tells who plays."""
    random = np.random.default_rng(1)
    judge = Judge(Discriminator(4, 1, LENGTH))
    for _ in range(200):
        judge.learn(stretches(16, 4, random), stretches(16, 2, random))
    assert judge.steps == 200
    assert (judge.says(stretches(200, 4, random)) > 0.0).float().mean() > 0.95
    assert (judge.says(stretches(200, 2, random)) < 0.0).float().mean() > 0.95


def test_slope_leads_to_where_the_player_is() -> None:
    """A step against the slope makes the other side more likely to be taken for the player."""
    random = np.random.default_rng(2)
    judge = Judge(Discriminator(4, 1, LENGTH))
    for _ in range(200):
        judge.learn(stretches(16, 4, random), stretches(16, 2, random))
    other = stretches(64, 2, random)
    moved = Played(other.seen, other.done - 0.5 * judge.slope(other).sign())
    assert (judge.says(moved) > judge.says(other)).all()


def test_broken_stretch_does_not_spoil_the_judge() -> None:
    """A feature that is not finite changes no weight."""
    net = Discriminator(4, 1, LENGTH)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    random = np.random.default_rng(3)
    broken = Played(torch.full((4, LENGTH, 4), float("nan")), torch.zeros(4, LENGTH, 1))
    Judge(net).learn(stretches(4, 4, random), broken)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_policy_comes_to_hold_as_long_as_the_player() -> None:
    """No cloning at all, only the wish to be taken for the player: a random policy's holds grow to the player's."""
    replay = task()
    net = small_net(replay)
    adversary = ChunkAdversary(net, replay, inputs)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    everything, _ = replay.spread(1000)
    code = ActionCode(SPEC.controls)

    def mean_run() -> float:
        with torch.no_grad():
            return float(np.mean([runs(code.sampled(net.from_planes(*inputs(everything)), ALONE)) for _ in range(10)]))

    before = mean_run()
    for _ in range(250 * EVERY):
        drawn = adversary.draw()
        if drawn is not None:
            optimizer.zero_grad()
            loss = adversary.loss(net, drawn, ALONE)
            if loss.requires_grad:
                loss.backward()
                optimizer.step()
    assert before < 3.0
    assert abs(mean_run() - HOLD) < 0.5 * abs(before - HOLD)


def test_agents_play_counts_by_how_much_it_is_the_players() -> None:
    """Stretches of the agent's that are the player's weigh as much; those with wrong keys next to nothing."""
    replay = task(agent="both")
    net = small_net(replay)
    adversary = SessionAdversary(net, replay, inputs)
    with torch.no_grad():
        for _ in range(200 * EVERY):
            drawn = adversary.draw()
            if drawn is not None:
                adversary.loss(net, drawn, ALONE)
    good, bad = (weights_of(adversary, net, task(agent=how)) for how in ("well", "badly"))
    assert good > 0.4
    assert bad < 0.1


def weights_of(adversary: SessionAdversary, net: PolicyNet, replay: Replay) -> float:
    """Mean weight of the agent's stretches there."""
    chunks = ChunkSource(replay, LENGTH).of_agent(20)
    assert chunks is not None
    with torch.no_grad():
        seen = net.hidden(*inputs(chunks.batch)).unflatten(0, (-1, LENGTH))
    rows = ActionCode(SPEC.controls).of(torch.from_numpy(chunks.batch.actions)).unflatten(0, (-1, LENGTH))
    return float(adversary._judge.says(Played(seen, rows)).clamp(max=0.0).exp().mean())


def test_what_strayed_is_never_learned_from() -> None:
    """However much it passes for the player's: ticks before a takeover have no gradient, others have."""
    replay = task(agent="well")
    net = small_net(replay)
    adversary = SessionAdversary(net, replay, inputs)
    adversary._judge.steps = 1000  # listened to from the first
    for strayed in (False, True):
        drawn = [adversary.draw() for _ in range(EVERY)][-1]
        assert drawn is not None
        assert drawn.agent is not None
        agent = replace(drawn.agent, strayed=np.full(len(drawn.agent.strayed), strayed))
        gradient = torch.autograd.grad(adversary.loss(net, replace(drawn, agent=agent), ALONE), net.held.weight)[0]
        assert bool(gradient.any()) is not strayed


def state_after(learner: Learner, updates: int) -> dict[str, Tensor]:
    torch.manual_seed(11)
    learner.bf16 = False
    while learner.updates < updates:
        learner.update()
    return {name: tensor.clone() for name, tensor in learner.net.state_dict().items()}


def test_off_is_bit_for_bit_cloning() -> None:
    """Off, and on with nothing to judge (no play of the agent's), every weight is the same; really on, it is not."""
    plain = state_after(Learner(SPEC, VECTOR, task(), seed=3), 12)
    for kind in (NONE, SESSIONS):
        state = state_after(Learner(SPEC, VECTOR, task(), seed=3, adversarial=kind), 12)
        assert all(torch.equal(tensor, plain[name]) for name, tensor in state.items())


def test_on_changes_what_is_learned() -> None:
    """Once the discriminator is listened to, the weights are others than cloning's."""
    states = []
    for kind in (NONE, CHUNKS):
        learner = Learner(SPEC, VECTOR, task(), seed=3, adversarial=kind)
        if learner._adversary is not None:
            learner._adversary._judge.steps = 1000  # type: ignore[attr-defined]
        states.append(state_after(learner, EVERY))
    assert any(not torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


@pytest.mark.parametrize(("kind", "agent"), [(CHUNKS, ""), (SESSIONS, "well")])
def test_two_lanes_learn_with_an_adversary(kind: str, agent: str) -> None:
    """Two threads with one discriminator between them: the task is learned as without."""
    learner = Learner(SPEC, VECTOR, task(agent=agent), lanes=2, adversarial=kind)
    assert learner._adversary is not None
    learner._adversary._judge.steps = 1000  # type: ignore[attr-defined]
    while learner.updates < 80:
        learner.update()
    assert learner._adversary._judge.steps > 1000 + 10  # type: ignore[attr-defined]
    assert learner.held_out()["balanced_accuracy"] > 0.95
    learner.close()


def test_actions_of_every_kind_have_a_code() -> None:
    """Bits and ones of the nearest bin; samples look the same, and their gradient reaches all logits."""
    code = ActionCode(ALL_KINDS)
    actions = torch.tensor([[1.0, 0.0, -7.2, 0.0, 0.61], [0.0, 1.0, 500.0, 2.0, -1.0]])
    rows = code.of(actions)
    r = len(RELATIVE_BINS)
    assert rows.shape == (2, code.size) == (2, 2 + 2 * r + len(AXIS_BINS))
    assert rows[0].nonzero().flatten().tolist() == [
        0, 2 + RELATIVE_BINS.index(-7.0), 2 + r + RELATIVE_BINS.index(0.0), 2 + 2 * r + AXIS_BINS.index(0.6)
    ]  # fmt: skip
    assert rows[1].nonzero().flatten().tolist()[:2] == [1, 2 + r - 1]
    logits = [torch.zeros(2, n, requires_grad=True) for n in (2, 2 * r, len(AXIS_BINS))]
    outputs = (logits[0], logits[1].unflatten(1, (2, r)), logits[2].unflatten(1, (1, -1)))
    sampled = code.sampled(outputs, alone(len(ALL_KINDS.buttons)))
    assert sampled[:, 2:].sum(1).tolist() == pytest.approx([3.0, 3.0])
    assert torch.isin(sampled.detach().round(decimals=4), torch.tensor([0.0, 1.0])).all()
    gradients = torch.autograd.grad((sampled * torch.randn(2, code.size)).sum(), logits)
    assert all(bool(gradient.abs().sum(1).gt(0).all()) for gradient in gradients)


@pytest.mark.parametrize("controls", [ALL_KINDS, Controls(("KeyA",)), Controls(axes=("PadLX",))])
def test_surprise_is_the_loss_of_cloning(controls: Controls) -> None:
    """Its mean over ticks is what the learner minimises."""
    spec = replace(SPEC, controls=controls)
    learner = Learner(spec, VECTOR, Replay(spec, 1 << 20))
    random = torch.Generator().manual_seed(5)
    frames = torch.randint(0, 255, (9, spec.frames, 36, 36, 3), dtype=torch.uint8, generator=random)
    outputs = learner.average(frames, torch.zeros(9, *spec.audio_shape), torch.zeros(9, 8))
    actions = torch.rand(9, controls.size, generator=random).round()
    code = ActionCode(controls)
    expected = learner.objective.loss(outputs, actions)
    surprise = code.surprise(outputs, code.of(actions), alone(len(controls.buttons))).mean()
    assert surprise.item() == pytest.approx(expected.item(), rel=1e-4)


def test_checkpoint_fits_whatever_the_setting(tmp_path: Path) -> None:
    """The discriminator is not in it: switched on or off, learning goes on from the same file."""
    path = tmp_path / "trainer.safetensors"
    saved = Learner(SPEC, VECTOR, task(), adversarial=CHUNKS)
    saved.update()
    saved.save_checkpoint(path)
    for kind in (NONE, SESSIONS, CHUNKS):
        learner = Learner(SPEC, VECTOR, task(), seed=9, adversarial=kind)
        assert learner.load_checkpoint(path)
        assert learner.updates == saved.updates


@pytest.mark.parametrize("shared", [False, True])
def test_trainer_takes_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    """From the daemon's message to the learner, also with one model for all games."""
    monkeypatch.setattr(child, "emit", lambda *_, **__: None)
    folders: dict[str, Any] = {name: tmp_path / name for name in ("sessions", "models", "checkpoints")}
    job = TrainerJob("toy", VECTOR, SPEC, **folders, nice=0, shared=shared, adversarial=CHUNKS)
    assert TrainerJob.from_message(job.message()) == job
    trainer = child.Trainer(job, queue.SimpleQueue())
    assert isinstance(trainer._learner._adversary, ChunkAdversary)

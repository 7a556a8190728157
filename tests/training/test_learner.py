"""Learning itself, on made-up tasks whose answer is known; checkpoints; export."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tray_agent.core.controls import Controls
from tray_agent.core.planes import planes_of
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import BundleError
from tray_agent.policy.graph_check import check_graph
from tray_agent.training.export import MAX_PARITY_ERROR, Exporter
from tray_agent.training.learner import Learner
from tray_agent.training.model import AXIS_BINS, RELATIVE_BINS, PolicyNet
from tray_agent.training.readiness import State, judge
from tray_agent.training.replay import Replay

KEYS = Controls(("ArrowLeft", "ArrowRight"))
SPEC = PolicySpec(KEYS, rate_hz=2, frame_width=40, frame_height=36, frames=2)
VECTOR = (0.0,) * 8
Make = Callable[[bool, np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As the trainer runs."""
    torch.set_num_threads(1)


def noise(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 60, (SPEC.frame_height, SPEC.frame_width, 3), dtype=np.uint8)


def square(right: bool, random: np.random.Generator) -> np.ndarray:
    """A bright square somewhere in the left or right half."""
    pixels = noise(random)
    x, y = random.integers(0, 12) + (20 if right else 0), random.integers(0, 28)
    pixels[y : y + 8, x : x + 8] = 230
    return pixels


def hush(random: np.random.Generator) -> np.ndarray:
    return random.random(SPEC.audio_shape, np.float32) * 0.1


def picture_tells_key(right: bool, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return square(right, random), hush(random), np.array([not right, right], np.float32)


def sound_tells_key(right: bool, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    audio = hush(random)
    audio[:, 12 if right else 3] += 0.8
    return noise(random), audio, np.array([not right, right], np.float32)


def picture_tells_counts(right: bool, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return square(right, random), hush(random), np.array([20.0 if right else -7.0, 0.0], np.float32)


def picture_tells_place(right: bool, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return square(right, random), hush(random), np.array([0.6 if right else -0.4], np.float32)


def task(spec: PolicySpec, make: Make, ticks: int = 600) -> Replay:
    """Ticks in which a coin decides; held-out ones among them."""
    random = np.random.default_rng(4)
    replay = Replay(spec, 1 << 28)
    for tick in range(ticks):
        pixels, audio, action = make(bool(random.integers(2)), random)
        replay.add("s", TickSample(tick, tick, pixels, audio, action, TickFlag.LEARN))
    return replay


def learned(spec: PolicySpec, make: Make, updates: int = 90) -> Learner:
    learner = Learner(spec, VECTOR, task(spec, make))
    while learner.updates < updates:
        learner.update()
    return learner


@pytest.fixture(scope="module")
def by_picture() -> Learner:
    """One learner that has seen the picture task; tests must not change it."""
    torch.set_num_threads(1)
    return learned(SPEC, picture_tells_key)


def test_picture_is_learned(by_picture: Learner) -> None:
    """A square left or right tells the key: on held-out ticks far better than the best constant guess."""
    measures = by_picture.held_out()
    assert measures["ticks"] >= 90
    assert measures["baseline_loss"] == pytest.approx(np.log(2) / 2, abs=0.03)  # one choice for two buttons
    assert measures["loss"] < 0.3
    assert measures["balanced_accuracy"] > 0.9


def test_two_lanes_learn_as_well() -> None:
    """Two gradients at a time: as many updates, the same skill."""
    learner = Learner(SPEC, VECTOR, task(SPEC, picture_tells_key), lanes=2)
    while learner.updates < 120:
        learner.update()
    assert learner.held_out()["balanced_accuracy"] > 0.9
    learner.close()


def test_untrained_network_knows_nothing() -> None:
    """The measures are no flattery: before learning, accuracy is chance and the loss is the baseline's."""
    measures = Learner(SPEC, VECTOR, task(SPEC, picture_tells_key)).held_out()
    assert 0.3 < measures["balanced_accuracy"] < 0.7
    assert measures["loss"] > 0.6


def test_sound_alone_is_learned() -> None:
    """The picture is noise and only the pitch tells the key."""
    measures = learned(replace(SPEC, audio=True), sound_tells_key, 120).held_out()
    assert measures["balanced_accuracy"] > 0.9


def outputs(learner: Learner, right: bool) -> tuple[np.ndarray, ...]:
    """The average network's outputs for 32 fresh ticks."""
    random = np.random.default_rng(99)
    frames = np.stack([np.stack([square(right, random)] * SPEC.frames) for _ in range(32)])
    audio = np.stack([hush(random) for _ in range(32)])
    learner.average.eval()
    with torch.no_grad():
        results = learner.average(torch.from_numpy(frames), torch.from_numpy(audio), torch.zeros(32, 8))
    return tuple(r.numpy() for r in results)


def test_mouse_motion_is_learned() -> None:
    """Counts are learned as bins, right ones for each side, and the measure works without any button."""
    spec = replace(SPEC, controls=Controls(relative=("MouseX", "MouseY")))
    learner = learned(spec, picture_tells_counts)
    for right, counts in ((True, 20.0), (False, -7.0)):
        _, relative, _ = outputs(learner, right)
        guess = np.array(RELATIVE_BINS)[relative.argmax(-1)]
        assert (guess[:, 0] == counts).mean() > 0.9
        assert (guess[:, 1] == 0.0).all()
    measures = learner.held_out()
    assert measures["loss"] < 0.6 * measures["baseline_loss"]
    assert "balanced_accuracy" not in measures


def test_stick_is_learned() -> None:
    """The axis goes to the right place for each side."""
    learner = learned(replace(SPEC, controls=Controls(axes=("PadLX",))), picture_tells_place)
    for right, place in ((True, 0.6), (False, -0.4)):
        _, _, axes = outputs(learner, right)
        assert (np.array(AXIS_BINS)[axes[:, 0].argmax(-1)] == place).mean() > 0.9


def test_learner_continues_exactly_from_its_checkpoint(by_picture: Learner, tmp_path: Path) -> None:
    """Weights, average, optimiser and counts are those saved, and the next loss is a number."""
    path = tmp_path / "game" / "trainer.safetensors"
    by_picture.save_checkpoint(path)
    other = Learner(SPEC, VECTOR, by_picture.replay, seed=77)
    assert other.load_checkpoint(path)
    assert other.updates == by_picture.updates
    assert other.facts(other.held_out()) == by_picture.facts(by_picture.held_out())
    for mine, theirs in ((other.net, by_picture.net), (other.average, by_picture.average)):
        state = theirs.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in mine.state_dict().items())
    compared = 0
    for mine_p, their_p in zip(other.net.parameters(), by_picture.net.parameters(), strict=True):
        a, b = other.optimizer.state.get(mine_p), by_picture.optimizer.state.get(their_p)
        assert (a is None) == (not b)
        for name in a or ():
            assert torch.equal(torch.as_tensor(a[name]), torch.as_tensor(b[name])), name
            compared += 1
    assert compared > 20
    other.update()
    assert 0 < other.loss < 0.5
    assert path.stat().st_mode & 0o777 == 0o600


def damaged(path: Path, how: str) -> None:
    data = path.read_bytes()
    match how:
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(b"\xff" * 4096)
        case "no metadata":
            save_file(load_file(path), path)
        case "missing tensor":
            tensors = load_file(path)
            del tensors["net.held.weight"]
            learner = Learner(SPEC, VECTOR, Replay(SPEC, 1 << 20))
            meta = {
                "architecture": "cnn-film-1",
                "spec": SPEC.digest,
                "updates": "5",
                "statistics_at": "5",
                "steps": "5",
            }
            assert learner.updates == 0
            save_file(tensors, path, metadata=meta)
        case "bad number":
            meta = {
                "architecture": "cnn-film-1",
                "spec": SPEC.digest,
                "updates": "many",
                "statistics_at": "",
                "steps": "",
            }
            save_file(load_file(path), path, metadata=meta)


@pytest.mark.parametrize("how", ["truncated", "empty", "garbage", "no metadata", "missing tensor", "bad number"])
def test_damaged_checkpoint_is_not_taken(by_picture: Learner, tmp_path: Path, how: str) -> None:
    """Whatever happened to the file, learning begins anew with untouched weights instead of crashing."""
    path = tmp_path / "trainer.safetensors"
    by_picture.save_checkpoint(path)
    damaged(path, how)
    fresh, untouched = (Learner(SPEC, VECTOR, Replay(SPEC, 1 << 20), seed=5) for _ in range(2))
    assert fresh.load_checkpoint(path) is False
    assert fresh.updates == 0
    state = untouched.net.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in fresh.net.state_dict().items())
    assert not fresh.optimizer.state


def test_checkpoint_of_another_spec_is_refused(by_picture: Learner, tmp_path: Path) -> None:
    """Other controls, or a missing file: False, and nothing has changed."""
    path = tmp_path / "trainer.safetensors"
    assert Learner(SPEC, VECTOR, Replay(SPEC, 1 << 20)).load_checkpoint(path) is False
    by_picture.save_checkpoint(path)
    other = replace(SPEC, controls=Controls(("ArrowRight", "ArrowLeft")))
    assert Learner(other, VECTOR, Replay(other, 1 << 20)).load_checkpoint(path) is False


def test_full_disk_keeps_the_old_checkpoint(by_picture: Learner, small_disk: Path) -> None:
    """A checkpoint that does not fit is an OSError; the one before stays whole and nothing else is left."""
    path = small_disk / "trainer.safetensors"
    path.write_bytes(b"old")
    (small_disk / "beside").write_bytes(bytes(1 << 20))
    with pytest.raises(OSError, match="No space left"):
        by_picture.save_checkpoint(path)
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in small_disk.iterdir()) == ["beside", path.name]


def test_broken_batch_does_not_spoil_the_weights() -> None:
    """A batch whose loss is not finite changes no weight."""
    spec = replace(SPEC, audio=True)
    learner = Learner(spec, VECTOR, task(spec, sound_tells_key, 70))
    learner.update()
    before = {k: v.clone() for k, v in learner.net.state_dict().items()}
    poisoned = np.full(spec.audio_shape, 3e38, np.float32)
    bad = Replay(spec, 1 << 20)
    for tick in range(70):
        pixels = np.zeros((36, 40, 3), np.uint8)
        bad.add("s", TickSample(tick, tick, pixels, poisoned, np.zeros(2, np.float32), TickFlag.LEARN))
    learner.replay = bad
    assert not np.isfinite(learner.update())
    after = learner.net.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items() if "preprocess" not in k)


def test_export_is_the_network_and_a_refresh_really_changes_it(by_picture: Learner) -> None:
    """The graph computes what torch does; after more updates the refreshed graph computes the new thing."""
    import onnxruntime as ort

    exporter = Exporter(SPEC)
    fresh = PolicyNet(SPEC)
    before, parity_before = exporter.export(fresh)
    after, parity_after = exporter.export(by_picture.average)
    assert max(parity_before, parity_after) <= MAX_PARITY_ERROR
    check_graph(after, SPEC)  # as a stranger would who is given it
    # a square on the right: to noise even a good network may answer as little as a fresh one
    random = np.random.default_rng(5)
    seen = np.stack([square(True, random)] * SPEC.frames)[None]
    frames, audio, vector = torch.from_numpy(seen), torch.from_numpy(hush(random))[None], exporter.example()[2]
    results = []
    for data in (before, after):
        session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
        feed = {"frames": frames.numpy(), "audio": audio.numpy(), "vector": vector.numpy()}
        results.append(session.run(None, {i.name: feed[i.name] for i in session.get_inputs()})[0])
    with torch.no_grad():
        expected = by_picture.average(frames, audio, vector)[0].numpy()
    assert np.abs(results[1] - expected).max() <= MAX_PARITY_ERROR
    assert results[1][0, 1] - results[1][0, 0] > 1.0 > abs(results[0][0, 1] - results[0][0, 0])


def test_export_of_another_network_than_traced_is_refused() -> None:
    """When weights do not reach the graph the parity check notices, and nothing is handed out."""
    torch.manual_seed(1)
    exporter = Exporter(SPEC)
    net = PolicyNet(SPEC)
    exporter.export(net)
    with torch.no_grad():
        net.held.bias.fill_(float("nan"))
    with pytest.raises(BundleError, match="differs from the network"):
        exporter.export(net)


@pytest.mark.parametrize("size", [(16, 16), (36, 36), (33, 61)])
def test_every_picture_size_that_settings_allow_has_a_network(size: tuple[int, int]) -> None:
    """The smallest pictures work, too."""
    spec = replace(SPEC, frame_width=size[0], frame_height=size[1])
    held, relative, axes = PolicyNet(spec)(*Exporter(spec).example())
    assert held.shape == (1, 2)
    assert relative.shape == (1, 0, len(RELATIVE_BINS))
    assert axes.shape == (1, 0, len(AXIS_BINS))


def test_learning_and_playing_see_the_same() -> None:
    """The graph makes of RGB exactly what the replay keeps, for every colour."""
    random = np.random.default_rng(0)
    stack = random.integers(0, 256, (SPEC.frames, SPEC.frame_height, SPEC.frame_width, 3), dtype=np.uint8)
    stack[:, :2] = [[[0, 0, 0]], [[255, 255, 255]]]
    kept = [planes_of(pixels) for pixels in stack]
    expected = np.concatenate([np.stack([planes[0] for planes in kept]), kept[-1][1:]])
    seen = PolicyNet(SPEC).preprocess.from_rgb(torch.from_numpy(stack)[None])[0].numpy()
    assert np.array_equal(seen, expected)


def test_policy_that_sees_is_told_from_one_that_does_not(by_picture: Learner) -> None:
    """Skill is near 1 where the picture tells the key, and without the picture the loss is that of guessing."""
    measures = by_picture.held_out()
    assert measures["skill"] > 0.8
    assert measures["blind_loss"] > measures["loss"] + 0.3
    assert judge(by_picture.facts(measures)).state == State.READY


def test_keys_that_the_picture_does_not_tell_are_refused() -> None:
    """The keys go by a coin: after enough passes it is said that it would press the same with its eyes shut."""
    random = np.random.default_rng(3)
    replay = Replay(SPEC, 1 << 30)
    for tick in range(600):
        keys = np.array([random.random() < 0.5, random.random() < 0.5], np.float32)
        pixels = random.integers(0, 255, (SPEC.frame_height, SPEC.frame_width, 3)).astype(np.uint8)
        audio = np.zeros(SPEC.audio_shape, np.float32)
        replay.add("s", TickSample(tick, tick, pixels, audio, keys, TickFlag.LEARN))
    learner = Learner(SPEC, VECTOR, replay)
    while learner.updates < 60:
        learner.update()
    readiness = judge(learner.facts(learner.held_out()))
    assert readiness.state == State.CANNOT, readiness


def test_worse_policy_is_held_back(by_picture: Learner) -> None:
    """What plays stays when the newest weights do worse on held-out stretches, and the reason has both figures."""
    learner = Learner(SPEC, VECTOR, by_picture.replay)
    learner.average.load_state_dict(by_picture.average.state_dict())
    assert learner.is_worse(learner.held_out()) == ""
    learner.remember()
    assert learner.is_worse(learner.held_out()) == ""
    with torch.no_grad():
        learner.average.held.weight.neg_()
    assert "which stays" in learner.is_worse(learner.held_out())

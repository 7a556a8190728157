"""Encoders behind one interface: weights shipped, frozen networks, features kept on disk; and what happens without."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import PlatformUnavailable, SettingsError
from tray_agent.policy.graph_check import check_graph
from tray_agent.settings.app import AppSettings
from tray_agent.settings.load import load
from tray_agent.training.encoders import bundled, frozen
from tray_agent.training.encoders.convolutional import ConvEncoder
from tray_agent.training.encoders.feature_file import FeatureFile
from tray_agent.training.encoders.feature_replay import BACK, SIZE, FeatureReplay
from tray_agent.training.encoders.frozen import FrozenFeatures
from tray_agent.training.encoders.source import EncoderSource, make_encoder, make_or_fall_back
from tray_agent.training.export import MAX_PARITY_ERROR, Exporter
from tray_agent.training.job import TrainerJob
from tray_agent.training.learner import Learner
from tray_agent.training.replay import Replay
from tray_agent.training.worker import TrainingWorker

SPEC = PolicySpec(Controls(("ArrowLeft", "ArrowRight")), rate_hz=2, frame_width=40, frame_height=36, frames=4)
VECTOR = (0.0,) * 8


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As the trainer runs."""
    torch.set_num_threads(1)


def pictured(tick: int, right: bool) -> TickSample:
    """A bright square left or right tells the key."""
    pixels = np.random.default_rng(tick).integers(0, 60, (SPEC.frame_height, SPEC.frame_width, 3)).astype(np.uint8)
    pixels[tick % 28 : tick % 28 + 8, (26 if right else 6) :][:, :8] = 230
    silence = np.zeros(SPEC.audio_shape, np.float32)
    return TickSample(tick, tick, pixels, silence, np.array([not right, right], np.float32), TickFlag.LEARN)


def fill(replay: Replay, ticks: int = 300, session: str = "s") -> Replay:
    coins = np.random.default_rng(4).integers(2, size=ticks)
    for tick, right in enumerate(coins):
        replay.add(session, pictured(tick, bool(right)))
    return replay


# -- weights that come with the program ------------------------------------------------------------------------------


def weights_file(path: Path, **changes: Tensor) -> Path:
    """A file as pretraining writes it, of random weights."""
    torch.manual_seed(3)
    state = ConvEncoder(replace(SPEC, frames=4)).state_dict()
    save_file({k: v.contiguous() for k, v in state.items() if k.startswith(bundled.PARTS)} | changes, path)
    return path


def begun_with(path: Path, spec: PolicySpec = SPEC) -> Learner:
    source = EncoderSource("bundled", ConvEncoder, bundled.loader(path, spec))
    return Learner(spec, VECTOR, Replay(spec, 1 << 20), seed=5, source=source)


def test_learning_begins_with_the_weights_shipped(tmp_path: Path) -> None:
    """Network and average have the file's weights, and everything else is as without them."""
    path = weights_file(tmp_path / "encoder.safetensors")
    learner, scratch = begun_with(path), Learner(SPEC, VECTOR, Replay(SPEC, 1 << 20), seed=5)
    shipped, without = load_file(path), scratch.net.state_dict()
    assert len(shipped) == 12
    for net in (learner.net, learner.average):
        for name, tensor in net.state_dict().items():
            expected = shipped.get(name.removeprefix("encoder."), without[name])
            assert torch.equal(tensor, expected), name
    assert not torch.equal(without["encoder.stem.0.weight"], shipped["stem.0.weight"])


@pytest.mark.parametrize("frames", [1, 2, 6])
def test_weights_fit_other_numbers_of_frames(tmp_path: Path, frames: int) -> None:
    """Luma, newest differences and colours keep theirs; what the file has no weights for is left out at first."""
    path = weights_file(tmp_path / "encoder.safetensors")
    wide = load_file(path)["stem.0.weight"]
    mine = begun_with(path, replace(SPEC, frames=frames)).net.state_dict()["encoder.stem.0.weight"]
    assert mine.shape[1] == frames + 2
    assert torch.equal(mine[:, :1], wide[:, :1])
    assert torch.equal(mine[:, -2:], wide[:, -2:])
    newest = min(frames - 1, 3)
    if newest:
        assert torch.equal(mine[:, -2 - newest : -2], wide[:, -2 - newest : -2])
    assert float(mine[:, 1 : max(1, frames - 3)].abs().sum()) == 0.0


def test_shipped_file_is_there_and_small() -> None:
    """What the program ships can be used as it is, and says how it was made."""
    path = bundled.shipped_weights()
    assert path.stat().st_size < 4 << 20
    source = make_encoder("bundled", SPEC)
    assert source.choice == "bundled"
    learner = Learner(SPEC, VECTOR, fill(Replay(SPEC, 1 << 28), 80), source=source)
    assert np.isfinite(learner.update())
    assert learner.architecture == Learner(SPEC, VECTOR, Replay(SPEC, 1 << 20)).architecture


@pytest.mark.parametrize("how", ["missing", "garbage", "other tensors", "not finite"])
def test_weights_that_cannot_be_used_are_refused(tmp_path: Path, how: str) -> None:
    """One error that says what to do, not a crash and not a network of nonsense."""
    path = tmp_path / "encoder.safetensors"
    match how:
        case "garbage":
            path.write_bytes(b"\xff" * 99)
        case "other tensors":
            weights_file(path, **{"top.0.bias": torch.zeros(3)})
        case "not finite":
            weights_file(path, **{"top.0.bias": torch.full((64,), float("nan"))})
    with pytest.raises(PlatformUnavailable, match="scratch"):
        bundled.loader(path, SPEC)


# -- a frozen network ------------------------------------------------------------------------------------------------


def tiny(seed: int = 0) -> FrozenFeatures:
    """A network of random weights that costs nothing."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 16, 4, 4), nn.ReLU(), nn.BatchNorm2d(16), nn.Dropout(0.5))
    return FrozenFeatures(network, 40, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), f"tiny{seed}")


def frozen_learner(features: FrozenFeatures, folder: Path, seed: int = 0) -> Learner:
    source = frozen.source_of("tiny", features, "tiny")
    return Learner(SPEC, VECTOR, source.replay(SPEC, 1 << 28, 0, folder), seed=seed, source=source)


def test_head_learns_from_frozen_features(tmp_path: Path) -> None:
    """The key is learned while the frozen network stays as it was; the graph computes from pictures what torch does."""
    features = tiny()
    before = {name: tensor.clone() for name, tensor in features.state_dict().items()}
    learner = frozen_learner(features, tmp_path)
    fill(learner.replay)
    while learner.updates < 60:
        learner.update()
    measures = learner.held_out()
    assert measures["balanced_accuracy"] > 0.9
    assert measures["blind_loss"] > measures["loss"] + 0.3
    assert all(torch.equal(tensor, before[name]) for name, tensor in features.state_dict().items())
    onnx, parity = Exporter(SPEC).export(learner.average)
    assert parity <= MAX_PARITY_ERROR
    check_graph(onnx, SPEC)


def test_features_of_learning_are_those_of_playing(tmp_path: Path) -> None:
    """What the replay kept gives the outputs that the pictures themselves give, up to the kept precision."""
    learner = frozen_learner(tiny(), tmp_path)
    fill(learner.replay, 100)
    learner.update()
    frames = np.stack([pictured(tick, bool(tick % 2)).pixels for tick in range(4)])[None]
    kept = learner.average.encoder.seen(torch.from_numpy(frames))
    again = learner.average.encoder.frozen(torch.from_numpy(frames[0][[0, 3]]))
    assert torch.equal(kept[0], again)
    learner.average.eval()
    silence = torch.zeros(1, *SPEC.audio_shape)
    with torch.no_grad():
        playing = learner.average(torch.from_numpy(frames), silence, torch.zeros(1, 8))[0]
        learning = learner.average.from_planes(kept.half(), silence, torch.zeros(1, 8))[0]
    assert torch.allclose(playing, learning, atol=0.02)


def test_checkpoint_holds_no_frozen_weights_and_goes_on(tmp_path: Path) -> None:
    """What is large and fetched anyway is not saved again; a checkpoint of another frozen network is not taken."""
    learner = frozen_learner(tiny(), tmp_path)
    fill(learner.replay, 100)
    learner.update()
    path = tmp_path / "trainer.safetensors"
    learner.save_checkpoint(path)
    assert not [name for name in load_file(path) if "frozen" in name]
    other = frozen_learner(tiny(), tmp_path, seed=9)
    assert other.load_checkpoint(path)
    assert torch.equal(other.net.held.weight, learner.net.held.weight)
    assert torch.equal(other.average.encoder.mean, learner.average.encoder.mean)
    assert not frozen_learner(tiny(1), tmp_path).load_checkpoint(path)


class Counting:
    """Features that say which picture they are of, and how many were computed."""

    digest = "counting"

    def __init__(self) -> None:
        self.computed = 0

    def __call__(self, frames: Tensor) -> Tensor:
        self.computed += len(frames)
        return frames[:, 0, 0, :1].float().expand(-1, SIZE)


def marked(tick: int, flags: TickFlag = TickFlag.LEARN) -> TickSample:
    """Its first pixel is the tick's number."""
    pixels = np.full((SPEC.frame_height, SPEC.frame_width, 3), tick, np.uint8)
    return TickSample(
        tick, tick, pixels, np.zeros(SPEC.audio_shape, np.float32), np.array([tick, 0], np.float32), flags
    )


def batch_of(replay: FeatureReplay) -> dict[int, tuple[int, int]]:
    """Tick -> ticks of the older and the newer frame in its features."""
    batch = replay.draw(400)
    assert batch.frames.dtype == np.float16
    assert batch.frames.shape == (400, 2, SIZE)
    return {int(action[0]): (int(f[0, 0]), int(f[1, 5])) for action, f in zip(batch.actions, batch.frames, strict=True)}


def test_batches_hold_the_features_of_their_ticks(tmp_path: Path) -> None:
    """Newest and older frame belong to the tick drawn; the older never reaches over a gap or a lost tick."""
    replay = FeatureReplay(SPEC, 1 << 28, 0, Counting(), tmp_path)
    for tick in (*range(10), *range(13, 19)):
        replay.add("a", marked(tick, TickFlag.LEARN | (TickFlag.GAP if tick == 6 else TickFlag(0))))
    for tick in range(8):
        replay.add("b", marked(100 + tick))
    found = batch_of(replay)
    assert len(found) > 15
    for tick, (older, newer) in found.items():
        start = max(s for s in (0, 6, 13, 100) if s <= tick)
        assert (older, newer) == (max(start, tick - BACK), tick)


def test_features_are_computed_once(tmp_path: Path) -> None:
    """After a restart only new ticks are computed; a session that is gone takes its features with it."""
    first, second = Counting(), Counting()
    replay = FeatureReplay(SPEC, 1 << 28, 0, first, tmp_path)
    for tick in (*range(40), *range(45, 60)):
        replay.add("a", marked(tick))
    before = batch_of(replay)
    again = FeatureReplay(SPEC, 1 << 28, 0, second, tmp_path)
    for tick in (*range(40), *range(45, 70)):
        again.add("a", marked(tick))
    after = batch_of(again)
    assert (first.computed, second.computed) == (55, 10)
    assert all(after[tick] == frames for tick, frames in before.items() if tick in after)
    path = tmp_path / "features" / "counting" / "a.npy"
    assert np.load(path).shape == (70, SIZE)
    again.prune({"a"})
    assert path.is_file()
    again.prune({"b"})
    assert not path.exists()


def test_features_of_other_encoders_are_deleted(tmp_path: Path) -> None:
    """Nobody fills the disk by trying encoders."""
    old = tmp_path / "features" / "older" / "a.npy"
    old.parent.mkdir(parents=True)
    old.touch()
    FeatureReplay(SPEC, 1 << 28, 0, Counting(), tmp_path).prune({"a"})
    assert not old.parent.exists()


def test_learning_goes_on_without_disk(small_disk: Path) -> None:
    """Features that can't be kept are held in memory, and right."""
    (small_disk / "full").write_bytes(b"0" * (_free(small_disk) - 4096))
    replay = FeatureReplay(SPEC, 1 << 28, 0, Counting(), small_disk)
    for tick in range(120):
        replay.add("a", marked(tick))
    assert all(newer == tick for tick, (_, newer) in batch_of(replay).items())


def _free(folder: Path) -> int:
    import shutil

    return shutil.disk_usage(folder).free


# -- the file of features --------------------------------------------------------------------------------------------


def rows(first: int, count: int, width: int = 8) -> np.ndarray:
    return np.repeat(np.arange(first, first + count)[:, None], width, 1).astype(np.float16)


def test_file_grows_and_is_read_again(tmp_path: Path) -> None:
    """Whatever was appended is there, in order, as an ordinary .npy file."""
    path = tmp_path / "deep" / "rows.npy"
    file = FeatureFile(path, 8)
    for first, count in ((0, 3), (3, 100), (103, 0), (103, 1)):
        file.append(rows(first, count))
    assert np.array_equal(np.load(path), rows(0, 104))
    again = FeatureFile(path, 8)
    assert again.count == 104
    assert np.array_equal(again.read(np.array([103, 0, 50])), rows(0, 104)[[103, 0, 50]])


def test_half_an_append_is_as_none(tmp_path: Path) -> None:
    """Killed after the rows and before the header: what counted before counts, and the next append is right."""
    path = tmp_path / "rows.npy"
    FeatureFile(path, 8).append(rows(0, 5))
    with path.open("ab") as stream:
        stream.write(b"\x7f" * 37)
    again = FeatureFile(path, 8)
    assert again.count == 5
    again.append(rows(5, 4))
    assert np.array_equal(np.load(path, mmap_mode="r"), rows(0, 9))


@pytest.mark.parametrize("how", ["empty", "garbage", "cut", "other width", "other type"])
def test_file_that_does_not_fit_is_made_anew(tmp_path: Path, how: str) -> None:
    """Features can be computed again: a damaged file costs time and nothing else."""
    path = tmp_path / "rows.npy"
    FeatureFile(path, 8).append(rows(0, 50))
    match how:
        case "empty":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(b"\xff" * 999)
        case "cut":
            path.write_bytes(path.read_bytes()[:300])
        case "other width":
            np.save(path, np.zeros((4, 9), np.float16))
        case "other type":
            np.save(path, np.zeros((4, 8), np.float32))
    file = FeatureFile(path, 8)
    assert file.count == 0
    file.append(rows(0, 2))
    assert np.array_equal(np.load(path), rows(0, 2))


# -- networks of timm ------------------------------------------------------------------------------------------------

NETWORK = "test_resnet"


@pytest.fixture
def timm() -> Any:
    """The package, where it can be loaded (a torchvision of another build than torch's can't)."""
    try:
        import timm as package
    except Exception as error:
        pytest.skip(f"timm can't be loaded: {error}")
    return package


def random_weights(timm: Any, path: Path, seed: int = 7) -> Path:
    torch.manual_seed(seed)
    save_file(timm.create_model(NETWORK).state_dict(), path)
    return path


def test_network_from_a_file(timm: Any, tmp_path: Path) -> None:
    """Weights on this machine: features are theirs, a bundle holds the whole, and the manifest names the licence."""
    source = make_encoder(f"timm:{NETWORK}@{random_weights(timm, tmp_path / 'a.safetensors')}", SPEC)
    assert "licence apache-2.0" in source.about
    learner = Learner(SPEC, VECTOR, source.replay(SPEC, 1 << 28, 0, tmp_path), source=source)
    fill(learner.replay, 100)
    learner.update()
    onnx, parity = Exporter(SPEC).export(learner.average)
    assert parity <= MAX_PARITY_ERROR
    check_graph(onnx, SPEC)
    other = make_encoder(f"timm:{NETWORK}@{random_weights(timm, tmp_path / 'b.safetensors', 8)}", SPEC)
    assert other.architecture != source.architecture


def test_file_of_another_network_is_refused(timm: Any, tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "w.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(PlatformUnavailable, match=r"w\.safetensors does not hold its weights.*bundled"):
        make_encoder(f"timm:{NETWORK}@{path}", SPEC)


def test_offline_is_told_once_and_learning_begins_without(
    timm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that can't be fetched: another encoder learns, and the note says why and what to do."""
    asked: dict[str, Any] = {}

    def offline(name: str, **options: Any) -> None:
        asked.update(options, name=name)
        raise ConnectionError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    source = make_or_fall_back(f"timm:{NETWORK}", SPEC, tmp_path)
    assert source.choice == "bundled"
    assert "no route to host" in source.note
    assert "Connect to the internet" in source.note
    assert asked["cache_dir"] == tmp_path


@pytest.mark.parametrize(
    ("choice", "said"), [("timm:no_such_network", "no network"), (f"timm:{NETWORK}@/no/such/file", "no file")]
)
def test_choice_that_names_nothing(timm: Any, choice: str, said: str) -> None:
    """A wrong name is told before anything is fetched."""
    with pytest.raises(PlatformUnavailable, match=said):
        make_encoder(choice, SPEC)


def test_without_timm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is optional."""
    monkeypatch.setitem(sys.modules, "timm", None)
    source = make_or_fall_back("timm:mobilenetv3_small_100", SPEC)
    assert source.choice == "bundled"
    assert "tray-agent[encoders]" in source.note


def test_with_nothing_at_all_it_learns_from_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even an incomplete installation learns."""

    def missing() -> Path:
        raise PlatformUnavailable("the shipped weights are missing", "Install again")

    monkeypatch.setattr(bundled, "shipped_weights", missing)
    source = make_or_fall_back("bundled", SPEC)
    assert source.choice == "scratch"
    assert "Install again" in source.note


# -- the setting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choice",
    ["scratch", "bundled", "start:/a b/w.safetensors", "timm:mobilenetv3_small_100.lamb_in1k",
     "timm:vit_small@/a b/w.safetensors"],
)  # fmt: skip
def test_setting_takes(tmp_path: Path, choice: str) -> None:
    """All that `make_encoder` knows."""
    path = tmp_path / "tray_agent.yaml"
    path.write_text(f"trainer: {{encoder: '{choice}'}}\n")
    assert load(path, AppSettings).trainer.encoder == choice


@pytest.mark.parametrize("choice", ["", "resnet", "start:", "timm:", "timm:../x", "Scratch"])
def test_setting_refuses(tmp_path: Path, choice: str) -> None:
    """And nothing else; the message lists what there is."""
    path = tmp_path / "tray_agent.yaml"
    path.write_text(f"trainer: {{encoder: '{choice}'}}\n")
    with pytest.raises(SettingsError, match="bundled"):
        load(path, AppSettings)


def test_trainer_is_told_and_status_tells(tmp_path: Path) -> None:
    """The job carries the choice to the trainer; what the trainer answers stands in the status."""
    job = TrainerJob("toy", VECTOR, SPEC, tmp_path, tmp_path, tmp_path, encoder="bundled")
    assert TrainerJob.from_message(job.message()).encoder == "bundled"
    worker = TrainingWorker(job, lambda _: None)
    worker._take({"ev": "ready", "updates": 3, "encoder": "scratch", "encoder_note": "why", "others": []})
    assert (worker.status.encoder, worker.status.encoder_note, worker.status.updates) == ("scratch", "why", 3)

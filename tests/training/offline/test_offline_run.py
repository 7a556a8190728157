"""Whole runs: what is learned is exactly the same after a kill, and becomes a bundle only if it is no worse."""

import json
from pathlib import Path

import pytest
import torch
from squares import GAME, SPEC, go, record, ticks
from safetensors.torch import load_file

from tray_agent.policy.bundle import current_folder, load_bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.settings import paths
from tray_agent.training.learner import Learner
from tray_agent.training.offline import training as training_module


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder of its own, and one thread as the process has."""
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sessions of four minutes of slow play in all."""
    folder = tmp_path_factory.mktemp("sessions")
    for number in (1, 2, 3):
        record(folder, number)
    return folder


def models() -> Path:
    return paths.data_folder() / "models"


def test_run_becomes_a_bundle_that_plays(root: Path) -> None:
    """Whole sessions are held out, the skill on them rises, and what comes of it is loaded and played as any bundle."""
    summary = go(root, updates=60)
    assert summary["held_out"]["skill"] > 0.6
    assert summary["held_out"]["loss"] < summary["held_out"]["baseline_loss"]
    assert summary["in_use"] is True
    bundle = load_bundle(current_folder(models(), GAME) or Path(), SPEC)
    assert str(bundle.folder) == summary["bundle"]
    assert bundle.manifest.parity < 1e-3
    policy = OnnxPolicy(bundle, Decoding())
    for one in ticks(2, 9):
        action = policy.act(one.pixels, one.audio)
    assert action.shape == (2,)
    run = json.loads((Path(summary["run"]) / "run.json").read_text())
    assert [s["held_out"] for s in run["sessions"]] == [False, True, False]
    lines = [json.loads(line) for line in (Path(summary["run"]) / "log.jsonl").read_text().splitlines()]
    assert lines[0]["what"] == "begun"
    assert lines[-1]["skill"] <= max(line.get("skill", 0) for line in lines)


def killed_at(monkeypatch: pytest.MonkeyPatch, updates: int, saved_at: int) -> None:
    """From now on learners fall over after so many updates; the last checkpoint is of some before."""
    update, save_every = Learner.update, training_module._SAVE_EVERY_S

    def fall_over(learner: Learner) -> float:
        if learner.updates == updates:
            raise MemoryError
        value = update(learner)
        monkeypatch.setattr(training_module, "_SAVE_EVERY_S", 0.0 if learner.updates == saved_at else save_every)
        return value

    monkeypatch.setattr(Learner, "update", fall_over)


@pytest.mark.parametrize("memory_mb", [1, 64])
def test_killed_and_resumed_is_the_same_to_the_last_bit(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_mb: int
) -> None:
    """With a window smaller than the data and with all of it in memory: weights, average and moments are equal."""
    monkeypatch.setattr("tray_agent.training.offline.segments._AHEAD", 3)
    go(root, updates=40, out=tmp_path / "a", use=False, memory_mb=memory_mb)
    with monkeypatch.context() as patched:
        killed_at(patched, updates=29, saved_at=20)
        with pytest.raises(MemoryError):
            go(root, updates=40, out=tmp_path / "b", use=False, memory_mb=memory_mb)
    go(root, out=tmp_path / "b", resume=True)
    one, other = (load_file(tmp_path / run / "last.safetensors") for run in ("a", "b"))
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert len([name for name in one if name.startswith("adam.")]) > 20

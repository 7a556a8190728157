"""Whole runs: what is learned is exactly the same after a kill, and becomes a bundle only if it is no worse."""

import json
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from squares import GAME, SPEC, go, record, ticks

from tray_agent.errors import BundleError, SessionError, SettingsError, TrayAgentError
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


def test_better_policy_is_not_replaced_unless_forced(root: Path) -> None:
    """On the same stretches, which neither learned from: a beginner stays in its run's folder, unless it is forced."""
    good = go(root, updates=60)
    beginner = go(root, updates=1)
    assert beginner["in_use"] is False
    assert "--force" in beginner["why_not"]
    assert beginner["compared"]["mine"] < beginner["compared"]["in_use"]
    assert str(current_folder(models(), GAME)) == good["bundle"]
    assert load_bundle(Path(beginner["bundle"]), SPEC).folder.is_relative_to(beginner["run"])
    forced = go(root, updates=1, force=True)
    assert str(current_folder(models(), GAME)) == forced["bundle"]


def test_run_that_begins_with_a_bundle_knows_what_it_knew(root: Path, tmp_path: Path) -> None:
    """One update after the weights of a good policy it is as good; a folder without a bundle is told by its flag."""
    good = go(root, updates=60)
    again = go(root, updates=1, from_bundle=Path(good["bundle"]))
    assert again["held_out"]["skill"] > good["held_out"]["skill"] - 0.1
    with pytest.raises(BundleError, match=r"--from .*nowhere"):
        go(root, updates=1, from_bundle=tmp_path / "nowhere")


def test_run_stops_when_nothing_gets_better_and_the_best_is_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skill decides: after `patience` looks that were no better the run ends, and its bundle is the best one."""
    skills = iter([0.2, 0.5, 0.4, 0.5, 0.3, 0.9])
    measured = Learner.held_out
    monkeypatch.setattr(Learner, "held_out", lambda self: measured(self) | {"skill": next(skills)})
    monkeypatch.setattr("tray_agent.training.offline.publish.Publisher.publish", lambda self: Taken(self._learner))
    summary = go(root, patience=3, epochs=1000)
    assert summary["ended"] == "no better in 3 looks"
    assert summary["updates"] == 100
    assert summary["best_at"] == summary["taken"] == 40


class Taken:
    """Stands for what a run publishes."""

    def __init__(self, learner: Learner) -> None:
        self._updates = learner.updates

    def to_json(self) -> dict[str, int]:
        return {"taken": self._updates}


def test_whole_numbers_are_kept_only_where_they_do_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Much smaller; the agreement is told, and too little of it keeps the weights as they are."""
    small = go(root, updates=40, int8=True, force=True)
    assert small["int8"]["kept"] is (small["int8"]["agreement"] >= 0.99)
    assert small["int8"]["bytes"] < 0.8 * small["int8"]["bytes_before"]
    monkeypatch.setattr("tray_agent.training.offline.publish.LEAST_AGREEMENT", 1.01)
    exact = go(root, updates=1, int8=True, force=True)
    assert exact["int8"]["kept"] is False
    assert len(load_bundle(Path(exact["bundle"])).onnx) == exact["int8"]["bytes_before"]


def test_interrupted_run_keeps_its_last_checkpoint_and_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it after the update it is at, without a bundle; --resume takes up the game's newest run."""
    update = Learner.update

    def interrupted(learner: Learner) -> float:
        if learner.updates == 4:
            signal.raise_signal(signal.SIGINT)
        return update(learner)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "update", interrupted)
        stopped = go(root, updates=30)
    assert (stopped["ended"], stopped["updates"]) == ("interrupted", 5)
    assert "bundle" not in stopped
    resumed = go(root, resume=True, updates=7)
    assert (resumed["run"], resumed["updates"], resumed["ended"]) == (stopped["run"], 7, "done")
    assert resumed["seconds"] >= stopped["seconds"] > 0
    assert "never changed" not in resumed["readiness"]["why"]


def test_full_disk_ends_the_run_and_keeps_its_last_checkpoint(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to do, and the run goes on from what is there."""
    go(root, updates=3, out=tmp_path / "run", use=False)
    before = (tmp_path / "run" / "last.safetensors").read_bytes()

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("tray_agent.training.checkpoint.write_atomic", full)
        with pytest.raises(TrayAgentError, match=r"No space left.*free some space.*--resume"):
            go(root, out=tmp_path / "run", resume=True, updates=6)
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
    assert go(root, out=tmp_path / "run", resume=True, updates=6)["updates"] == 6


def test_what_can_not_be_resumed_is_told(root: Path, tmp_path: Path) -> None:
    """No run, a run of another game, another recipe, sessions that have changed, a folder that is taken."""
    with pytest.raises(SettingsError, match=f"no run of {GAME}"):
        go(root, resume=True)
    own = tmp_path / "own"
    mine = record(own, 1)
    out = tmp_path / "run"
    with pytest.raises(SettingsError, match="no run in"):
        go(own, resume=True, out=out)
    go(own, updates=1, out=out, use=False)
    with pytest.raises(SettingsError, match="holds a run already"):
        go(own, updates=1, out=out)
    with pytest.raises(SettingsError, match=f"one of {GAME}, not of pong"):
        go(own, resume=True, out=out, game="pong")
    with pytest.raises(SettingsError, match="--seed"):
        go(own, resume=True, out=out, seed=7)
    (out / "last.safetensors").write_bytes(b"\xff" * 999)
    with pytest.raises(TrayAgentError, match=r"last\.safetensors can't be used"):
        go(own, resume=True, out=out)
    (mine / "marks.jsonl").write_text("[0, 1, 1]\n")
    with pytest.raises(SessionError, match="has changed since"):
        go(own, resume=True, out=out)


def test_too_little_play_is_refused(tmp_path: Path) -> None:
    """Rather than a policy of nothing."""
    record(tmp_path / "short", 1, count=30)
    with pytest.raises(SessionError, match="watch more"):
        go(tmp_path / "short", updates=1)

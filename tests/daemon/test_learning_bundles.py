"""Which bundle the daemon plays: the one in use, also when somebody else puts another in use."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from shared_bundle import PROFILE, SPEC, profiles
from tiny_policy import store

from tray_agent.daemon.learning import Learning, decoding_of
from tray_agent.policy.bundle import CURRENT_NAME, MANIFEST_NAME, ONNX_NAME, make_current
from tray_agent.policy.runs import roll_back
from tray_agent.settings.app import Trainer
from tray_agent.training.worker import TrainingWorker


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two bundles, the second in use."""
    store(tmp_path, "20260101T1-u1", SPEC)
    store(tmp_path, "20260102T1-u2", SPEC)
    return tmp_path


@pytest.fixture
def begun(home: Path) -> tuple[Learning, list[Path], Callable[[], str]]:
    """A game's learning without a trainer; the bundles it announced; the name of what plays after a look around."""
    told: list[Path] = []
    learning = Learning(home / "s", home, home / "c", told.append)
    learning.set_game(PROFILE, SPEC)

    def look() -> str:
        told.clear()
        learning.poll()
        for folder in told:
            learning.take_bundle(folder)
        assert learning.policy is not None
        return learning.policy.bundle.folder.name

    return learning, told, look


def test_rollback_is_taken_at_the_next_look(home: Path, begun: tuple[Learning, list[Path], Callable[[], str]]) -> None:
    """Told once, and not again; also when the news of an older bundle comes late."""
    learning, told, look = begun
    assert look() == "20260102T1-u2"
    assert told == []
    roll_back(home, "toy")
    assert look() == "20260101T1-u1"
    assert look() == "20260101T1-u1"
    assert told == []
    assert learning.take_bundle(home / "toy" / "20260102T1-u2")  # the trainer's word of what it wrote before
    assert look() == "20260101T1-u1"
    assert not learning.take_bundle(home / "toy" / "20260101T1-u1")


def test_bundle_that_can_not_be_used_is_tried_once(
    home: Path, begun: tuple[Learning, list[Path], Callable[[], str]]
) -> None:
    """What plays goes on; the problem is told until another is put in use."""
    learning, told, look = begun
    damaged = home / "toy" / "20260101T1-u1"
    (damaged / ONNX_NAME).write_bytes(b"cut")
    make_current(damaged)
    assert look() == "20260102T1-u2"
    assert "is damaged" in learning.problem
    look()
    assert told == []
    make_current(home / "toy" / "20260102T1-u2")
    look()
    assert learning.problem == ""


def test_damaged_pointer_does_not_end_play(home: Path, begun: tuple[Learning, list[Path], Callable[[], str]]) -> None:
    """Told as a problem until it is mended or deleted."""
    learning, _, look = begun
    (home / "toy" / CURRENT_NAME).write_text("{")
    assert look() == "20260102T1-u2"
    assert "current.json is damaged" in learning.problem
    make_current(home / "toy" / "20260102T1-u2")
    look()
    assert learning.problem == ""
    (home / "toy" / CURRENT_NAME).write_text("{")
    look()
    assert learning.problem
    (home / "toy" / CURRENT_NAME).unlink()
    look()
    assert learning.problem == ""


def test_changed_settings_need_another_trainer(
    begun: tuple[Learning, list[Path], Callable[[], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watching again soon after the last time goes on with the same trainer, unless it was to learn otherwise."""
    learning, _, _ = begun
    monkeypatch.setattr(TrainingWorker, "start", lambda _: None)
    monkeypatch.setattr(TrainingWorker, "finish", lambda *_: True)
    first = learning.begin(Trainer())
    assert learning.begin(Trainer()) is first
    other = learning.begin(Trainer(reaction="auto"))
    assert other is not first
    assert other.job.reaction == "auto"
    assert learning.begin(Trainer(reaction="auto")) is other


def test_a_policy_that_says_it_can_not_play_is_not_playable(
    home: Path, begun: tuple[Learning, list[Path], Callable[[], str]]
) -> None:
    """It is loaded, and says why."""
    learning, _, look = begun
    assert learning.playable
    folder = home / "toy" / "20260101T1-u1"
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    manifest["readiness"] = {"state": "cannot", "why": "nothing was ever pressed"}
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest))
    make_current(folder)
    assert look() == folder.name
    assert not learning.playable
    assert learning.cannot == "nothing was ever pressed"


@pytest.mark.parametrize(("most_ms", "ticks"), [(10, 1), (200, 3), (None, 0)])
def test_longest_hold_in_ticks(most_ms: int | None, ticks: int) -> None:
    """At least one: none at all would mean without limit."""
    limits = {"per_control": {"left": {"max_hold_ms": most_ms}}} if most_ms else {}
    profile = profiles(rate_hz=15, decoding=limits)["toy"]
    assert decoding_of(profile).per_control["ArrowLeft"].max_hold_ticks == ticks

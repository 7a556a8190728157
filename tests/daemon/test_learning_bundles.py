"""Which bundle the daemon plays: the one in use, also when somebody else puts another in use."""

from collections.abc import Callable
from pathlib import Path

import pytest
from shared_bundle import PROFILE, SPEC
from tiny_policy import store

from tray_agent.daemon.learning import Learning
from tray_agent.policy.bundle import CURRENT_NAME, ONNX_NAME, make_current
from tray_agent.policy.runs import roll_back


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
    """Told as a problem until it is mended."""
    learning, _, look = begun
    (home / "toy" / CURRENT_NAME).write_text("{")
    assert look() == "20260102T1-u2"
    assert "current.json is damaged" in learning.problem
    make_current(home / "toy" / "20260102T1-u2")
    look()
    assert learning.problem == ""

"""Finding bundles by a few letters, and going back to an earlier one."""

from pathlib import Path

import pytest
from shared_bundle import PROFILE, SPEC, profiles
from tiny_policy import store

from tray_agent.errors import BundleError
from tray_agent.policy.bundle import CURRENT_NAME, ONNX_NAME, current_folder
from tray_agent.policy.runs import find_run, list_runs, roll_back

RUNS = ("20260101T1-u1", "20260102T1-u2", "20260103T1-u3")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Three bundles of `toy`, the last in use; one of `other`."""
    for run in RUNS:
        store(tmp_path, run, SPEC)
    store(tmp_path, "20260102T1-u9", SPEC, game="other")
    return tmp_path


def test_every_bundle_is_listed(models: Path) -> None:
    """By game and age; the ones in use are marked; a damaged one is listed with what is wrong."""
    (models / "toy" / RUNS[0] / ONNX_NAME).write_bytes(b"cut")
    found = list_runs(models)
    assert [(r.folder.parent.name, r.folder.name, r.is_current) for r in found] == [
        ("other", "20260102T1-u9", True), *(("toy", run, run == RUNS[2]) for run in RUNS),
    ]  # fmt: skip
    assert [bool(r.problem) for r in found] == [False, True, False, False]
    assert found[2].manifest is not None
    assert found[2].bytes > len(found[2].manifest.onnx_sha256)
    assert [r.folder.name for r in list_runs(models, "other")] == ["20260102T1-u9"]
    assert list_runs(models / "nowhere") == []


def test_bundle_is_found_by_a_few_letters(models: Path) -> None:
    """A folder, a game, a run, the beginning of one."""
    toy = models / "toy"
    assert find_run(models, "toy") == toy / RUNS[2]
    assert find_run(models, f"toy/{RUNS[1]}") == toy / RUNS[1]
    assert find_run(models, "toy/20260102") == toy / RUNS[1]
    assert find_run(models, "20260101") == toy / RUNS[0]
    assert find_run(models, str(toy / RUNS[0])) == toy / RUNS[0]
    with pytest.raises(BundleError, match=r"may be any of other/20260102T1-u9, toy/20260102T1-u2\. Write more"):
        find_run(models, "20260102")
    for words in ("x", "", "toy/x", "toy/", "../toy", "none/20260102"):
        with pytest.raises(BundleError, match="there is no bundle"):
            find_run(models, words)
    (toy / CURRENT_NAME).unlink()
    with pytest.raises(BundleError, match="toy has no bundle in use"):
        find_run(models, "toy")


def test_back_one_by_one(models: Path) -> None:
    """Each time the one before, until there is none; then what is in use stays."""
    was, bundle = roll_back(models, "toy", profile=PROFILE)
    assert was == models / "toy" / RUNS[2]
    assert bundle.folder == current_folder(models, "toy") == models / "toy" / RUNS[1]
    roll_back(models, "toy")
    with pytest.raises(BundleError, match="no bundle from before"):
        roll_back(models, "toy")
    assert current_folder(models, "toy") == models / "toy" / RUNS[0]
    roll_back(models, "toy", "20260103")
    assert current_folder(models, "toy") == models / "toy" / RUNS[2]
    assert current_folder(models, "other") == models / "other" / "20260102T1-u9"


def test_back_goes_past_what_was_imported_unless_it_is_named(models: Path) -> None:
    """Imported bundles may never have been in use."""
    imported = store(models, "20260102T5-imported", SPEC)
    store(models, "20260104T1-u4", SPEC)
    roll_back(models, "toy", "20260103")
    assert roll_back(models, "toy")[1].folder.name == RUNS[1]
    assert roll_back(models, "toy", "20260102T5")[1].folder == imported


def test_back_from_a_lost_bundle(models: Path) -> None:
    """A pointer to nowhere, or damaged: the newest learned one is taken."""
    (models / "toy" / CURRENT_NAME).write_text("{")
    was, bundle = roll_back(models, "toy")
    assert was is None
    assert bundle.folder.name == RUNS[2]


def test_no_way_back_to_what_would_not_play(models: Path) -> None:
    """Damaged, made for another profile, or with a graph that does not run: refused, and all stays as it is."""
    (models / "toy" / RUNS[1] / ONNX_NAME).write_bytes(b"cut")
    with pytest.raises(BundleError, match="is damaged"):
        roll_back(models, "toy")
    with pytest.raises(BundleError, match=r"can't be used: .* its rate_hz is 20\.0, here 10\.0"):
        roll_back(models, "toy", RUNS[0], profiles(rate_hz=10)["toy"])
    store(models, "20260100T1-u0", SPEC, b"no graph")
    roll_back(models, "toy", RUNS[2])
    with pytest.raises(BundleError, match="no usable ONNX graph"):
        roll_back(models, "toy", "20260100")
    assert current_folder(models, "toy") == models / "toy" / RUNS[2]

"""Cells: kept as they finish, taken up again, summed up; a cell that fails is told and loses nothing."""

import argparse
import json
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from session_data import SILENT, record

from tray_agent import evaluation
from tray_agent.clients.cli.evaluate import _cells, add_parser
from tray_agent.errors import TrayAgentError
from tray_agent.evaluation import playing, runner
from tray_agent.evaluation.cell import ADVERSARIAL, ENCODERS, OURS, REFERENCES, Cell, references
from tray_agent.evaluation.learning import TimedLearning
from tray_agent.evaluation.report import summary
from tray_agent.evaluation.store import CellStore
from tray_agent.sessions.layout import game_folder
from tray_agent.settings.snapshot import load_settings

REFS = {"random": [0.0, 2.0], "constant": [3.0, 5.0], "player": [14.0], "constant_keys": "Space"}
OURS_CELL = Cell("a-game", OURS)
CELLS = [references("a-game", 2, faults=False), OURS_CELL, Cell("a-game", "knn")]


def result_of(*scores: float) -> dict[str, Any]:
    curve = [{"seconds": 15.0, "scores": [5.0]}, {"seconds": 60.0, "scores": list(scores)}]
    return {"scores": list(scores), "curve": curve, "learned": {"first_bundle_s": 4.0}, "samples_per_s": 100.0}


@pytest.fixture
def store(tmp_path: Path) -> CellStore:
    return CellStore(tmp_path / "cells")


@pytest.fixture
def full(store: CellStore) -> CellStore:
    for cell, result in zip(CELLS, (REFS, result_of(9.0, 11.0), result_of(4.0, 6.0)), strict=True):
        store.put(cell, result)
    return store


def test_every_field_makes_another_cell() -> None:
    """No two budgets share a file."""
    others = [Cell("a-game", OURS, 1), Cell("a-game", OURS, minutes=3), Cell("a-game", OURS, train_s=60),
              Cell("a-game", OURS, episodes=5), Cell("a-game", OURS, threads=1), Cell("a-game", OURS, faults=True),
              Cell("a-game", OURS, more="corrections"), Cell("b-game", OURS), Cell("a-game", "knn")]  # fmt: skip
    assert len({cell.key for cell in [OURS_CELL, *others]}) == 10
    assert Cell.from_json(json.loads(json.dumps(OURS_CELL.to_json()))) == OURS_CELL


def test_kept_results_keep_their_keys() -> None:
    """Every result that comes with the sources is found under the key that its cell has today."""
    paths = list((Path(evaluation.__file__).parent / "results" / "cells").glob("*.json"))
    assert paths
    assert {path.stem for path in paths} == {Cell.from_json(json.loads(p.read_text())["cell"]).key for p in paths}


def test_adversarial_policies_are_columns_of_their_own() -> None:
    """Chosen like the others, learned by the product with its setting; where agents play, with corrections too."""
    for policy, setting in ADVERSARIAL.items():
        args = _arguments(["pong", "--policy", policy, "--corrections"])
        cells = _cells(args.games, args)[1:]
        assert [(cell.policy, cell.more) for cell in cells] == [(policy, m) for m in ("", "corrections", "watching")]
        profile = load_settings().game("pong")
        learning = TimedLearning(cells[0], profile, profile.spec(), Path("sessions"), Path("folder"))
        assert (learning._job.adversarial, learning._job.encoder) == (setting, ENCODERS[OURS])
    plain = TimedLearning(Cell("pong", OURS), profile, profile.spec(), Path("sessions"), Path("folder"))
    assert (plain._job.adversarial, plain._job.reaction) == ("none", "none")
    late = TimedLearning(Cell("pong", "ours-reaction"), profile, profile.spec(), Path("sessions"), Path("folder"))
    assert (late._job.adversarial, late._job.reaction, late._job.encoder) == ("none", "auto", ENCODERS[OURS])


def test_learning_ends_where_the_trainer_rests(tmp_path: Path) -> None:
    """Waiting for the rest of an hour would change nothing."""
    record(game_folder(tmp_path / "sessions", "pong") / "20260101T000000Z-a", range(100), game="pong")
    learning = TimedLearning(Cell("pong", OURS), load_settings().game("pong"), SILENT, tmp_path / "sessions", tmp_path)
    learned = learning.run(3600.0, lambda _text, _share: None)
    assert learned.status.updates >= 94  # 60 passes in batches of 64
    assert learned.seconds < 600.0


def _arguments(line: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    return parser.parse_args(["evaluate", *line])


def test_what_is_put_comes_back(full: CellStore) -> None:
    """With commit, machine and time."""
    kept = full.get(OURS_CELL)
    assert kept is not None
    assert kept.result["scores"] == [9.0, 11.0]
    assert kept.machine
    assert kept.created.startswith("20")
    assert full.get(Cell("a-game", OURS, seed=7)) is None


def test_damaged_file_is_told_with_its_name(full: CellStore) -> None:
    """Half a file is no result."""
    path = next(full.folder.glob("*.ours.*"))
    path.write_text(path.read_text()[:40])
    with pytest.raises(TrayAgentError, match=str(path)):
        full.get(OURS_CELL)


def test_summary_normalises_between_floor_and_player(full: CellStore) -> None:
    """Floor is the better of random (1) and the best held key (4); the player has 14; ours has 10, the peer 5."""
    kept = {cell.key: found for cell in CELLS if (found := full.get(cell))}
    result = summary(CELLS, kept)
    assert result["mean_normalised"] == pytest.approx(0.6)
    assert result["best_peer"] == "knn"
    assert result["best_peer_normalised"] == pytest.approx(0.1)
    assert result["vs_best_peer"] == pytest.approx(6.0)
    game = result["games"]["a-game"]
    assert (game["floor"], game["player"]) == (4.0, 14.0)
    assert game["policies"][OURS]["half_at_s"] == [60.0]
    assert result["missing"] == []


def test_summary_of_nothing_names_what_is_missing() -> None:
    """An empty store is no error."""
    result = summary(CELLS, {})
    assert result["mean_normalised"] is None
    assert len(result["missing"]) == 3


def test_resume_takes_only_what_is_missing(full: CellStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished cells are not taken again; without resume all are."""
    taken: list[str] = []

    def take(cell: Cell, recordings: Path, tell: Any) -> dict[str, Any]:
        taken.append(cell.policy)
        return REFS if cell.policy == REFERENCES else result_of(9.0, 11.0)

    monkeypatch.setattr(runner, "take", take)
    wanted = [*CELLS, Cell("a-game", "lstm")]
    kept, failed = runner.run_missing(wanted, full, tmp_path, lambda *_: None, fresh=False)
    assert taken == ["lstm"]
    assert len(kept) == 4
    assert not failed
    runner.run_missing(CELLS, full, tmp_path, lambda *_: None, fresh=True)
    assert taken == ["lstm", REFERENCES, OURS, "knn"]


def test_a_cell_that_fails_does_not_stop_the_others(store: CellStore, tmp_path: Path) -> None:
    """A real process each: an unknown game is told with its reason, the run goes on."""
    cells = [Cell("no-such-game", OURS), Cell("no-such-game-either", OURS)]
    kept, failed = runner.run_missing(cells, store, tmp_path / "recordings", lambda *_: None, fresh=False)
    assert not kept
    assert len(failed) == 2
    assert "there is no game 'no-such-game'" in failed[cells[0].label]


@pytest.mark.slow
def test_interrupted_run_leaves_no_process_and_no_half_cell(store: CellStore, tmp_path: Path) -> None:
    """Ctrl-C while a cell is taken: its process and all that it started end, nothing is kept of it."""
    cell = Cell("tone-test", OURS, minutes=1, train_s=60, episodes=1)
    seen: list[psutil.Process] = []
    others = set(psutil.Process().children(recursive=True))

    def interrupt(_: Cell, text: str, share: float) -> None:
        if text.startswith("learning"):
            seen.extend(set(psutil.Process().children(recursive=True)) - others)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run_missing([cell], store, tmp_path / "recordings", interrupt, fresh=False)
    assert len(seen) >= 2  # the cell's process and the trainer
    assert not [process for process in seen if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert store.get(cell) is None


def hang_once(folder: Path, number: int) -> dict[str, Any]:
    """A job that hangs for good the first time it is done."""
    mark = folder / str(number)
    if number == 1 and not mark.exists():
        mark.touch()
        threading.Event().wait()
    return {"score": number}


def test_job_that_hangs_is_killed_and_done_again(tmp_path: Path) -> None:
    """An emulator that waits for ever costs the time until that is noticed, and no result."""
    jobs = [(tmp_path, number) for number in range(4)]
    results = playing.spread(hang_once, jobs, 2, lambda *_: None, stall_s=4.0)
    assert [one["score"] for one in results] == [0, 1, 2, 3]

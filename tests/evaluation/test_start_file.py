"""Measuring play begun with a file of weights: whose cell is whose, and which files are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import tray_agent
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.main import main
from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.cell import OURS, OURS_START, Cell
from tray_agent.evaluation.start_file import check_unchanged, start_of

RESULTS = Path(tray_agent.__file__).parent / "evaluation" / "results" / "cells"


def write(path: Path, games: tuple[str, ...] = ("a", "b"), value: float = 0.0, before: tuple[str, ...] = ()) -> Path:
    """As `tray-agent pretrain` writes it."""
    about = json.dumps({"recipe": {"games": games, "before": before}})
    save_file({"x": np.full(3, value, np.float32)}, path, metadata={"about": about})
    return path


def test_cells_from_before_keep_their_names() -> None:
    """What is kept is found again: the name of each file follows from the cell in it."""
    paths = list(RESULTS.glob("*.json"))
    assert len(paths) >= 30
    for path in paths:
        data = json.loads(path.read_text())["cell"]
        cell = Cell.from_json(data)
        assert f"{cell.key}.json" == path.name
        assert cell.to_json() == data


def test_the_files_content_makes_the_cell(tmp_path: Path) -> None:
    """Another content is another cell, another place is not."""
    first = write(tmp_path / "first")
    moved = write(tmp_path / "moved")
    other = write(tmp_path / "other", value=1.0)
    cells = [
        Cell("c", OURS_START, start=path, start_digest=digest)
        for path, digest in (start_of(str(one), "c") for one in (first, moved, other))
    ]
    assert cells[0].key == cells[1].key
    assert len({cells[0].key, cells[2].key, Cell("c", OURS).key, Cell("c", OURS_START).key}) == 4
    assert Cell.from_json(json.loads(json.dumps(cells[2].to_json()))) == cells[2]


def test_cell_names_its_encoder() -> None:
    """As `trainer.encoder` in the settings; peers learn with the default."""
    wanted = {"ours": "bundled", "ours-scratch": "scratch", "imitation": "bundled"}
    assert {policy: Cell("c", policy).encoder for policy in wanted} == wanted
    assert Cell("c", OURS_START, start="/x/w.safetensors", start_digest="1").encoder == "start:/x/w.safetensors"


def test_each_game_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Where the pattern names the game."""
    for name in ("c", "d"):
        write(tmp_path / f"{name}.safetensors", ("a",), ord(name))
    found = [start_of(str(tmp_path / "{game}.safetensors"), name) for name in ("c", "d")]
    assert [path for path, _ in found] == [str(tmp_path / f"{name}.safetensors") for name in ("c", "d")]
    assert found[0][1] != found[1][1]


def test_file_that_has_learned_the_game_is_refused(tmp_path: Path) -> None:
    """A score on it would say nothing of new games."""
    path = write(tmp_path / "w", ("a", "b"))
    with pytest.raises(TrayAgentError, match=r"has learned from b itself.*--without b"):
        start_of(str(path), "b")
    with pytest.raises(TrayAgentError, match="has learned from b itself"):
        start_of(str(write(tmp_path / "begun with another", ("a", "c"), before=("b",))), "b")


@pytest.mark.parametrize("how", ["missing", "garbage", "of something else"])
def test_other_files_are_refused(tmp_path: Path, how: str) -> None:
    """With the file's name and what makes one."""
    path = tmp_path / "w"
    if how == "garbage":
        path.write_bytes(b"\xff" * 99)
    if how == "of something else":
        save_file({"x": np.zeros(3, np.float32)}, path)
    with pytest.raises(TrayAgentError, match=r"w is no file to begin c with.*tray-agent pretrain"):
        start_of(str(path), "c")


def test_file_that_changed_before_its_turn_is_noticed(tmp_path: Path) -> None:
    """The result would stand under the wrong name."""
    path = write(tmp_path / "w")
    cell = Cell("c", OURS_START, **dict(zip(("start", "start_digest"), start_of(str(path), "c"), strict=True)))
    check_unchanged(cell)
    check_unchanged(Cell("c", OURS))
    write(path, value=2.0)
    with pytest.raises(TrayAgentError, match="written anew"):
        check_unchanged(cell)
    path.unlink()
    with pytest.raises(TrayAgentError, match="gone"):
        check_unchanged(cell)


@pytest.mark.parametrize("arguments", [["--start", "x"], ["--policy", OURS_START]])
def test_policy_and_file_go_together(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Either alone would measure something else than was meant."""
    assert main(["evaluate", "pong", *arguments]) == ExitCode.USAGE
    assert "go together" in capsys.readouterr().err

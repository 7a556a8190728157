"""`tray-agent evaluate` for real: two games, little time; learning beats random play and every held key by far."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]
GAMES = ("doom-basic", "tone-test")
ARGUMENTS = ("--minutes", "2", "--train-seconds", "25", "--episodes", "4", "--threads", "2")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    pytest.importorskip("vizdoom", reason="the game comes with the package vizdoom")
    folder = tmp_path_factory.mktemp("evaluate")
    return evaluate(folder, *GAMES, *ARGUMENTS, "--plots", str(folder / "plots")), folder


def evaluate(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tray_agent", "evaluate", *arguments, "--folder", str(folder), "--json"]
    env = os.environ | {"TRAY_AGENT_HOME": str(folder / "home")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=400)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("game", GAMES)
def test_learning_beats_random_by_far(run: tuple[dict[str, Any], Path], game: str) -> None:
    """Doom by its picture, the tone test by its sound: at least half the way from no skill to the player."""
    one = run[0]["games"][game]
    assert one["policies"]["ours"]["normalised"][0] > 0.5, one


def test_table_says_what_it_stands_on(run: tuple[dict[str, Any], Path]) -> None:
    """Commit, machine, interval, curve and the offline measures' baselines are there; nothing is missing."""
    result, folder = run
    assert result["missing"] == []
    assert result["machines"]
    ours = result["games"]["doom-basic"]["policies"]["ours"]
    low, high = ours["normalised"][1:]
    assert low <= ours["normalised"][0] <= high
    assert set(ours["offline"][0]) == {"policy", "copy_last", "released"}
    assert (folder / "plots" / "scores.png").stat().st_size > 5000


def test_resume_takes_nothing_anew(run: tuple[dict[str, Any], Path]) -> None:
    """The second run only shows what the first one kept."""
    before = {path: path.stat().st_mtime_ns for path in (run[1] / "cells").iterdir()}
    again = evaluate(run[1], *GAMES, *ARGUMENTS, "--resume")
    assert again["mean_normalised"] == run[0]["mean_normalised"]
    assert {path: path.stat().st_mtime_ns for path in (run[1] / "cells").iterdir()} == before

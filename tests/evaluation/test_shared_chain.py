"""Chains: one model over several games; steps are kept one by one, and what they say is summed up."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.main import main
from tray_agent.errors import TrayAgentError
from tray_agent.evaluation import shared_chain
from tray_agent.evaluation.cell import LEARNED_VECTORS, OURS, Cell, references
from tray_agent.evaluation.learning import TimedLearning
from tray_agent.evaluation.shared_chain import SHARED, Chain, run_chain
from tray_agent.evaluation.shared_report import chain_summary
from tray_agent.evaluation.store import Kept
from tray_agent.settings.snapshot import load_settings

CHAIN = Chain((Cell("a", SHARED), Cell("b", SHARED)))
REFS = {"random": [0.0], "constant": [1.0], "player": [11.0], "constant_keys": "Space"}


def learned(score: float, others: list[str]) -> dict[str, Any]:
    return {"scores": [score], "learned": {"updates": 10, "held_out": {}}, "others": others, "checkpoint_mb": 5.0}


STEPS = {"00.learned": learned(6.0, []), "01.learned": learned(11.0, ["a"]), "00.again": {"scores": [3.5]}}


def quiet(_label: str, _text: str, _share: float) -> None:
    """Nobody watches."""


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the steps that were taken, in order; none starts a process."""
    names: list[str] = []

    def run(arguments: list[str], _label: str, _tell: Callable[[str, float], None]) -> dict[str, Any]:
        names.append(arguments[-3])
        return STEPS[arguments[-3]]

    monkeypatch.setattr(shared_chain, "run_process", run)
    return names


def test_steps_are_kept_one_by_one(tmp_path: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Learned in order, then played again; a second run takes only what is missing, a fresh one everything."""
    assert run_chain(CHAIN, tmp_path, tmp_path / "r", quiet, fresh=False) == STEPS
    assert taken == ["00.learned", "01.learned", "00.again"]
    (tmp_path / CHAIN.key / "00.again.json").unlink()
    assert run_chain(CHAIN, tmp_path, tmp_path / "r", quiet, fresh=False) == STEPS
    assert taken[3:] == ["00.again"]
    run_chain(CHAIN, tmp_path, tmp_path / "r", quiet, fresh=True)
    assert len(taken) == 7


def test_failed_step_keeps_those_before_it(tmp_path: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain ends there and says why."""
    run = shared_chain.run_process

    def fail(arguments: list[str], *more: Any) -> dict[str, Any]:
        if arguments[-3] == "01.learned":
            raise TrayAgentError("b: nothing was learned")
        return run(arguments, *more)

    monkeypatch.setattr(shared_chain, "run_process", fail)
    with pytest.raises(TrayAgentError, match="nothing was learned"):
        run_chain(CHAIN, tmp_path, tmp_path / "r", quiet, fresh=False)
    assert [path.name for path in (tmp_path / CHAIN.key).iterdir()] == ["00.learned.json"]


def test_chain_survives_its_way_to_the_process() -> None:
    """As JSON; another order is another chain."""
    assert Chain.from_json(json.loads(json.dumps(CHAIN.to_json()))) == CHAIN
    assert Chain(CHAIN.cells[::-1]).key != CHAIN.key


def test_summary_tells_gain_and_forgetting() -> None:
    """Normalised: 0 is the held key, 1 the player. The last game's own bundle is the model after all games."""
    kept = {
        cell.key: Kept(cell, result, "", "", "")
        for cell, result in [
            (references("a", 1, faults=False), REFS), (references("b", 1, faults=False), REFS),
            (Cell("a", OURS), {"scores": [8.5], "learned": {"updates": 20}}),
        ]
    }  # fmt: skip
    result = chain_summary(CHAIN, STEPS, kept)
    a, b = result["games"]["a"], result["games"]["b"]
    assert (a["alone"], a["shared"], a["after_all"]) == (0.75, 0.5, 0.25)
    assert (b["alone"], b["shared"], b["after_all"]) == (None, 1.0, 1.0)
    assert (result["mean_alone"], result["mean_shared"], result["mean_after_all"]) == (None, 0.75, 0.625)
    assert (result["order"], result["checkpoint_mb"], b["others"]) == (["a", "b"], 5.0, ["a"])


def test_learned_vectors_without_a_shared_model_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """They would change nothing: that is said before hours of work, with the remedy."""
    assert main(["evaluate", "pong", "--vectors", "learned"]) == ExitCode.USAGE
    assert "add --shared" in capsys.readouterr().err


def test_policy_of_a_chain_says_whether_vectors_are_learned(tmp_path: Path) -> None:
    """The trainer is asked for what the cell's name promises."""
    profile = load_settings().game("pong")
    for policy, vectors in ((SHARED, "given"), (LEARNED_VECTORS, "learned")):
        cell = Cell("pong", policy)
        asked = TimedLearning(cell, profile, profile.spec(), tmp_path, tmp_path, shared=True)
        assert asked._job.vectors == vectors

"""`tray-agent models ...`: what it prints, stores, and returns."""

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from session_play import record
from shared_bundle import GAME, SPEC, zipped
from tiny_policy import graph, store

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.main import main
from tray_agent.policy.bundle import MANIFEST_NAME, ONNX_NAME, current_folder

HELD_OUT = {"ticks": 9.0, "loss": 0.1, "baseline_loss": 0.6, "blind_loss": 0.5, "balanced_accuracy": 0.9, "skill": 0.8}
READY = {"state": "ready", "why": "it knows 80% of it"}


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the game `toy` and two bundles of it; the second, in use, always presses right."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "300")
    config = tmp_path / "home" / "config"
    config.mkdir(parents=True)
    (config / "games.yaml").write_text(yaml.safe_dump({"games": {"toy": GAME}}))
    models = tmp_path / "home" / "data" / "models"
    store(models, "20260101T1-u20", SPEC, data={"updates": 20.0, "seconds": 60.0})
    store(models, "20260102T1-u60", SPEC, graph(SPEC, held=[-9, 9]), data={"updates": 60.0, "seconds": 90.0},
          held_out=HELD_OUT, readiness=READY, policy="[red]net[/red]")  # fmt: skip
    return models


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What `models WORDS --json` printed."""
    assert main(["models", *words, "--json"]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def test_list(capsys: pytest.CaptureFixture[str], models: Path) -> None:
    """Every bundle with what it learned from; damaged ones are said to be."""
    (models / "toy" / "20260101T1-u20" / ONNX_NAME).write_bytes(b"cut")
    rows = told(capsys, "list", "toy")["bundles"]
    assert [(row["run"], row["current"], bool(row["problem"])) for row in rows] == [
        ("20260101T1-u20", False, True), ("20260102T1-u60", True, False),
    ]  # fmt: skip
    assert rows[1]["minutes"] == 1.5
    assert main(["models", "list"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "damaged" in out
    assert "1.5 min" in out
    assert told(capsys, "list", "nothing")["bundles"] == []
    assert main(["models", "list", "nothing"]) == ExitCode.OK
    assert "No bundle yet" in capsys.readouterr().out


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    """Controls, rate, measures beside what doing nothing gets, and the sentence on readiness; no markup is obeyed."""
    assert told(capsys, "show", "toy")["held_out"] == HELD_OUT
    assert main(["models", "show", "toy/20260102"]) == ExitCode.OK
    out = capsys.readouterr().out
    for words in ("ArrowLeft, ArrowRight", "24x16", "20 times a second", "ready: it knows 80% of it", "[red]net[/red]"):
        assert words in out
    rows = [line.split("│")[1:-1] for line in out.splitlines() if "│" in line]
    assert [cell.strip() for cell in rows[0]] == ["loss", "0.1", "0.6"]
    assert main(["models", "show", "20269"]) == ExitCode.REFUSED
    assert "there is no bundle '20269'" in capsys.readouterr().err


def test_compare(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """On the newest session of the game, or on those named."""
    assert main(["models", "compare", "toy/20260101", "toy"]) == ExitCode.FAILURE
    assert "there is no recorded session of toy" in capsys.readouterr().err
    session = record(tmp_path / "home" / "data" / "sessions", SPEC, [[0, 1]] * 30)
    found = told(capsys, "compare", "toy/20260101", "toy")
    assert found["sessions"] == [str(session)]
    assert (found["ticks"], found["held_out"], found["b"]["accuracy"]) == (30, False, 1.0)
    assert main(["models", "compare", "toy/20260101", "toy", "--session", str(session)]) == ExitCode.OK
    assert "balanced accuracy" in capsys.readouterr().out


def test_rollback(capsys: pytest.CaptureFixture[str], models: Path) -> None:
    """Says what was and what is; refuses where there is nothing earlier."""
    assert told(capsys, "rollback", "toy") == {"game": "toy", "was": "20260102T1-u60", "is": "20260101T1-u20"}
    assert main(["models", "rollback", "toy"]) == ExitCode.REFUSED
    assert "no bundle from before" in capsys.readouterr().err
    assert main(["models", "rollback", "toy", "20260102"]) == ExitCode.OK
    assert "was 20260101T1-u20, is 20260102T1-u60" in capsys.readouterr().out
    assert current_folder(models, "toy") == models / "toy" / "20260102T1-u60"


def test_share_and_import(capsys: pytest.CaptureFixture[str], models: Path, tmp_path: Path) -> None:
    """Out with preview and score, in again beside the others; in use only with --use."""
    record(tmp_path / "home" / "data" / "sessions", SPEC, [[0, 1]] * 30)
    cell = tmp_path / "cell.json"
    cell.write_text(json.dumps({"cell": {"game": "toy"}, "result": {"scores": [1, 2]}}))
    out = tmp_path / "toy.zip"
    shared = told(capsys, "share", "toy", "--out", str(out), "--preview", "--score", str(cell))
    assert set(shared["bytes"]) == {MANIFEST_NAME, ONNX_NAME, "preview.mp4"}
    before = current_folder(models, "toy")
    taken = told(capsys, "import", str(out), "--yes")
    assert taken["signature"] == "none"
    assert current_folder(models, "toy") == before
    assert told(capsys, "show", taken["folder"])["score"] == {"score": 1.5, "episodes": 2.0}
    assert main(["models", "import", str(out), "--yes", "--use"]) == ExitCode.OK
    said = capsys.readouterr()
    assert "ArrowLeft, ArrowRight" in said.err
    assert "not signed" in said.err
    assert "It is in use now" in said.out
    current = current_folder(models, "toy")
    assert current is not None
    assert current.name.endswith("-imported")


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stdin", "words"), [(io.StringIO("y\n"), "nobody is at a terminal"), (Terminal("\n"), "did not agree")]
)
def test_nothing_is_stored_unasked(
    stdin: io.StringIO, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, models: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Without --yes a person at a terminal must say yes."""
    out = tmp_path / "toy.zip"
    assert main(["models", "share", "toy", "--out", str(out)]) == ExitCode.OK
    assert "not signed" in capsys.readouterr().out
    before = set(models.rglob("*"))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["models", "import", str(out)]) == ExitCode.REFUSED
    assert words in capsys.readouterr().err
    assert set(models.rglob("*")) == before
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    assert main(["models", "import", str(out)]) == ExitCode.OK
    assert "models rollback toy 2" in capsys.readouterr().out


def test_hostile_zip_is_one_message(capsys: pytest.CaptureFixture[str], models: Path, tmp_path: Path) -> None:
    """Refused on stderr, with the exit code for it, and nothing is stored."""
    path = tmp_path / "x.zip"
    path.write_bytes(zipped({"../evil": b""}))
    before = set(models.rglob("*"))
    assert main(["models", "import", str(path), "--yes"]) == ExitCode.REFUSED
    assert capsys.readouterr().err == (
        f"tray-agent models: {path} was refused: the name '../evil' leads out of the zip. Nothing was stored\n"
    )
    assert set(models.rglob("*")) == before


def test_score_must_be_of_the_game(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Another game's cell, or any other file, is refused; what `evaluate --json` printed is taken."""
    out, score = tmp_path / "toy.zip", tmp_path / "score.json"
    table = {"games": {"toy": {"policies": {"ours": {"score": 3.0, "normalised": [0.5, 0.4, 0.6]}}}}}
    for text in ("{}", "[]", "no", json.dumps({"cell": {"game": "pong"}, "result": {"scores": [1]}})):
        score.write_text(text)
        assert main(["models", "share", "toy", "--out", str(out), "--score", str(score)]) == ExitCode.REFUSED
        assert "holds no score of toy" in capsys.readouterr().err
    assert not out.exists()
    score.write_text(json.dumps(table))
    told(capsys, "share", "toy", "--out", str(out), "--score", str(score))
    taken = told(capsys, "import", str(out), "--yes")
    assert told(capsys, "show", taken["folder"])["score"] == {"score": 3.0, "normalised": 0.5}


def test_export(capsys: pytest.CaptureFixture[str], models: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Graph and manifest in a folder, which must not be there; without its converter TFLite is one message."""
    out = tmp_path / "out"
    made = told(capsys, "export", "toy", "--out", str(out))
    assert made["bytes"] == {name: (out / name).stat().st_size for name in (ONNX_NAME, MANIFEST_NAME)}
    manifest = json.loads((out / MANIFEST_NAME).read_text())
    assert manifest["onnx_sha256"] == hashlib.sha256((out / ONNX_NAME).read_bytes()).hexdigest()
    before = set(tmp_path.rglob("*"))
    for kind in ("onnx", "tflite"):
        assert main(["models", "export", "toy", "--format", kind, "--out", str(out)]) == ExitCode.REFUSED
        assert "is there already" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    assert main(["models", "export", "toy", "--format", "tflite", "--out", str(tmp_path / "no")]) != ExitCode.OK
    assert "pip install --no-deps -r installer/tflite.txt" in capsys.readouterr().err
    assert main(["models", "export", "toy", "--out", str(tmp_path / "none" / "out")]) == ExitCode.REFUSED
    assert "can't be written: No such file" in capsys.readouterr().err
    assert set(tmp_path.rglob("*")) == before
    assert main(["models", "export", "toy", "--out", str(tmp_path / "said")]) == ExitCode.OK
    assert "policy.onnx" in capsys.readouterr().out

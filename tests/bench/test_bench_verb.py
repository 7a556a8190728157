"""`tray-agent bench`: options of each benchmark, its result as table or JSON, and a machine where it can't run."""

import argparse
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tray_agent.clients.cli import main
from tray_agent.clients.cli.exit_codes import ExitCode

RESULT = {"bench": "loop", "metrics": {"p99_ms_20hz": 51.25, "count_20hz": 400}}


def a_benchmark(run):
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--changes", type=int, default=1)

    return SimpleNamespace(add_arguments=add_arguments, run=run)


@pytest.mark.parametrize("name", ["capture", "loop", "kill", "watch", "learning", "sessions"])
def test_each_benchmark_explains_its_options(name: str, capsys: pytest.CaptureFixture[str]):
    """`bench NAME --help` lists the options that the benchmark itself has."""
    pytest.importorskip("Xlib", reason="python-xlib is not installed (it is on Linux only)")
    with pytest.raises(SystemExit) as end:
        main.main(["bench", name, "--help"])
    assert end.value.code == 0
    own = {
        "capture": "--frames", "loop": "--changes", "kill": "--presses", "watch": "--minutes", "learning": "--rounds",
        "sessions": "--kills",
    }  # fmt: skip
    text = capsys.readouterr().out
    assert own[name] in text
    assert "--json" in text


def test_results_are_printed_both_ways(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A table for people, one JSON object for programs; options reach the benchmark."""
    asked: list[int] = []

    def run(options: argparse.Namespace) -> dict[str, object]:
        asked.append(options.changes)
        return RESULT

    monkeypatch.setitem(sys.modules, "tray_agent.bench.loop", a_benchmark(run))
    assert main.main(["bench", "loop", "--json", "--changes", "7"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == RESULT
    assert main.main(["bench", "loop"]) == ExitCode.OK
    assert "51.25" in capsys.readouterr().out
    assert asked == [7, 1]


def test_targets_stand_beside_their_figures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Where a benchmark has targets: which are missed, and what could not be measured."""
    more = {
        "wanted": {"p99_ms_20hz": "<= 50"},
        "missed": ["p99_ms_20hz"],
        "missing": {"seek": "no cv2"},
        "notes": ["n1"],
    }
    monkeypatch.setitem(sys.modules, "tray_agent.bench.loop", a_benchmark(lambda _: RESULT | more))
    assert main.main(["bench", "loop"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert any("51.25" in line and "<= 50, missed" in line for line in lines)
    assert any("400" in line and "missed" not in line for line in lines)
    assert lines[-2:] == ["not measured: seek: no cv2", "n1"]


def test_a_machine_without_x11_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Where a benchmark's libraries are missing - at once or when it runs - there is one message and an exit code."""

    def run(_: argparse.Namespace) -> dict[str, object]:
        raise ImportError("No module named 'Xlib'")

    monkeypatch.setitem(sys.modules, "tray_agent.bench.loop", a_benchmark(run))
    assert main.main(["bench", "loop"]) == ExitCode.UNAVAILABLE
    assert "can't run here" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tray_agent.bench.loop", None)
    with pytest.raises(SystemExit) as end:
        main.main(["bench", "loop"])
    assert end.value.code == ExitCode.UNAVAILABLE
    assert "can't run here" in capsys.readouterr().err


def test_other_verbs_do_not_load_benchmarks():
    """Building the parser imports no benchmark."""
    code = (
        "import sys; from tray_agent.clients.cli.main import build_parser; build_parser();"
        "print(sorted(name for name in sys.modules if name.startswith('tray_agent.bench.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""What holds for every format: whole or not there, refusals, counts, the command line."""

import json
from dataclasses import replace

import pytest
from recorded import SPEC, record

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.main import main
from tray_agent.core.controls import Controls
from tray_agent.errors import ExportFailed, PlatformUnavailable
from tray_agent.exporting.registry import FORMATS
from tray_agent.exporting.run import ABOUT, run_export
from tray_agent.runtime.optional import needed


def quiet(episode, ticks):
    """Progress that nobody reads."""


def test_counts_and_what_was_exported(tmp_path):
    """Several sessions are several episodes; an empty one is named."""
    folders = [record(tmp_path / "s" / "g" / name, count).folder for name, count in (("a", 5), ("b", 0), ("c", 7))]
    told = []
    exported = run_export(folders, FORMATS["mp4"], tmp_path / "out", lambda *one: told.append(one))
    assert exported.episodes == (("a", 5, 0.25), ("c", 7, 0.35))
    assert exported.left_out == (("b", "it has no ticks"),)
    assert exported.ticks == 12
    assert told[-1] == (1, 7)
    about = json.loads((tmp_path / "out" / ABOUT).read_text())
    assert [(one["session"], one["ticks"]) for one in about] == [("a", 5), ("c", 7)]
    assert exported.bytes == sum(file.stat().st_size for file in (tmp_path / "out").iterdir())


def test_existing_folder_is_refused(tmp_path):
    """Nothing is written over, not even an empty folder."""
    folder = record(tmp_path / "s" / "g" / "a", 2).folder
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportFailed, match="exists"):
        run_export([folder], FORMATS["mp4"], tmp_path / "out", quiet)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_nothing_half_is_left(tmp_path, error):
    """Ctrl-C or a full disk in the middle: neither the folder nor its temporary one is there."""
    folder = record(tmp_path / "s" / "g" / "a", 9).folder

    def stop(episode, ticks):
        if ticks == 4:
            raise error

    with pytest.raises((KeyboardInterrupt, ExportFailed)):
        run_export([folder], FORMATS["mp4"], tmp_path / "out", stop)
    assert [one.name for one in tmp_path.iterdir()] == ["s"]


def test_other_controls_do_not_go_together(tmp_path):
    """One LeRobot dataset has one set of columns; MP4 takes anything."""
    other = replace(SPEC, controls=Controls(("KeyQ", "KeyE"), ("MouseY",), ("PadLY",)))
    folders = [record(tmp_path / "s" / "g" / "a", 2).folder, record(tmp_path / "s" / "g" / "b", 2, other).folder]
    with pytest.raises(ExportFailed, match="other controls"):
        run_export(folders, replace(FORMATS["mp4"], alike=True), tmp_path / "out", quiet)
    assert len(run_export(folders, FORMATS["mp4"], tmp_path / "out", quiet).episodes) == 2


def test_nothing_to_export(tmp_path):
    """A session without ticks alone is no dataset."""
    with pytest.raises(ExportFailed, match="no ticks"):
        run_export([record(tmp_path / "s" / "g" / "a", 0).folder], FORMATS["mp4"], tmp_path / "out", quiet)


def test_missing_library_says_what_to_run():
    """The message has the command."""
    with pytest.raises(PlatformUnavailable, match="pip install no_such_library_of_ours"):
        needed("no_such_library_of_ours.part", "Nothing can't be written", "export")


def test_verb(tmp_path, monkeypatch, capsys):
    """`tray-agent export latest` finds the session, tells counts and what is not in it; so does `sessions export`."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path))
    record(tmp_path / "data" / "sessions" / "g" / "20260101T000000Z-aaaaaa", 3)
    assert main(["export", "latest", "--format", "mp4", "--out", str(tmp_path / "out"), "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["ticks"], told["episodes"][0]["ticks"]) == (3, 3)
    assert told["not_in_it"]
    assert main(["export", "g/latest", "--format", "mp4", "--out", str(tmp_path / "out")]) == ExitCode.FAILURE
    assert main(["export", "none", "--format", "mp4", "--out", str(tmp_path / "b")]) == ExitCode.FAILURE
    assert "no session 'none'" in capsys.readouterr().err
    assert main(["sessions", "export", "2026", "--format", "mp4", "--out", str(tmp_path / "b")]) == ExitCode.OK
    assert "1 episodes, 3 ticks" in capsys.readouterr().out

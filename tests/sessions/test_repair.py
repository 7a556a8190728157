"""Sessions without an end get one: cut back to what is whole, told what was lost, never while they are written."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from session_data import PERIOD_NS, SILENT, SPEC, pixels, record, rewrite

from tray_agent.clients.cli.main import main
from tray_agent.core.events import InputEvent
from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.sessions import layout
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.repair import repair

_FILES = ("video.mkv", "ticks.bin", "events.jsonl", "marks.jsonl", "sound.mkv")
_REPAIRER = """
import os, signal, sys
from pathlib import Path
from tray_agent.sessions import repair
steps = 0
def dies(function):
    def run(*arguments):
        global steps
        if steps == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1
        return function(*arguments)
    return run
repair.shorten, repair.save_info = dies(repair.shorten), dies(repair.save_info)
repair.repair(Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of 30 ticks with all files, as a crash after its last tick would leave it."""
    folder = tmp_path_factory.mktemp("whole") / "game" / "20260101T000000Z-aaaaaa"
    record(folder, range(30), SPEC, marks=[(0, 3, TickFlag.STRAYED)])
    rewrite(folder, closed=None)
    return folder


@pytest.fixture
def crashed(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    folder = tmp_path / "game" / whole.name
    shutil.copytree(whole, folder)
    return folder


def _assert_exact(session: SessionReader) -> None:
    for got in session.samples():
        assert np.array_equal(got.pixels, pixels(got.tick))


def test_nothing_lost(crashed: Path) -> None:
    """With all files whole the end is noted and nothing is cut; a second time there is nothing to do."""
    sizes = {name: (crashed / name).stat().st_size for name in _FILES}
    told = repair(crashed)
    assert (told.done, told.ticks, told.lost_ticks, told.cut) == (True, 30, 0, {})
    assert told.lost_s == 0.03  # the sound goes on to the end of its last tick, which at 20 Hz is longer than at 50
    closed = SessionReader(crashed).info.closed
    assert (closed["ticks"], closed["repaired"], closed["last_ns"]) == (30, True, 29 * PERIOD_NS)
    assert closed["bytes"] == sum(sizes.values())
    before = {f: f.read_bytes() for f in crashed.iterdir()}
    assert repair(crashed) == type(told)(crashed, done=False, ticks=30)
    assert {f: f.read_bytes() for f in crashed.iterdir()} == before


@pytest.mark.parametrize("name", _FILES)
def test_cut_anywhere(crashed: Path, name: str, whole: Path) -> None:
    """Wherever a file ends, repair leaves what was readable before, exactly, with as many frames as records."""
    size = (whole / name).stat().st_size
    for length in sorted({0, 1, size - 1, *random.Random(name).sample(range(size), 6)}):
        shutil.rmtree(crashed)
        shutil.copytree(whole, crashed)
        os.truncate(crashed / name, length)
        before = SessionReader(crashed)
        told = repair(crashed)
        after = SessionReader(crashed)
        assert told.ticks == len(after) == len(before) == after.info.closed["ticks"]
        assert after.ticks.flags.tolist() == before.ticks.flags.tolist()
        assert after.events == before.events
        assert np.array_equal(after.sound(), before.sound())
        _assert_exact(after)
        lost = 30 - len(after)
        assert told.lost_s >= lost / 50 - 0.01
        assert not any(file.name.endswith(".tmp") for file in crashed.iterdir())
        if name == "ticks.bin" and lost:
            assert "video.mkv" in told.cut
        assert not repair(crashed).done


def test_zeros_at_the_end(crashed: Path) -> None:
    """Zeros where the disk had not yet got the data cost the frames they stand in for, and no others."""
    video = crashed / "video.mkv"
    size = video.stat().st_size
    with video.open("r+b") as file:
        file.seek(size - size // 5)
        file.write(bytes(size // 5))
    told = repair(crashed)
    assert 20 <= told.ticks < 25
    assert told.lost_ticks == 30 - told.ticks
    session = SessionReader(crashed)
    assert len(session) == told.ticks
    _assert_exact(session)


def test_being_written(tmp_path: Path) -> None:
    """A session that is being written is not touched."""
    writer = record(tmp_path / "game" / "a", range(10), close=False)
    with pytest.raises(SessionError, match="being written"):
        repair(writer.folder)
    writer.add_events([InputEvent(1, "button", "KeyW", 1.0)])
    assert writer.close()
    assert not repair(writer.folder).done


@pytest.mark.parametrize("step", range(6))
def test_killed_while_repairing(crashed: Path, step: int) -> None:
    """Killed before any of its steps, a second repair ends it with the same result."""
    os.truncate(crashed / "ticks.bin", (crashed / "ticks.bin").stat().st_size - 100)
    expected = len(SessionReader(crashed))
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", _REPAIRER, str(crashed), str(step)], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert SessionReader(crashed).info.closed is None
    assert repair(crashed).ticks == len(SessionReader(crashed)) == expected
    _assert_exact(SessionReader(crashed))


# -- metadata ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["", "{", "[]", "missing"])
def test_metadata_rebuilt(crashed: Path, damage: str) -> None:
    """From another session of the game with the same sizes; the start comes from name and first tick."""
    record(crashed.parent / "20260102T000000Z-bbbbbb", range(3), SPEC, extra={"recorder": "watch"})
    record(crashed.parent / "20251231T000000Z-cccccc", range(3), SILENT)
    meta = crashed / "session.json"
    if damage == "missing":
        meta.unlink()
    else:
        meta.write_text(damage)
    told = repair(crashed)
    assert (told.done, told.ticks, told.rebuilt_from) == (True, 30, "20260102T000000Z-bbbbbb")
    session = SessionReader(crashed)
    assert (session.spec, session.info.game, session.info.start_ns) == (SPEC, "game", 0)
    assert session.info.started_utc == "2026-01-01T00:00:00+00:00"
    assert "recorder" not in session.info.extra
    _assert_exact(session)
    assert (crashed / "session.json.damaged").exists() == (damage != "missing")
    assert not repair(crashed).done


def test_metadata_that_can_not_be_rebuilt(crashed: Path) -> None:
    """Without a like session, ticks or video the error says what is missing, and nothing is changed."""
    meta = crashed / "session.json"
    kept = meta.read_bytes()
    meta.write_text("{")
    with pytest.raises(SessionError, match="controls are known from nowhere"):
        repair(crashed)
    os.truncate(crashed / "ticks.bin", 5)
    with pytest.raises(SessionError, match=r"ticks\.bin has no header"):
        repair(crashed)
    (crashed / "video.mkv").write_bytes(b"no video")
    with pytest.raises(SessionError, match="no picture left"):
        repair(crashed)
    assert meta.read_text() == "{"
    meta.write_bytes(kept.replace(b'"schema": 2', b'"schema": 99'))
    with pytest.raises(SessionError, match="update tray-agent"):
        repair(crashed)


def test_older_schema_is_migrated(crashed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata of older schemas are brought up to date step by step while reading; the file is not rewritten."""
    steps = {-1: lambda d: d | {"game": d["title"]}, 0: lambda d: d | {"vector": [*d["vector"], 1.5]}}
    for schema, step in steps.items():
        monkeypatch.setitem(layout.MIGRATIONS, schema, step)
    data = json.loads((crashed / "session.json").read_text())
    del data["game"]
    old = json.dumps(data | {"schema": -1, "title": "game", "vector": [0.0] * 7})
    (crashed / "session.json").write_text(old)
    info = SessionReader(crashed).info
    assert (info.game, info.vector) == ("game", (0.0,) * 7 + (1.5,))
    assert (crashed / "session.json").read_text() == old
    rewrite(crashed, schema=-2)
    with pytest.raises(SessionError, match="schema -2"):
        SessionReader(crashed)


def test_repair_verb(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without names every session that needs it is repaired; what can't be is told, with exit code 1."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path))
    root = tmp_path / "data" / "sessions"
    shutil.copytree(whole, root / "game" / whole.name)
    writer = record(root / "game" / "20260105T000000Z-dddddd", range(4), close=False)
    assert main(["sessions", "repair", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["repaired"], row["ticks"]) for row in told["sessions"]] == [(whole.name, True, 30)]
    writer.close()
    assert main(["sessions", "repair", "--all"]) == 0
    assert "orderly end" in capsys.readouterr().out
    (root / "game" / "broken").mkdir()
    assert main(["sessions", "repair"]) == 1
    assert "no picture left" in capsys.readouterr().out
    assert main(["sessions", "show", whole.name]) == 0
    assert "repaired" in capsys.readouterr().out

"""Cutting sessions: what is left is exact, what is gone is gone, and a kill leaves one or the other."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from session_data import PERIOD_NS, SILENT, SPEC, VECTOR, pixels, record, rewrite

from tray_agent.clients.cli.main import main
from tray_agent.core.controls import Controls
from tray_agent.core.events import InputEvent
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.policy.bundle import Manifest, write_bundle
from tray_agent.sessions.append_file import read_lines
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.forget import forget, plan_forgetting
from tray_agent.sessions.keep import is_kept, keep, kept_note
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.removal import sweep
from tray_agent.sessions.trim import trim

_CUTTER = """
import sys
from pathlib import Path
from tray_agent.sessions.trim import trim
print("begins", flush=True)
trim(Path(sys.argv[1]), 1.0, 60.0)
"""


def _only(root: Path) -> Path:
    listing = list_sessions(root)
    assert not listing.damaged
    assert len(listing.sessions) == 1
    return listing.sessions[0].folder


def test_what_is_left_is_exact(tmp_path: Path) -> None:
    """Ticks, pixels, actions, events, sound and marks of the stretch are bit for bit those of the old session."""
    marks = [(2, 9, TickFlag.STRAYED), (15, 18, TickFlag.STRAYED), (38, 39, TickFlag.AGENT)]
    record(tmp_path / "game" / "old", spec=SPEC, marks=marks, extra={"recorder": "watch"})
    rewrite(tmp_path / "game" / "old", wall_ns=1_700_000_000 * 10**9, started_utc="2023-11-14T22:13:20+00:00")
    old = SessionReader(tmp_path / "game" / "old")
    ticks, sound = old.ticks, old.sound()
    new = trim(old.folder, 0.4, 1.5)  # ticks 8..29
    assert _only(tmp_path) == new
    assert new.name.startswith("20231114T221320Z-")
    session = SessionReader(new)
    assert session.ticks.tick.tolist() == list(range(8, 30))
    for got in session.samples():
        assert np.array_equal(got.pixels, pixels(got.tick))
    for name in ("t_ns", "actions", "audio"):
        assert np.array_equal(getattr(session.ticks, name), getattr(ticks, name)[8:30])
    assert session.ticks.flags[1:].tolist() == ticks.flags[9:30].tolist()
    assert session.ticks.flags[0] == ticks.flags[8] | TickFlag.GAP
    assert read_lines(new / "marks.jsonl") == [[8, 9, 8], [15, 18, 8]]
    assert [e.t_ns for e in session.events] == [t * PERIOD_NS for t in range(8, 30)]
    assert np.array_equal(session.sound(), sound[6400:24000])
    info = session.info
    assert (info.start_ns, info.wall_ns) == (8 * PERIOD_NS, 1_700_000_000 * 10**9 + 400_000_000)
    assert info.started_utc == "2023-11-14T22:13:20.400000+00:00"
    assert (info.closed["ticks"], info.extra["recorder"], info.extra["replaces"]) == (22, "watch", "old")


def test_keep_and_holes_survive(tmp_path: Path) -> None:
    """A kept session stays kept with its note; ticks keep their numbers, holes as well; an open end cuts nothing."""
    record(tmp_path / "game" / "old", [0, 1, 2, 7, 8, 9])
    keep(tmp_path / "game" / "old", "best run")
    new = trim(tmp_path / "game" / "old", from_s=0.1)
    assert SessionReader(new).ticks.tick.tolist() == [2, 7, 8, 9]
    assert is_kept(new)
    assert kept_note(new) == "best run"
    assert SessionReader(trim(new, to_s=0.3)).ticks.tick.tolist() == [2, 7]  # counted from the new beginning


def test_a_session_cut_off_by_a_crash(tmp_path: Path) -> None:
    """Without an orderly end a session can be cut all the same, and then has one."""
    writer = record(tmp_path / "game" / "old", range(30), close=False)
    writer._fail(OSError(28, "No space left on device"))
    new = SessionReader(trim(writer.folder, to_s=1.0))
    assert new.ticks.tick.tolist() == list(range(20))
    assert new.info.closed["ticks"] == 20


def test_nothing_left_or_written(tmp_path: Path) -> None:
    """No tick in the stretch, or a session being written, is refused and changes nothing."""
    record(tmp_path / "game" / "old", range(10))
    with pytest.raises(SessionError, match="no tick left"):
        trim(tmp_path / "game" / "old", 100.0)
    writer = record(tmp_path / "game" / "new", range(10), close=False)
    with pytest.raises(SessionError, match="being written"):
        trim(writer.folder, 0.1)
    writer.close()
    assert sorted(f.name for f in (tmp_path / "game").iterdir()) == ["new", "old"]
    assert len(SessionReader(tmp_path / "game" / "old")) == 10


def test_disk_full(small_disk: Path) -> None:
    """When the disk does not take the new session, the old one is as it was and nothing is left of the other."""
    record(small_disk / "game" / "old", range(180), SPEC)
    (small_disk / "filler").write_bytes(bytes(100_000))
    with pytest.raises(SessionError, match="No space left"):
        trim(small_disk / "game" / "old", 0.1)
    assert [f.name for f in (small_disk / "game").iterdir()] == ["old"]
    assert len(SessionReader(small_disk / "game" / "old")) == 180


@pytest.mark.parametrize("part", [0.0, 0.15, 0.3, 0.5, 0.8])
def test_killed_while_cutting(tmp_path: Path, part: float) -> None:
    """Killed at any moment, what the next sweep leaves is the old session or the new one, whole."""
    old = tmp_path / "game" / "old"
    record(old, range(600), SPEC)
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""}
    with subprocess.Popen([sys.executable, "-c", _CUTTER, str(old)], stdout=subprocess.PIPE, env=environment) as child:
        child.stdout.readline()
        time.sleep(part)  # the moment of the kill is the experiment
        child.send_signal(signal.SIGKILL)
    sweep(tmp_path)
    left = _only(tmp_path)
    assert list((tmp_path / "game").iterdir()) == [left]
    session = SessionReader(left)
    assert session.ticks.tick.tolist() == list(range(0 if left == old else 20, 600))
    assert np.array_equal(session.frames(len(session) - 1, len(session))[0], pixels(599))


# -- forget ------------------------------------------------------------------------------------------------------------

NOW = 1_700_000_000 * 10**9


def _at(folder: Path, begin_s: float, ticks: int, slept_s: float = 0.0, game: str = "game") -> Path:
    """A session that began so many seconds before NOW; the machine slept in it."""
    record(folder, range(ticks), game=game)
    wall_ns = NOW - int(begin_s * 1e9)
    closed = json.loads((folder / "session.json").read_text())["closed"]
    last_wall_ns = wall_ns + (ticks - 1) * PERIOD_NS + int(slept_s * 1e9)
    rewrite(folder, wall_ns=wall_ns, closed=closed | {"last_wall_ns": last_wall_ns})
    for file in folder.iterdir():
        os.utime(file, ns=(last_wall_ns, last_wall_ns))
    return folder


def test_forget(tmp_path: Path) -> None:
    """Of the last two seconds nothing is left, of what came before everything; sleeping machines are reckoned with."""
    before = _at(tmp_path / "game" / "20260101T000000Z-before", 30.0, 40)
    reaching = _at(tmp_path / "game" / "20260102T000000Z-reaching", 3.0, 50)  # to half a second before NOW
    slept = _at(tmp_path / "game" / "20260103T000000Z-slept", 100.0, 40, slept_s=97.0)  # ended a second before NOW
    inside = _at(tmp_path / "other" / "20260104T000000Z-inside", 1.5, 20, game="other")
    keep(inside)
    (tmp_path / "game" / "damaged").mkdir()
    (tmp_path / "game" / "damaged" / "video.mkv").write_bytes(b"x")
    plan = plan_forgetting(tmp_path, NOW - 2 * 10**9)
    assert plan.delete == (inside, tmp_path / "game" / "damaged")
    assert [folder for folder, _ in plan.cut] == [reaching, slept]
    assert plan.games == ("game", "other")
    new = forget(tmp_path, plan)
    assert set(tmp_path.glob("*/*")) == {before, *new}
    assert SessionReader(new[0]).ticks.tick.tolist() == list(range(20))
    assert SessionReader(new[1]).ticks.tick.tolist() == list(range(20))
    assert len(SessionReader(before)) == 40
    again = plan_forgetting(tmp_path, NOW - 2 * 10**9)
    assert (again.delete, again.cut) == ((), ())


def test_forget_one_game_only(tmp_path: Path) -> None:
    """Other games are left alone."""
    _at(tmp_path / "game" / "a", 1.5, 20)
    _at(tmp_path / "other" / "b", 1.5, 20, game="other")
    plan = plan_forgetting(tmp_path, NOW - 2 * 10**9, "other")
    assert plan.delete == (tmp_path / "other" / "b",)


def test_forget_events_and_sound_after_the_last_tick(tmp_path: Path) -> None:
    """A key pressed in that time goes, even where no tick is as young."""
    folder = tmp_path / "game" / "a"
    writer = record(folder, range(20), SILENT, close=False)
    writer.add_events([InputEvent(5 * 10**9, "button", "KeyW", 1.0)])
    writer.close()
    rewrite(folder, wall_ns=NOW, closed={"ticks": 20})
    new = forget(tmp_path, plan_forgetting(tmp_path, NOW + 4 * 10**9))
    assert [e.t_ns for e in SessionReader(new[0]).events][-1] == 19 * PERIOD_NS
    assert len(SessionReader(new[0])) == 20


def test_forget_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Asks, refuses while something is written, and tells which bundles were made since; then there is nothing left."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path))
    root = tmp_path / "data" / "sessions"
    writer = record(root / "game" / "20260101T000000Z-aaaaaa", range(10), close=False)
    words = ["sessions", "forget", "--last", "10m", "--json"]
    assert main([*words, "--yes"]) == 5
    assert "tray-agent stop" in json.loads(capsys.readouterr().out)["error"]
    writer.close()
    assert main(words) == 5
    assert "--yes" in json.loads(capsys.readouterr().out)["error"]
    spec = PolicySpec(Controls(("KeyW",)), 20, 16, 12)
    for run, created in (("a", "2020-01-01T00:00:00+00:00"), ("b", "2999-01-01T00:00:00+00:00")):
        write_bundle(tmp_path / "data" / "models", Manifest("game", spec, tuple(VECTOR), created=created), b"x", run)
    checkpoint = tmp_path / "state" / "checkpoints" / "game" / "trainer.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"x")
    assert main([*words, "--yes"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["deleted"] == [str(writer.folder)]
    assert told["overwritten"] is False
    assert told["still_known_to"] == {
        "bundles": [str(tmp_path / "data" / "models" / "game" / "b")],
        "checkpoints": [str(checkpoint)],
        "daemon": False,
    }
    assert not writer.folder.exists()
    assert main(["sessions", "forget", "--last", "10m"]) == 0
    assert "Nothing was recorded in the last 10:00" in capsys.readouterr().out


def test_trim_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Times are counted since the start; what makes no sense is refused."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path))
    record(tmp_path / "data" / "sessions" / "game" / "20260101T000000Z-aaaaaa", range(60))
    for words in ([], ["--from", "2", "--to", "0:01"], ["--from", "0:50"]):
        assert main(["sessions", "trim", "latest", *words]) == 1
    capsys.readouterr()
    assert main(["sessions", "trim", "latest", "--from", "0:01", "--to", "0:00:02", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["session"]["ticks"], told["replaces"]) == (20, "20260101T000000Z-aaaaaa")

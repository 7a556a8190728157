"""Who writes a session, and taking sessions away: whole or gone, whenever the process dies."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from session_data import record, rewrite

from tray_agent.errors import SessionError
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.lock import held, is_written
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.removal import REPLACES, remove, replace_session, sweep, waiting_folder

_WRITER = """
import sys, time
from pathlib import Path
from session_data import record
writer = record(Path(sys.argv[1]), range(5), close=False)
print("writing", flush=True)
time.sleep(60)
"""


def _names(root: Path) -> list[str]:
    return [listed.folder.name for listed in list_sessions(root).sessions]


def test_written_until_closed_or_killed(tmp_path: Path) -> None:
    """A session counts as being written until it is closed, or until its writer is killed; then it can be deleted."""
    writer = record(tmp_path / "game" / "a", range(3), close=False)
    assert is_written(writer.folder)
    with pytest.raises(SessionError, match="being written"):
        remove(writer.folder)
    writer.close()
    assert not is_written(writer.folder)

    folder = tmp_path / "game" / "b"
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": ""}
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder)], stdout=subprocess.PIPE, env=environment
    ) as child:
        child.stdout.readline()
        assert is_written(folder)
        child.send_signal(signal.SIGKILL)
    assert not is_written(folder)
    assert len(SessionReader(folder)) >= 4
    remove(folder)
    assert _names(tmp_path) == ["a"]


def test_failed_writer_lets_go(tmp_path: Path) -> None:
    """A writer that had to end by an error holds its session no longer."""
    writer = record(tmp_path / "game" / "a", range(3), close=False)
    writer._fail(OSError(28, "No space left on device"))
    assert not is_written(writer.folder)


def test_removed_is_gone_and_others_are_not(tmp_path: Path) -> None:
    """Deleting takes one folder and no more; what is not there, or is a link, is a clear error."""
    for name in ("a", "b"):
        record(tmp_path / "game" / name, range(3))
    remove(tmp_path / "game" / "a")
    assert [p.name for p in (tmp_path / "game").iterdir()] == ["b"]
    with pytest.raises(SessionError, match="no session"):
        remove(tmp_path / "game" / "a")
    (tmp_path / "game" / "link").symlink_to(tmp_path / "game" / "b")
    with pytest.raises(SessionError, match="link"):
        remove(tmp_path / "game" / "link")
    assert len(SessionReader(tmp_path / "game" / "b")) == 3


def test_reader_of_a_deleted_session(tmp_path: Path) -> None:
    """Who reads a session while it is deleted gets one SessionError, and keeps what was read."""
    record(tmp_path / "game" / "a", range(30))
    session = SessionReader(tmp_path / "game" / "a")
    frames = session.frames(0, 5)
    remove(session.folder)
    with pytest.raises(SessionError):
        session.frames(5, 10)
    assert frames.shape[0] == 5
    assert len(session.ticks) == 30


def test_deletion_that_was_killed_is_ended(tmp_path: Path) -> None:
    """What a kill left of a deletion is no session any more, and the next sweep takes it."""
    record(tmp_path / "game" / "a", range(3))
    (tmp_path / "game" / "a").rename(tmp_path / "game" / ".a.deleted")
    assert _names(tmp_path) == []
    sweep(tmp_path)
    assert list((tmp_path / "game").iterdir()) == []
    sweep(tmp_path / "nowhere")


def _waiting(tmp_path: Path, close: bool = True) -> tuple[Path, Path]:
    old, new = tmp_path / "game" / "old", tmp_path / "game" / "new"
    record(old, range(20))
    record(waiting_folder(new), range(5, 10), extra={REPLACES: "old"}, close=close)
    return old, new


def test_replacing(tmp_path: Path) -> None:
    """Only the new session is left."""
    old, new = _waiting(tmp_path)
    assert _names(tmp_path) == ["old"]
    replace_session(old, new)
    assert [p.name for p in (tmp_path / "game").iterdir()] == ["new"]
    assert SessionReader(new).ticks.tick.tolist() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("step", ["not whole", "whole", "old hidden", "new in place"])
def test_replacing_that_was_killed(tmp_path: Path, step: str) -> None:
    """Killed at any step, a sweep leaves exactly one of the two, whole."""
    old, new = _waiting(tmp_path)
    if step == "not whole":
        rewrite(waiting_folder(new), closed=None)
    if step in {"old hidden", "new in place"}:
        old.rename(tmp_path / "game" / ".old.deleted")
    if step == "new in place":
        waiting_folder(new).rename(new)
    sweep(tmp_path)
    wanted = "new" if step in {"old hidden", "new in place"} else "old"
    assert [p.name for p in (tmp_path / "game").iterdir()] == [wanted]
    assert len(SessionReader(tmp_path / "game" / wanted)) == {"old": 20, "new": 5}[wanted]


def test_sweep_leaves_alone_what_is_at_work(tmp_path: Path) -> None:
    """A session that is being made to replace another is not swept, nor while the old one is held."""
    old, new = tmp_path / "game" / "old", tmp_path / "game" / "new"
    record(old, range(20))
    writer = record(waiting_folder(new), range(5), extra={REPLACES: "old"}, close=False)
    sweep(tmp_path)
    writer.close()
    with held(old):
        sweep(tmp_path)
    replace_session(old, new)
    assert _names(tmp_path) == ["new"]


def test_replacement_that_vanished(tmp_path: Path) -> None:
    """Without the new session the old one stays."""
    old, new = _waiting(tmp_path)
    shutil.rmtree(waiting_folder(new))
    with pytest.raises(SessionError, match="can't take the place"):
        replace_session(old, new)
    assert len(SessionReader(old)) == 20
    assert json.loads((old / "session.json").read_text())["game"] == "game"

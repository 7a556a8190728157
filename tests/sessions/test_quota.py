"""Room for sessions: the oldest go first, but never kept ones, written ones, or the newest of a game."""

import shutil
from pathlib import Path

import pytest
from session_data import SILENT, VECTOR, record, rewrite, sample

from tray_agent.core.clock import ManualClock
from tray_agent.sessions.catalogue import disk_bytes
from tray_agent.sessions.keep import keep
from tray_agent.sessions.quota import Quota
from tray_agent.sessions.writer import SessionWriter


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Sessions a1 (oldest) to a4 of one game and b1 of another, which is the oldest of all, of about equal size."""
    for i, (game, name) in enumerate([("b", "b1"), ("a", "a1"), ("a", "a2"), ("a", "a3"), ("a", "a4")]):
        record(tmp_path / game / name, range(40), game=game)
        rewrite(tmp_path / game / name, wall_ns=i * 10**9)
    return tmp_path


def _left(root: Path) -> list[str]:
    return sorted(f.name for f in root.glob("*/*"))


def _size(root: Path) -> float:
    return disk_bytes(root / "a" / "a1") / 1e9


def test_below_the_limit_nothing_happens(made: Path) -> None:
    """With room left nothing is deleted, and the status tells what is used."""
    quota = Quota(made)
    assert quota.make_room(1.0, deletes=True) == ""
    assert _left(made) == ["a1", "a2", "a3", "a4", "b1"]
    assert (quota.status.deleted, quota.status.limit_gb) == ((), 1.0)


def test_oldest_go_first(made: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As many as needed go, oldest first, each one logged and told; the newest of each game stays."""
    quota = Quota(made)
    assert quota.make_room(3.5 * _size(made), deletes=True) == ""
    assert _left(made) == ["a3", "a4", "b1"]
    assert quota.status.deleted == ("a1", "a2")
    assert [r.message.split(" (")[0] for r in caplog.records] == [f"deleted session {made}/a/{n}" for n in ("a1", "a2")]


def test_kept_ones_stay(made: Path) -> None:
    """Kept sessions are passed over; when what is left may not be deleted, watching is refused with the reason."""
    keep(made / "a" / "a1")
    limit = 2.5 * _size(made)
    quota = Quota(made)
    why = quota.make_room(limit, deletes=True)
    assert _left(made) == ["a1", "a4", "b1"]
    assert f"limits.disk_gb is {limit:g}" in why
    assert str(made) in why


def test_refusing_deletes_nothing(made: Path) -> None:
    """Where the settings say so, a full disk is refused and nothing is touched."""
    quota = Quota(made)
    assert "limits.disk_gb" in quota.make_room(_size(made), deletes=False)
    quota.grown(10**9)
    assert len(_left(made)) == 5


def test_damaged_and_written_ones_stay(made: Path) -> None:
    """A folder that is no session, and one that is being written, are never deleted."""
    (made / "a" / "a1" / "session.json").unlink()
    shutil.rmtree(made / "a" / "a2")
    writer = record(made / "a" / "a2", range(40), game="a", close=False)
    rewrite(writer.folder, wall_ns=0)
    assert Quota(made).make_room(1e-9, deletes=True)
    assert _left(made) == ["a1", "a2", "a4", "b1"]
    assert writer.close()


def test_growing_session_makes_its_own_room(made: Path) -> None:
    """While a session grows, older ones go, one by one, so that the limit holds at every tick; itself is whole."""
    limit = disk_bytes(made) + 20_000
    quota = Quota(made)
    assert quota.make_room(limit / 1e9, deletes=True) == ""
    folder = made / "a" / "a9"
    writer = SessionWriter(
        folder, SILENT, "a", VECTOR, clock=ManualClock(), threaded=False, on_growth=quota.grown
    )  # fmt: skip
    writer.start()
    deleted = []
    for tick in range(150):
        writer.add(sample(tick, spec=SILENT))
        deleted.append(len(quota.status.deleted))
        if len(quota.status.deleted) < 3:
            assert disk_bytes(made) <= limit + 2000  # session.json itself, and the tick at hand
    assert writer.close()
    assert quota.status.deleted == ("a1", "a2", "a3")
    assert sorted(set(deleted)) == [0, 1, 2, 3]
    assert _left(made) == ["a4", "a9", "b1"]


def test_growing_on_when_nothing_may_be_deleted(made: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With nothing left to delete watching goes on and the status says so, once in the log."""
    for name in ("a1", "a2", "a3"):
        keep(made / "a" / name)
    quota = Quota(made)
    assert quota.make_room((disk_bytes(made) + 1000) / 1e9, deletes=True) == ""
    (made / "b" / "b1" / "more").write_bytes(bytes(2000))
    for size in (1000, 2000, 3000):
        quota.grown(size)
    assert "limits.disk_gb" in quota.status.problem
    assert len([r for r in caplog.records if "limits.disk_gb" in r.message]) == 1
    assert len(_left(made)) == 5

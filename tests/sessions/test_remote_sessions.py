"""Sessions at addresses: found, copied once and whole, as far as they are there; every failure is one clear error."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import fsspec
import numpy as np
import pytest
from remote_shelf import Shelf, put_up
from session_data import record

from tray_agent.errors import PlatformUnavailable, SessionError
from tray_agent.sessions import fetched as fetched_module
from tray_agent.sessions.address import RemoteFile, RemoteSession, find_remote, folder_here, is_remote
from tray_agent.sessions.fetched import FetchedSessions
from tray_agent.sessions.layout import METADATA, TICKS, VIDEO
from tray_agent.sessions.reader import SessionReader

_GB = 1e9


@pytest.fixture(autouse=True)
def _shelf() -> None:
    put_up()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two sessions of one game, one of another."""
    for name in ("game/a", "game/b", "other/c"):
        record(tmp_path / "store" / name, range(20))
    return tmp_path / "store"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Any]:
    """Makes users of one cache, as processes would be."""
    made = []

    def new(max_bytes: float = _GB, root: Path = tmp_path / "cache") -> FetchedSessions:
        made.append(FetchedSessions(root, max_bytes, lambda text: None))
        return made[-1]

    yield new
    for one in made:
        one.close()


def same(one: Path, other: Path) -> bool:
    """Whether two sessions hold the same."""
    a, b = SessionReader(one), SessionReader(other)
    pictures = np.array_equal(a.frames(0, len(a)), b.frames(0, len(b)))
    return pictures and np.array_equal(a.ticks.actions, b.ticks.actions) and a.events == b.events and a.info == b.info


def test_addresses_and_folders_are_told_apart(tmp_path: Path) -> None:
    """file:// is a folder of this machine; letters of Windows' disks are no protocols."""
    assert is_remote("s3://bucket/x")
    assert is_remote("SFTP://host/x")
    assert not any(map(is_remote, ("folder", "/folder", r"C:\folder", "C:/folder", f"file://{tmp_path}")))
    assert folder_here(f"file://{tmp_path}/with%20space") == tmp_path / "with space"
    assert folder_here("some/folder") == Path("some/folder")
    with pytest.raises(SessionError, match="three strokes"):
        folder_here("file://folder")


def test_sessions_are_found_wherever_they_may_lie(store: Path) -> None:
    """One, a folder of them, a root of games; a stroke at the end means nothing."""
    names = lambda at: [one.name for one in find_remote(f"shelf://{store}{at}", "game")]  # noqa: E731
    assert names("/game/a") == ["a"]
    assert names("") == names("/") == names("/game") == ["a", "b"]
    assert names("/other") == ["c"]
    one = find_remote(f"shelf://{store}", "game")[0]
    assert one.address == f"shelf://{store}/game/a"
    assert RemoteSession.from_json(one.to_json()) == one
    with pytest.raises(SessionError, match=r"/game/a/video\.mkv"):
        find_remote(f"shelf://{store}/game/a/video.mkv", "game")
    (store / "empty").mkdir()
    with pytest.raises(SessionError, match="no sessions in it"):
        find_remote(f"shelf://{store}/empty", "game")
    with pytest.raises(SessionError, match="there is nothing"):
        find_remote(f"shelf://{store}/nowhere", "game")


def test_memory_of_fsspec_itself_is_an_address(store: Path, cache: Any) -> None:
    """A file system that is not ours: found from its very root, and copied."""
    memory = fsspec.filesystem("memory")
    try:
        memory.put(str(store / "game"), "/game", recursive=True)
        found = find_remote("memory://", "game")
        copies = cache().fetch(found)
    finally:
        memory.rm("/game", recursive=True)
    assert [one.name for one in found] == ["a", "b"]
    assert all(same(folder, store / "game" / folder.name) for folder in copies)


def test_what_is_here_is_not_asked_for_again(store: Path, cache: Any) -> None:
    """Copies are as the originals, private, without what is no part of a session; they do without the other machine."""
    (store / "game" / "a" / "holiday.jpg").write_bytes(b"x")
    found = find_remote(f"shelf://{store}", "game")
    copies = cache().fetch(found)
    assert [folder.name for folder in copies] == ["a", "b"]
    assert all(same(folder, store / "game" / folder.name) for folder in copies)
    assert not any(path.name in ("holiday.jpg", "writer.lock") for folder in copies for path in folder.iterdir())
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in copies)
    shutil.rmtree(store)
    put_up()
    assert cache().fetch(found) == copies
    assert Shelf.copied == []


def test_growing_session_is_taken_as_far_as_it_was_listed(tmp_path: Path, cache: Any) -> None:
    """It may grow meanwhile; listed again it is another copy, and the first one stays as it was."""
    writer = record(tmp_path / "store" / "a", range(10), close=False)
    first = find_remote(f"shelf://{writer.folder}", "game")
    record(tmp_path / "longer", range(30))
    for name in (VIDEO, TICKS):
        shutil.copyfile(tmp_path / "longer" / name, writer.folder / name)
    (short,) = cache().fetch(first)
    assert {path.name: path.stat().st_size for path in short.iterdir() if path.name != METADATA} == {
        file.name: file.bytes for file in first[0].files if file.name != METADATA
    }
    assert len(SessionReader(short)) >= 9
    (longer,) = cache().fetch(find_remote(f"shelf://{writer.folder}", "game"))
    assert len(SessionReader(longer)) == 30
    assert len(SessionReader(short)) < 12
    writer.close()


def test_oldest_unused_copies_make_room(store: Path, cache: Any) -> None:
    """Never those that a living process uses; too much for the limit is told before anything is fetched."""
    (a, b), (c,) = find_remote(f"shelf://{store}", "game"), find_remote(f"shelf://{store}/other", "other")
    room = a.bytes + b.bytes + c.bytes // 2
    for session in (a, b):
        user = cache(room)
        user.fetch([session])
        user.close()
    os.utime(next(iter(cache(room).fetch([b]))).parent, (1e9, 1e9))  # used long ago, but in use now
    holder = cache(room)
    holder.fetch([c])
    here = {path.name for path in holder._root.iterdir() if path.is_dir()}
    assert here == {b.key, c.key, "users"}
    with pytest.raises(SessionError, match=r"are in use and limits\.remote_gb"):
        cache(room).fetch([a])
    with pytest.raises(SessionError, match=r"take .* and limits\.remote_gb is .*name fewer"):
        cache(a.bytes).fetch([a, b])


def test_another_process_that_fetches_is_waited_for(store: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """And it is said."""
    monkeypatch.setattr(fetched_module, "_GLANCE_S", 0.0)
    (tmp_path / "cache").mkdir()
    other = filelock.FileLock(tmp_path / "cache" / "cache.lock")
    other.acquire()
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        other.release()

    user = FetchedSessions(tmp_path / "cache", _GB, say)
    user.fetch(find_remote(f"shelf://{store}/game/a", "game"))
    user.close()
    assert "another process is fetching" in said[0]
    assert said[1].startswith(f"fetching shelf://{store}/game/a (1 of 1, ")


_FETCHER = """
import sys, time
from pathlib import Path
from remote_shelf import Shelf, put_up
from tray_agent.sessions.address import find_remote
from tray_agent.sessions.fetched import FetchedSessions
put_up()
def slow(name):
    if name == "video.mkv":
        print("there", flush=True)
        time.sleep(60)
Shelf.before = slow
FetchedSessions(Path(sys.argv[1]), 1e9, print).fetch(find_remote(sys.argv[2], "game"))
"""


def test_killed_fetching_goes_on_with_the_file_it_was_at(store: Path, tmp_path: Path, cache: Any) -> None:
    """What was whole is kept; what the dead process was using may go."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    command = [sys.executable, "-c", _FETCHER, str(tmp_path / "cache"), f"shelf://{store}/game/a"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        while child.stdout.readline() != "there\n":
            assert child.poll() is None
        child.send_signal(signal.SIGKILL)
    a, b = find_remote(f"shelf://{store}", "game")
    user = cache(1.5 * a.bytes)
    (copy,) = user.fetch([a])
    assert Shelf.copied == [VIDEO]
    assert same(copy, store / "game" / "a")
    user.close()
    cache(1.5 * a.bytes).fetch([b])
    assert not copy.exists()
    assert len([path for path in (tmp_path / "cache" / "users").iterdir() if not path.suffix]) == 1


def test_gone_or_changed_halfway_is_told_and_leaves_nothing_wrong(store: Path, cache: Any) -> None:
    """Deleted, cut and replaced while it is fetched; the next try takes it as it is then."""
    address, folder = f"shelf://{store}/game/a", store / "game" / "a"

    def failing(change: Any) -> pytest.ExceptionInfo[SessionError]:
        Shelf.before = staticmethod(lambda name: change() if name == VIDEO else None)
        with pytest.raises(SessionError) as caught:
            cache().fetch(find_remote(address, "game"))
        Shelf.before = staticmethod(lambda name: None)
        return caught

    kept = store / "kept"
    shutil.copytree(folder, kept)
    failing((folder / VIDEO).unlink).match(r"a/video\.mkv: there is nothing, or nothing any more")
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    failing(lambda: os.truncate(folder / VIDEO, 10)).match(r"a/video\.mkv ends too early")
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    failing(lambda: os.utime(folder / TICKS, (1, 1))).match(r"a/ticks\.bin has changed meanwhile")
    (copy,) = cache().fetch(find_remote(address, "game"))
    assert same(copy, kept)


def test_refusals_and_broken_connections_are_told(store: Path, cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights, and whatever else a file system raises, with the address and what to do."""

    def fail(error: Exception) -> Any:
        def before(name: str) -> None:
            raise error

        return staticmethod(before)

    Shelf.before = fail(PermissionError(13, "Access Denied"))
    with pytest.raises(
        SessionError, match=r"shelf://.* may not be read \(PermissionError: .*Access Denied\)\. See that"
    ):
        find_remote(f"shelf://{store}", "game")
    Shelf.before = fail(RuntimeError("no route"))
    with pytest.raises(SessionError, match=r"shelf://.* can't be read \(RuntimeError: no route\)"):
        find_remote(f"shelf://{store}", "game")
    Shelf.before = staticmethod(lambda name: None)
    monkeypatch.setattr(Shelf, "__init__", lambda self, **_: (_ for _ in ()).throw(OSError("connection refused")))
    with pytest.raises(SessionError, match="OSError: connection refused"):
        find_remote(f"shelf://{store}", "game")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("wxyz://host/path", r"wxyz://host/path can't be read .*Take a folder, or s3://"),
        ("sftp://me:secret@host/path", "sftp://host: leave the password out"),
        ("http://[half", "can't be read"),
    ],
)
def test_addresses_that_can_not_be_are_refused(address: str, told: str) -> None:
    """Unknown protocols; passwords, which are not repeated; what is no address."""
    with pytest.raises(SessionError, match=told) as caught:
        find_remote(address, "game")
    assert "secret" not in str(caught.value)


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to install it."""
    monkeypatch.setitem(sys.modules, "sshfs", None)
    with pytest.raises(PlatformUnavailable, match=r"pip install sshfs .*tray-agent\[remote\]"):
        find_remote("sftp://host/path", "game")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(PlatformUnavailable, match="gcsfs"):
        find_remote("gs://bucket/path", "game")


def test_names_that_could_lead_elsewhere_are_refused(store: Path) -> None:
    """The name of a session becomes that of a folder here."""
    (store / "game" / "a").rename(store / "game" / "..a")
    with pytest.raises(SessionError, match="rename it"):
        find_remote(f"shelf://{store}", "game")


def test_full_disk_is_told(store: Path, cache: Any, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is full where that can be foreseen, else when it is; what was whole stays for the next try."""
    found = find_remote(f"shelf://{store}/game/a", "game")
    big = RemoteSession(found[0].address, (*found[0].files, RemoteFile("more", 4 << 20, "")))
    with pytest.raises(SessionError, match=r"has room for .* Free some space there"):
        cache(root=small_disk).fetch([big])
    copy = Shelf.get_file

    def huge(self: Shelf, rpath: str, lpath: str, **more: Any) -> None:
        copy(self, rpath, lpath, **more)
        if Path(rpath).name == VIDEO:
            with Path(lpath).open("ab") as file:
                file.write(bytes(4 << 20))

    with monkeypatch.context() as patched:
        patched.setattr(Shelf, "get_file", huge)
        with pytest.raises(SessionError, match=r"the disk is full: shelf://.*video\.mkv does not fit"):
            cache(root=small_disk).fetch(found)
    Shelf.copied = []
    (folder,) = cache(root=small_disk).fetch(found)
    assert Shelf.copied == [VIDEO]
    assert same(folder, store / "game" / "a")

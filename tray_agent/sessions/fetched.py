"""Copies of remote sessions on this machine, in a cache that all processes of the user share. The caller's thread.

`<root>/<key>/<name>/` is a session as it was listed once; another content has another key, so a copy never changes.
A file gets its name when it is whole, so a kill costs at most the one that was on its way. `<root>/users/` tells which
copies each living process uses: those stay; of the others the ones not used for longest make room.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import filelock

from tray_agent.errors import SessionError
from tray_agent.runtime.atomic_file import sync_folder, write_atomic
from tray_agent.sessions.address import RemoteFile, RemoteSession, check_unchanged, copy_file
from tray_agent.sessions.catalogue import disk_bytes
from tray_agent.sessions.layout import METADATA

_GB = 1e9
_GLANCE_S = 2.0  # whoever only looks has the lock for less
_USERS = "users"


class FetchedSessions:
    """What this process uses of the cache. `close()` gives it free; so does the end of the process, however it ends.

    Args:
        root: folder of the cache.
        max_bytes: that all copies may take.
        say: told what is fetched.
    """

    def __init__(self, root: Path, max_bytes: float, say: Callable[[str], None]) -> None:
        self._root, self._max_bytes, self._say = root, max_bytes, say
        self._list = root / _USERS / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._alive = filelock.FileLock(_lock_of(self._list), mode=0o600, thread_local=False)
        self._used: set[str] = set()

    def fetch(self, sessions: Sequence[RemoteSession]) -> dict[Path, RemoteSession]:
        """Folders of their copies; what is here already is not asked for again, whether it can be reached or not.

        Raises:
            SessionError: one can't be fetched whole, or there is no room.
            PlatformUnavailable: the library for it is not installed.
        """
        wanted = sum(session.bytes for session in sessions)
        if wanted > self._max_bytes:
            raise SessionError(
                f"the sessions to fetch take {wanted / _GB:.2f} GB and limits.remote_gb is {self._max_bytes / _GB:g}. "
                "Raise it, or name fewer of them"
            )
        found: dict[Path, RemoteSession] = {}
        try:
            if sessions:
                self._use(session.key for session in sessions)
            for number, session in enumerate(sessions, start=1):
                with self._alone():
                    found[self._taken(session, f"{number} of {len(sessions)}")] = session
        except OSError as error:
            raise SessionError(f"sessions can't be kept in {self._root} ({error}). Free some space there") from error
        return found

    def close(self) -> None:
        """Use nothing any more; idempotent."""
        if self._alive.is_locked:
            self._list.unlink(missing_ok=True)
            self._alive.release()
            Path(_lock_of(self._list)).unlink(missing_ok=True)

    def _use(self, keys: Iterator[str]) -> None:
        self._used.update(keys)
        (self._root / _USERS).mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            self._alive.acquire()
            write_atomic(self._list, "\n".join(sorted(self._used)))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time changes the cache."""
        lock = filelock.FileLock(self._root / "cache.lock", mode=0o600)
        try:
            lock.acquire(timeout=_GLANCE_S)
        except filelock.Timeout:
            self._say("another process is fetching sessions; waiting until it has this one")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _taken(self, session: RemoteSession, which: str) -> Path:
        entry = self._root / session.key
        folder = entry / session.name
        missing = [file for file in session.files if not _is_whole(folder / file.name, file)]
        if missing:
            for file in missing:
                _part(folder / file.name).unlink(missing_ok=True)  # what a kill left takes room
            size = sum(file.bytes for file in missing)
            self._make_room(size)
            self._say(f"fetching {session.address} ({which}, {size / 1e6:.1f} MB)")
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in missing:
                _copy(session, file, folder / file.name)
            try:
                check_unchanged(session)
            except SessionError:
                shutil.rmtree(entry)
                raise
        os.utime(entry)
        return folder

    def _make_room(self, size: int) -> None:
        """Delete what nobody uses, that not used for longest first, until so many bytes fit."""
        used = disk_bytes(self._root)
        in_use = self._in_use()
        entries = [path for path in self._root.iterdir() if path.is_dir() and path.name not in in_use | {_USERS}]
        for entry in sorted(entries, key=lambda path: path.stat().st_mtime):
            if used + size <= self._max_bytes and size < shutil.disk_usage(self._root).free:
                return
            used -= disk_bytes(entry)
            shutil.rmtree(entry)
        if used + size > self._max_bytes:
            raise SessionError(
                f"{used / _GB:.2f} GB of fetched sessions are in use and limits.remote_gb is "
                f"{self._max_bytes / _GB:g}. Raise it, or wait until other runs have ended"
            )
        if size >= (free := shutil.disk_usage(self._root).free):
            raise SessionError(
                f"{size / _GB:.2f} GB have to be fetched, and {self._root} has room for {free / _GB:.2f} GB. Free some "
                "space there"
            )

    def _in_use(self) -> set[str]:
        """Keys that living processes use; lists of dead ones are taken away."""
        keys = set(self._used)
        for listed in (self._root / _USERS).iterdir():
            if listed.suffix or listed == self._list:
                continue
            try:
                with filelock.FileLock(_lock_of(listed), timeout=0):
                    listed.unlink(missing_ok=True)
                Path(_lock_of(listed)).unlink(missing_ok=True)
            except filelock.Timeout:
                with contextlib.suppress(FileNotFoundError):  # it ends at this moment
                    keys.update(listed.read_text().split())
        return keys


def _lock_of(listed: Path) -> str:
    return f"{listed}.lock"


def _is_whole(path: Path, file: RemoteFile) -> bool:
    try:
        return path.stat().st_size == file.bytes or file.name == METADATA
    except FileNotFoundError:
        return False


def _part(target: Path) -> Path:
    """Name of a file that is not whole yet."""
    return target.with_name(f".{target.name}.part")


def _copy(session: RemoteSession, file: RemoteFile, target: Path) -> None:
    part = _part(target)
    try:
        copy_file(session, file, part)
    except SessionError:
        part.unlink(missing_ok=True)  # on a full disk nothing else could be written
        raise
    with part.open("rb") as copied:
        os.fsync(copied.fileno())
    part.replace(target)
    sync_folder(target.parent)

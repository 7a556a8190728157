"""Who may change a session: one at a time, and kill -9 lets go. Runs on the caller's thread.

The lock is the system's own on the empty file `writer.lock` in the session's folder, so it ends with the process that
holds it, however that ends. The file itself stays and means nothing.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from tray_agent.errors import SessionError

LOCK = "writer.lock"
_GLANCE_S = 1.0  # a reader that looks whether a session is being written holds the lock for microseconds


class SessionLock:
    """The right to change one session. Taken and given back by any thread of one process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = filelock.FileLock(folder / LOCK, mode=0o600, thread_local=False)

    def take(self, wait_s: float = _GLANCE_S) -> None:
        """Take it, within `wait_s`.

        Raises:
            SessionError: somebody else has it.
            OSError: the folder can't be written.
        """
        try:
            self._lock.acquire(timeout=wait_s)
        except filelock.Timeout as error:
            raise SessionError(
                f"session {self._folder} is being written. Stop watching first (tray-agent stop), then try again"
            ) from error

    def give_back(self) -> None:
        """Let go; idempotent."""
        self._lock.release()


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else writes the session inside the block.

    Raises:
        SessionError: somebody writes it, or there is no such session, or its folder can't be written.
    """
    if not folder.is_dir():
        raise SessionError(f"there is no session {folder}")
    lock = SessionLock(folder)
    try:
        lock.take()
    except OSError as error:
        raise SessionError(f"session {folder} can't be changed ({error.strerror or error})") from error
    try:
        yield
    finally:
        lock.give_back()


def is_written(folder: Path) -> bool:
    """Whether somebody writes the session at this moment."""
    if not (folder / LOCK).exists():
        return False  # recorded before there were locks, or copied without
    lock = SessionLock(folder)
    try:
        lock.take(0.0)
    except SessionError:
        return True
    except OSError:
        return False  # nobody writes where nothing can be written
    lock.give_back()
    return False

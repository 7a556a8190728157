"""Keeps all sessions together below a limit by deleting the oldest. Asked by the daemon's main thread before watching,
and by the session's writer while it goes on.

Never deleted: sessions marked as kept, one that is being written, the newest finished one of each game, and damaged
folders, which may be anything.
"""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from tray_agent.errors import SessionError
from tray_agent.sessions.catalogue import Listed, disk_bytes, list_sessions
from tray_agent.sessions.keep import is_kept
from tray_agent.sessions.lock import is_written
from tray_agent.sessions.removal import remove, sweep

_log = logging.getLogger(__name__)
_GB = 1e9
_AGAIN_BYTES = 64 << 20  # with nothing left to delete, look again after so much more


@dataclass(frozen=True)
class DiskStatus:
    """What sessions take.

    Attributes:
        used_gb: when it was last looked at; limit_gb: `limits.disk_gb` at that moment.
        deleted: names of the sessions that had to go since the daemon began, newest last.
        problem: why there is no room although watching goes on, "" while all is well.
    """

    used_gb: float = 0.0
    limit_gb: float = 0.0
    deleted: tuple[str, ...] = ()
    problem: str = ""


class Quota:
    """Room for the sessions under one folder. Any thread; one at a time makes room."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._limit_bytes = 0.0
        self._deletes = False
        self._may_grow_to: float | None = None
        self.status = DiskStatus()

    def make_room(self, limit_gb: float, deletes: bool) -> str:
        """Look how much is used before a session begins; "" or why there is no room for one.

        Args:
            limit_gb: what all sessions may take.
            deletes: whether the oldest may be deleted to stay below it, also while the session grows.
        """
        with self._lock:
            self._limit_bytes, self._deletes = limit_gb * _GB, deletes
            used, _ = self._clean()
            self._may_grow_to = max(self._limit_bytes - used, 0.0)
            return self._why_full(used) if used >= self._limit_bytes else ""

    def grown(self, session_bytes: int) -> None:
        """The session that began after `make_room` has so many bytes now; makes room where it needs some."""
        if not self._deletes or self._may_grow_to is None or session_bytes < self._may_grow_to:
            return
        with self._lock:
            used, freed = self._clean()
            room = self._limit_bytes - used
            problem = self._why_full(used) if room <= 0 else ""
            if problem and not freed and problem != self.status.problem:
                _log.warning("%s", problem)
            self.status = DiskStatus(self.status.used_gb, self.status.limit_gb, self.status.deleted, problem)
            self._may_grow_to = session_bytes + (room if room > 0 else _AGAIN_BYTES)

    def _clean(self) -> tuple[int, bool]:
        """Bytes used afterwards, and whether anything was deleted."""
        sweep(self._root)
        used = disk_bytes(self._root)
        deleted: list[str] = []
        if self._deletes and used >= self._limit_bytes:
            for listed in self._oldest_first():
                if used < self._limit_bytes:
                    break
                used -= self._delete(listed.folder, deleted)
        everything = (*self.status.deleted, *deleted)
        self.status = DiskStatus(round(used / _GB, 3), self._limit_bytes / _GB, everything)
        return used, bool(deleted)

    def _oldest_first(self) -> list[Listed]:
        """Sessions that may be deleted."""
        try:
            found = sorted(list_sessions(self._root).sessions, key=lambda one: (one.info.wall_ns, one.folder.name))
            finished = [one for one in found if not is_written(one.folder)]
            newest = {one.info.game: one.folder for one in finished}
            return [one for one in finished if one.folder != newest[one.info.game] and not is_kept(one.folder)]
        except OSError as error:  # a folder that is not the user's: recording must not end by it
            _log.warning("no room can be made: %s", error)
            return []

    def _delete(self, folder: Path, deleted: list[str]) -> int:
        size = disk_bytes(folder)
        try:
            remove(folder)
        except SessionError as error:
            _log.warning("%s", error)
            return 0
        deleted.append(folder.name)
        _log.warning("deleted session %s (%.1f MB): all sessions together may take %g GB (limits.disk_gb)",
                     folder, size / 1e6, self._limit_bytes / _GB)  # fmt: skip
        return size

    def _why_full(self, used: float) -> str:
        left = "" if not self._deletes else " What is left is marked keep, the newest of its game, or damaged."
        return (f"all sessions take {used / _GB:.1f} GB and limits.disk_gb is {self._limit_bytes / _GB:g}.{left} "
                f"Delete some in {self._root}, or raise the limit in tray_agent.yaml")  # fmt: skip

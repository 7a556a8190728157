"""Lists the sessions under a folder. No threads; the caller's runs it."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from tray_agent.errors import SessionError
from tray_agent.sessions.layout import SessionInfo, game_folder, load_info


@dataclass(frozen=True)
class Listed:
    """One session that can be opened."""

    folder: Path
    info: SessionInfo


@dataclass(frozen=True)
class Listing:
    """What was found, oldest first, and what could not be read: folder -> why."""

    sessions: tuple[Listed, ...]
    damaged: dict[Path, str]


def list_sessions(root: Path, game: str | None = None) -> Listing:
    """Sessions under `root` (of one game, or of all); damaged ones are skipped and reported, nothing is raised.

    Folders whose name begins with a dot are no game's.
    """
    if game is None:
        games = [p for p in root.iterdir() if p.is_dir() and p.name[0] != "."] if root.is_dir() else []
    else:
        games = [game_folder(root, game)]
    sessions, damaged = [], {}
    for folder in sorted((f for g in games if g.is_dir() for f in g.iterdir() if _is_session(f)), key=lambda f: f.name):
        try:
            sessions.append(Listed(folder, load_info(folder)))
        except SessionError as error:
            damaged[folder] = str(error)
    return Listing(tuple(sessions), damaged)


def _is_session(folder: Path) -> bool:
    """Not what a deletion or a cut left half done (see `removal`)."""
    return folder.is_dir() and not folder.name.startswith(".")


def disk_bytes(root: Path) -> int:
    """Bytes that all sessions under `root` take, 0 where there is no such folder; files that vanish count nothing."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(folder) / name).stat().st_size
    return total

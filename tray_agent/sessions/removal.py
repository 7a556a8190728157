"""Takes sessions away so that a kill at any moment leaves them whole or gone. Runs on the caller's thread.

A session is renamed to `.NAME.deleted` first, which no reader sees, then deleted. One that takes another's place is
made as `.NAME.replaces`; once it is whole the old one is renamed away, then it gets its name. `sweep` ends what a kill
left half done. Files are deleted, not overwritten.
"""

import contextlib
import shutil
from pathlib import Path

from tray_agent.errors import SessionError
from tray_agent.runtime.atomic_file import sync_folder
from tray_agent.sessions.layout import load_info
from tray_agent.sessions.lock import held, is_written

REPLACES = "replaces"
"""Key of `extra` in `session.json`: name of the session whose place this one takes."""
_DELETED = ".deleted"
_WAITING = ".replaces"


def remove(folder: Path) -> None:
    """Delete a session, damaged ones as well.

    Raises:
        SessionError: it is being written, there is none, or it can't be deleted.
    """
    with held(folder):
        pass  # Windows renames no folder in which a file is open
    try:
        shutil.rmtree(_hide(folder))
    except OSError as error:
        raise _not_deleted(folder, error) from error


def waiting_folder(folder: Path) -> Path:
    """Where to make a session that shall become `folder` and take another's place."""
    return folder.with_name(f".{folder.name}{_WAITING}")


def replace_session(old: Path, new: Path) -> None:
    """Put the whole session at `waiting_folder(new)` in the place of `old`, which is deleted.

    Raises:
        SessionError: it could not be done; `old` is still there, or `sweep` will end it.
    """
    hidden = _hide(old)
    try:
        waiting_folder(new).rename(new)
    except OSError as error:
        with contextlib.suppress(OSError):
            hidden.rename(old)
        raise SessionError(f"{new} can't take the place of {old} ({error.strerror or error})") from error
    try:
        sync_folder(new.parent)
        shutil.rmtree(hidden)
    except OSError as error:
        raise _not_deleted(hidden, error) from error


def sweep(root: Path) -> None:
    """End what a kill left half done under `root`; never raises, what can't be deleted now stays for the next time."""
    with contextlib.suppress(OSError):
        for left in root.glob(f"*/.*{_DELETED}"):
            shutil.rmtree(left, ignore_errors=True)
        for left in root.glob(f"*/.*{_WAITING}"):
            with contextlib.suppress(OSError):
                _end_replacing(left)


def _end_replacing(left: Path) -> None:
    if is_written(left):
        return
    try:
        info = load_info(left)
        old = left.parent / Path(str(info.extra[REPLACES])).name
    except (SessionError, KeyError):
        shutil.rmtree(left)
        return
    if info.closed is not None and not old.exists():
        left.rename(left.with_name(left.name[1 : -len(_WAITING)]))
    elif not is_written(old):  # else whoever makes it is about to put it in place
        shutil.rmtree(left)


def _hide(folder: Path) -> Path:
    if folder.is_symlink():
        raise SessionError(f"{folder} is a link to another folder; delete that by hand")
    hidden = folder.with_name(f".{folder.name}{_DELETED}")
    try:
        if hidden.exists():
            shutil.rmtree(hidden)
        folder.rename(hidden)
        sync_folder(folder.parent)
    except OSError as error:
        raise _not_deleted(folder, error) from error
    return hidden


def _not_deleted(folder: Path, error: OSError) -> SessionError:
    reason = error.strerror or error
    return SessionError(f"{folder} can't be deleted ({reason}). Close what has its files open, then try again")

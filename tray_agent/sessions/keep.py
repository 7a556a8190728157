"""`keep.json`: the player wants this session kept, whatever is cleaned up. Runs on the caller's thread.

A file of its own in the session's folder, so that copying, moving or deleting folders by hand never breaks anything.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from tray_agent.errors import SessionError
from tray_agent.runtime.atomic_file import write_atomic

KEEP = "keep.json"


def keep(folder: Path, note: str = "") -> None:
    """Mark the session as one to keep, with a note.

    Raises:
        SessionError: there is no such session, or it can't be written.
    """
    content = {"note": note, "since": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        write_atomic(folder / KEEP, json.dumps(content, ensure_ascii=False) + "\n")
    except OSError as error:
        raise SessionError(f"{folder / KEEP} can't be written ({error.strerror or error})") from error


def unkeep(folder: Path) -> None:
    """Take the mark away; idempotent.

    Raises:
        SessionError: it can't be deleted.
    """
    try:
        (folder / KEEP).unlink(missing_ok=True)
    except OSError as error:
        raise SessionError(f"{folder / KEEP} can't be deleted ({error.strerror or error})") from error


def is_kept(folder: Path) -> bool:
    """Whether the session shall be kept; a mark that can't be read is one as well."""
    return (folder / KEEP).exists()


def kept_note(folder: Path) -> str:
    """What the player noted when marking it, "" without note or mark."""
    try:
        data = json.loads((folder / KEEP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(data.get("note") or "") if isinstance(data, dict) else ""

"""Metadata for a session whose `session.json` is missing or damaged. Runs on the caller's thread.

What `ticks.bin` and `video.mkv` tell (sizes of action, sound and picture, quality) does not name the controls. Those
come from another session of the same game with the same sizes; the start comes from the folder's name and the first
tick.
"""

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import av

from tray_agent.core.media import VideoQuality
from tray_agent.errors import SessionError
from tray_agent.sessions.layout import METADATA, SCHEMA, STAMP, TICKS, VIDEO, SessionInfo, load_info
from tray_agent.sessions.ticks import HEADER_BYTES, TickCodec
from tray_agent.sessions.video import quality_of

_DAMAGED = f"{METADATA}.damaged"


def readable_info(folder: Path) -> tuple[SessionInfo, str]:
    """The session's metadata, and "" or the name of the session they were rebuilt from (without an end then).

    A damaged `session.json` is kept beside the new one as `session.json.damaged`.

    Raises:
        SessionError: they can't be read and not be rebuilt; says what is missing.
    """
    try:
        return load_info(folder), ""
    except SessionError as error:
        if not _is_lost(folder / METADATA):
            raise
        info, source = _rebuilt(folder, str(error))
    with contextlib.suppress(FileNotFoundError):
        (folder / METADATA).rename(folder / _DAMAGED)
    return info, source


def _is_lost(path: Path) -> bool:
    """Whether the file is missing or damaged, not one that only this version or this user can't read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return True
    except OSError:
        return False
    schema = data.get("schema") if isinstance(data, dict) else None
    return not isinstance(schema, int) or schema <= SCHEMA


def _rebuilt(folder: Path, why: str) -> tuple[SessionInfo, str]:
    size, quality = _picture(folder / VIDEO)
    head = _head(folder / TICKS)
    for other in _others(folder):
        with contextlib.suppress(SessionError):
            info = load_info(other)
            spec = info.spec
            if TickCodec(spec).header() == head and (spec.frame_width, spec.frame_height) == size:
                return _begun(folder, replace(info, quality=quality)), other.name
    raise SessionError(
        f"{why}. Its controls are known from nowhere else: {folder.parent} has no readable session with actions, sound "
        "and pictures of the same sizes"
    )


def _begun(folder: Path, like: SessionInfo) -> SessionInfo:
    """Metadata like those of another session, with this one's start."""
    table = TickCodec(like.spec).read(folder / TICKS)
    try:
        started = datetime.strptime(folder.name.split("-")[0], STAMP).replace(tzinfo=UTC)
    except ValueError:
        started = datetime.fromtimestamp((folder / TICKS).stat().st_mtime, UTC)
    return replace(
        like, started_utc=started.isoformat(), wall_ns=int(started.timestamp() * 1e9),
        start_ns=int(table.t_ns[0]) if len(table) else 0, extra={"rebuilt_from": like.started_utc}, closed=None,
    )  # fmt: skip


def _others(folder: Path) -> list[Path]:
    """Other sessions of the game: earlier ones, the newest of them first, then later ones."""
    names = [f for f in folder.parent.iterdir() if f.is_dir() and f != folder and not f.name.startswith(".")]
    later = sorted((f for f in names if f.name > folder.name), key=lambda f: f.name)
    earlier = sorted((f for f in names if f.name < folder.name), key=lambda f: f.name, reverse=True)
    return [*earlier, *later]


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise SessionError(
            f"{path} can't be read ({error.strerror or error}); nothing tells what was recorded"
        ) from error
    if len(head) < HEADER_BYTES:
        raise SessionError(f"{path} has no header; nothing tells what was recorded")
    return head


def _picture(path: Path) -> tuple[tuple[int, int], VideoQuality]:
    """Width and height, and how closely the pictures are kept."""
    try:
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            return (context.width, context.height), quality_of(container)
    except (av.FFmpegError, IndexError, OSError) as error:
        raise SessionError(f"{path} can't be opened ({error}); there is no picture left to save") from error

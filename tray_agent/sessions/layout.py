"""Names of a session's files, and its `session.json`. No threads; the caller's runs it."""

import hashlib
import json
import math
import platform
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

from tray_agent import __version__
from tray_agent.core.media import VideoQuality
from tray_agent.core.policy import PolicySpec
from tray_agent.errors import SessionError
from tray_agent.runtime.atomic_file import write_atomic

SCHEMA = 2
"""Version of the format; a reader refuses newer ones."""
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda data: data | {"video": {"codec": CODEC, "quality": "lossless"}}
}
"""Schema n -> what turns metadata of it into those of n + 1. Done while reading; the file stays as it is."""
CODEC = "h264"
"""Of `video.mkv`, whatever the quality."""
STAMP = "%Y%m%dT%H%M%SZ"
"""How the start is written in a session's name."""
METADATA = "session.json"
VIDEO = "video.mkv"
TICKS = "ticks.bin"
EVENTS = "events.jsonl"
MARKS = "marks.jsonl"
SOUND = "sound.mkv"


@dataclass(frozen=True)
class SessionInfo:
    """What `session.json` tells.

    Attributes:
        game: name of the game in the configuration.
        spec: what was recorded: controls, rate, frame size, audio.
        vector: the game vector.
        started_utc: wall-clock start, ISO 8601.
        wall_ns, start_ns: wall clock (ns since 1970) and desktop's clock at one and the same moment.
        tools: name -> version of what wrote it.
        quality: how closely the pictures are kept.
        extra: what the caller added (for example who played).
        closed: counts written by an orderly end, None while it is written or after a crash.
    """

    game: str
    spec: PolicySpec
    vector: tuple[float, ...]
    started_utc: str
    wall_ns: int
    start_ns: int
    tools: dict[str, str]
    quality: VideoQuality = "lossless"
    extra: dict[str, Any] = field(default_factory=dict)
    closed: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data, as stored."""
        return {
            "schema": SCHEMA,
            "game": self.game,
            "spec": self.spec.to_json(),
            "spec_digest": self.spec.digest,
            "vector": list(self.vector),
            "started_utc": self.started_utc,
            "wall_ns": self.wall_ns,
            "start_ns": self.start_ns,
            "tools": self.tools,
            "video": {"codec": CODEC, "quality": self.quality},
            "extra": self.extra,
            "closed": self.closed,
        }


def begin(
    spec: PolicySpec, game: str, vector: Sequence[float], start_ns: int, extra: dict[str, Any],
    quality: VideoQuality = "lossless",
) -> SessionInfo:  # fmt: skip
    """Metadata of a session that starts now.

    Raises:
        SessionError: the game vector does not fit the spec.
    """
    values = tuple(float(v) for v in vector)
    if len(values) != spec.vector_size or not all(map(math.isfinite, values)):
        raise SessionError(f"game vector of {game!r} must be {spec.vector_size} finite numbers, not {list(values)}")
    now = datetime.now(UTC)
    tools = {"tray-agent": __version__, "python": platform.python_version()}
    tools |= {name: metadata.version(name) for name in ("av", "numpy")}
    wall_ns = int(now.timestamp() * 1e9)
    return SessionInfo(game, spec, values, now.isoformat(), wall_ns, start_ns, tools, quality, extra)


def save_info(folder: Path, info: SessionInfo) -> None:
    """Write `session.json` atomically. Raises OSError."""
    write_atomic(folder / METADATA, json.dumps(info.to_json(), indent=1) + "\n")


def load_info(folder: Path) -> SessionInfo:
    """Read `session.json`.

    Raises:
        SessionError: it is missing, no JSON, of a version that can't be read, or a field is wrong.
    """
    path = folder / METADATA
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SessionError(f"{path} can't be read ({error}); the folder is no session or is damaged") from error
    found = data.get("schema") if isinstance(data, dict) else type(data).__name__
    if found != SCHEMA and found not in MIGRATIONS:
        raise SessionError(f"{path} has schema {found!r}, this version reads {SCHEMA}; update tray-agent to open it")
    try:
        return _parse(_migrated(data))
    except (KeyError, TypeError, ValueError) as error:
        raise SessionError(f"{path} is damaged ({type(error).__name__}: {error})") from error


def _migrated(data: dict[str, Any]) -> dict[str, Any]:
    while (schema := data["schema"]) != SCHEMA:
        data = MIGRATIONS[schema](data) | {"schema": schema + 1}
    return data


def _parse(data: dict[str, Any]) -> SessionInfo:
    spec = PolicySpec.from_json(data["spec"])
    if spec.digest != data["spec_digest"]:
        raise ValueError("the digest does not fit the spec")
    closed, extra = data["closed"], data.get("extra") or {}
    if not isinstance(closed, dict | None) or not isinstance(extra, dict):
        raise TypeError("closed, extra: not a mapping")
    video = data["video"]
    if video["codec"] != CODEC or video["quality"] not in get_args(VideoQuality):
        raise ValueError(f"video: {video} is not known")
    return SessionInfo(
        game=str(data["game"]),
        spec=spec,
        vector=tuple(float(v) for v in data["vector"]),
        started_utc=str(data["started_utc"]),
        wall_ns=int(data["wall_ns"]),
        start_ns=int(data["start_ns"]),
        tools={str(k): str(v) for k, v in data["tools"].items()},
        quality=video["quality"],
        extra=extra,
        closed=closed,
    )


def game_folder(root: Path, game: str) -> Path:
    """Folder of all sessions of a game under `root`; odd characters of the name are replaced, kept apart by a hash."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", game).strip(".") or "_"
    if safe != game:
        safe += "-" + hashlib.sha256(game.encode()).hexdigest()[:6]
    return root / safe


def new_folder(root: Path, game: str) -> Path:
    """A name not used before for a session that starts now; nothing is made yet."""
    return game_folder(root, game) / new_name(datetime.now(UTC))


def new_name(started: datetime) -> str:
    """A name not used before for a session that started then (UTC); names sort by age."""
    return f"{started.strftime(STAMP)}-{secrets.token_hex(3)}"

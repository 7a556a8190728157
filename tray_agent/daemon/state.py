"""Modes of the daemon, and its status as plain data (no threads)."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from tray_agent.daemon.tick_loop import TickReport
from tray_agent.daemon.watcher import WatchStatus
from tray_agent.play.player import PlayStatus
from tray_agent.sessions.quota import DiskStatus
from tray_agent.training.worker import LearnStatus


class Mode(StrEnum):
    """What the tray icon shows, most urgent first."""

    FAULT = "fault"
    PLAYING = "playing"
    WATCHING = "watching"
    STOPPED = "stopped"
    LEARNING = "learning"
    IDLE = "idle"


@dataclass(frozen=True)
class StopRecord:
    """Why play ended last.

    Attributes:
        kind: as the guard says: takeover, kill, window, lease, ... or "policy".
        reason: for the user.
        latency_ms: from its cause to all keys up.
        released: what was let go.
    """

    kind: str
    reason: str
    latency_ms: float
    released: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """All that is known, at one moment."""

    mode: Mode = Mode.IDLE
    game: str = ""
    game_in_front: bool = False
    games: tuple[str, ...] = ()
    detail: str = ""
    watch: WatchStatus = field(default_factory=WatchStatus)
    learn: LearnStatus = field(default_factory=LearnStatus)
    play: PlayStatus = field(default_factory=PlayStatus)
    ticks: TickReport = field(default_factory=TickReport)
    disk: DiskStatus = field(default_factory=DiskStatus)
    bundle: dict[str, Any] = field(default_factory=dict)
    last_stop: StopRecord | None = None
    problems: tuple[str, ...] = ()
    guard: dict[str, Any] = field(default_factory=dict)
    memory_mb: float = 0.0
    pid: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

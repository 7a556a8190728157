"""What the icon needs to know of the daemon's answer to {"op": "status"} (pure functions, any thread)."""

from dataclasses import dataclass
from typing import Any

from tray_agent.clients.tray.icons import TrayState

_WORDS = {
    TrayState.IDLE: "Idle",
    TrayState.WATCHING: "Watching",
    TrayState.LEARNING: "Learning",
    TrayState.PLAYING: "Playing",
    TrayState.STOPPED: "Stopped for safety",
    TrayState.FAULT: "Fault",
}
NEEDS_USER = frozenset({TrayState.STOPPED, TrayState.FAULT})
_DETAIL_CHARS = 120
_READINESS = {"ready": "ready to play", "still learning": "still learning", "cannot": "can't play yet"}


@dataclass(frozen=True)
class TrayStatus:
    """One picture of the daemon.

    Attributes:
        mode: which icon.
        game: the chosen game, "" when none is.
        games: names to choose from.
        detail: one line about it, changes often.
        readiness: whether what was learned can play, "" while nothing was.
    """

    mode: TrayState
    game: str = ""
    games: tuple[str, ...] = ()
    detail: str = ""
    readiness: str = ""

    @property
    def headline(self) -> str:
        """Mode and game: what the menu shows; changes seldom, so that an open menu is not pulled away."""
        return _WORDS[self.mode] + (f": {self.game}" if self.game else "")

    @property
    def tooltip(self) -> str:
        """Everything, short enough for a tool tip."""
        ready = f", {self.readiness}" if self.readiness else ""
        text = f"Tray Agent. {self.headline}{ready}" + (f" ({self.detail})" if self.detail else "")
        return text[:_DETAIL_CHARS]


def parse(answer: dict[str, Any]) -> TrayStatus:
    """Read the daemon's answer; what can't be understood is a fault that says so, never an exception."""
    status = answer.get("status")
    if not answer.get("ok") or not isinstance(status, dict):
        return TrayStatus(TrayState.FAULT, detail=str(answer.get("error") or "the daemon sent no status"))
    mode = str(status.get("mode"))
    games = status.get("games")
    if mode not in set(TrayState):
        return TrayStatus(TrayState.FAULT, detail=f"the daemon is in mode {mode!r}, unknown to this version")
    return TrayStatus(
        mode=TrayState(mode),
        game=str(status.get("game") or ""),
        games=tuple(str(game) for game in games) if isinstance(games, list) else (),
        detail=str(status.get("detail") or ""),
        readiness=_readiness(status.get("bundle")),
    )


def _readiness(bundle: object) -> str:
    readiness = bundle.get("readiness") if isinstance(bundle, dict) else None
    return _READINESS.get(str(readiness.get("state")), "") if isinstance(readiness, dict) else ""

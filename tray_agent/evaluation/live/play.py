"""Episodes the product plays on the live game: handed over as a person does, scored, stopped, keys looked after."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from Xlib.display import Display

from tray_agent.errors import WorkerFailed
from tray_agent.platforms.x11 import connection
from tray_agent.stage.daemon import StagedDaemon
from tray_agent.stage.desk import NestedDesk
from tray_agent.stage.displays import wait_until

_TRIES = 5
_UP_S = 1.0
_ANSWER_S = 5.0


class LiveGame(Protocol):
    """One episode."""

    @property
    def score(self) -> float:
        """Once it is over."""
        ...

    def looks(self, until_s: float = ...) -> Iterator[object]:
        """Goes on until the episode, or the time, is over; whoever plays by looking is given what to look at."""
        ...


class LiveScene(Protocol):
    """Where a game is played live."""

    @property
    def desk(self) -> NestedDesk:
        """Its desktop."""
        ...

    @property
    def game_name(self) -> str:
        """Whose profile the daemon takes."""
        ...

    @property
    def profiles(self) -> str:
        """The daemon's `games.yaml`; "" where it needs none."""
        ...

    def game(self) -> AbstractContextManager[LiveGame]:
        """A new episode."""
        ...

    def watch_player(self, until_s: float = ...) -> float:
        """One episode by the scripted player at the keyboard, until then in monotonic time; its score."""
        ...


class LivePlay:
    """Collects what episodes come to. `episode()` as often as wanted, then `result()`."""

    def __init__(self, scene: LiveScene, daemon: StagedDaemon) -> None:
        """Store.

        Args:
            scene: where the game is.
            daemon: running, with a bundle.
        """
        self._scene = scene
        self._daemon = daemon
        self._stopped: set[str] = set()
        self._unstuck = 0
        self._decisions = 0
        self._too_late = 0
        self._stops: list[dict[str, Any]] = []
        self.scores: list[float] = []
        """By episode."""

    def episode(self) -> None:
        """Play one.

        Snake begins with its process and has no pause. One that was over before the daemon had the game is no play of
        ours: it is counted apart and begun anew.

        Raises:
            WorkerFailed: the daemon refused to play, time and again.
        """
        refused = ""
        for _ in range(_TRIES):
            with self._scene.game() as game:
                refused = self._hand_over(game)
                if not refused:
                    for _ in game.looks():
                        pass
                    self._stop()
            if not refused:
                self.scores.append(game.score)
                return
            self._too_late += 1
        raise WorkerFailed(f"play could not begin before the episode was over, {_TRIES} times: {refused}")

    def result(self) -> dict[str, Any]:
        """Scores, and how play went.

        `kill` says of every stop whether all keys were up within a second, and how long the guard took (ms);
        `handed_over_late` counts episodes that were begun anew.
        """
        ticks = self._daemon.status()["ticks"]
        return {
            "scores": self.scores,
            "stopped": sorted(self._stopped),
            "unstuck_share": round(self._unstuck / max(1, self._decisions), 4),
            "decisions": self._decisions,
            "handed_over_late": self._too_late,
            "late_frames": ticks["late_frames"],
            "lost_frames": ticks["lost_frames"],
            "kill": {
                "stops": len(self._stops),
                "all_up": all(stop["up"] for stop in self._stops),
                "latency_ms": [stop["latency_ms"] for stop in self._stops],
            },
        }

    def _hand_over(self, game: LiveGame) -> str:
        """Ask for play until it is granted; "" or why it was not before the episode was over."""
        refused = "it was not asked"
        for _ in game.looks():
            try:
                self._daemon.ask("play")
            except WorkerFailed as error:
                refused = str(error)
            else:
                return ""
        return refused

    def _stop(self) -> None:
        """Take the game back, and see to it that no key stays down."""
        self._daemon.ask("stop")
        display = connection.open_display(self._scene.desk.display)
        try:
            up = _all_up(display)
        finally:
            connection.close(display)
        status = self._daemon.wait(lambda now: bool(now["mode"] != "playing"), _ANSWER_S, lambda: time.sleep(0.02))
        last, play = status["last_stop"], status["play"]
        self._stops.append({"up": up, "latency_ms": round(last["latency_ms"], 2) if last else None})
        self._decisions += play["decisions"]
        self._unstuck += play["unstuck"]
        if last and last["kind"] != "stop":
            self._stopped.add(f"{last['kind']}: {last['reason']}")


def _all_up(display: Display) -> bool:
    """Whether the server has no key down, a second from now at the latest."""
    try:
        wait_until(lambda: not any(display.query_keymap()), _UP_S, "all keys to be up")
    except WorkerFailed:
        return False
    return True

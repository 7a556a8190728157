"""Keeps a guard running for the daemon: starts it, starts it anew when it was lost (the daemon's main thread)."""

import logging
import time
from collections.abc import Mapping

from tray_agent.core.desktop import Desktop
from tray_agent.core.events import Command
from tray_agent.errors import GuardLost, PlatformUnavailable
from tray_agent.guard.client import GuardClient
from tray_agent.guard.protocol import Game, GuardEvent, Hello, Lost, Ready

_log = logging.getLogger(__name__)
_RETRY_S = 2.0
_END_S = 2.0


class Guarding:
    """The daemon's only way to the guard. Fails closed: without a guard every request to play is refused."""

    def __init__(self, desktop: Desktop, hotkeys: Mapping[str, tuple[str, ...]], lease_ms: int) -> None:
        self._desktop = desktop
        self._hotkeys = dict(hotkeys)
        self._lease_ms = lease_ms
        self._client: GuardClient | None = None
        self._game: Game | None = None
        self._retry_at = 0.0
        self._unheard: list[GuardEvent] = []
        self.ready: Ready | None = None
        self.problem = ""
        """Why nothing can be pressed, "" while all is well."""

    @property
    def pid(self) -> int:
        """Process id of the guard, 0 without one."""
        return self._client.pid if self._client is not None else 0

    @property
    def presses(self) -> bool:
        """Whether what the guard is told reaches the game; True as long as no guard has said otherwise."""
        return self.ready is None or self.ready.report.presses

    def start(self) -> None:
        """Start a guard; on failure `problem` says why, and `poll` tries again now and then."""
        hello = Hello(self._desktop.guard_backend, self._hotkeys, dict(self._desktop.guard_options), self._lease_ms)
        client = GuardClient(hello)
        try:
            self.ready = client.start()
        except (PlatformUnavailable, GuardLost) as error:
            self.problem = str(error)
            self._retry_at = time.monotonic() + _RETRY_S
            return
        self._client, self.problem = client, ""
        for name, why in self.ready.report.hotkey_problems.items():
            _log.warning("hotkey %s: %s", name, why)
        if self._game is not None:
            client.set_game(self._game)

    def replace(self, hotkeys: Mapping[str, tuple[str, ...]], lease_ms: int) -> None:
        """Hear these hotkeys from now on, by another guard; play ends. Takes a moment."""
        if (dict(hotkeys), lease_ms) == (self._hotkeys, self._lease_ms):
            return
        self._hotkeys, self._lease_ms = dict(hotkeys), lease_ms
        client, self._client = self._client, None
        if client is not None:
            client.request_stop()
            client.join(_END_S)
            self._unheard += client.poll()
        self.start()

    def poll(self) -> list[GuardEvent]:
        """What the guard reported, never waiting; a lost guard is replaced."""
        unheard, self._unheard = self._unheard, []
        if self._client is None:
            if time.monotonic() >= self._retry_at:
                self.start()
            return unheard
        events = unheard + self._client.poll()
        for event in events:
            if isinstance(event, Lost):
                _log.error("%s", event.reason)
                self.problem = event.reason
                self._client, self._retry_at = None, 0.0
        return events

    def set_game(self, game: Game | None) -> None:
        """What may be pressed from now on; None: nothing."""
        if game == self._game:
            return
        self._game = game
        if self._client is not None:
            if game is None:
                self._client.clear_game()
            else:
                self._client.set_game(game)

    def ask_permit(self) -> str:
        """A person asks for play; "" when the guard was asked, else why not."""
        if self._client is None:
            return self.problem or "the guard is not running"
        self._client.ask_permit()
        return ""

    def act(self, epoch: int, seq: int, command: Command, t_ns: int | None = None) -> bool:
        """Hand a command over (tick thread); False when it was not taken."""
        client = self._client
        return client is not None and client.act(epoch, seq, command, t_ns)

    def revoke(self, reason: str) -> None:
        """Stop playing (any thread)."""
        client = self._client
        if client is not None:
            client.revoke(reason)

    def request_stop(self) -> None:
        """Ask the guard to let go and end."""
        if self._client is not None:
            self._client.request_stop()

    def join(self, deadline_s: float) -> bool:
        """Wait for it; False when late."""
        return self._client is None or self._client.join(deadline_s)

"""The icon and its menu. The main thread belongs to pystray's loop; the link's thread changes what it shows.

Nothing here waits for the daemon: a click puts a command into the link's queue.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tray_agent.clients.tray import backend, icons
from tray_agent.clients.tray.events import tell
from tray_agent.clients.tray.icons import TrayState
from tray_agent.clients.tray.link import DaemonLink, Message
from tray_agent.clients.tray.status import NEEDS_USER, TrayStatus
from tray_agent.errors import SettingsError

STOP_S = 2.0
"""pystray's stop() may never return; after this long the process ends without it."""
_ACTIVE_MODES = frozenset({TrayState.WATCHING, TrayState.PLAYING})


class Tray:
    """Shows the daemon's state and sends what the user chooses."""

    def __init__(
        self,
        link: DaemonLink,
        pystray: ModuleType,
        backend_name: str,
        folder: Callable[[], Path],
        settings_file: Callable[[], Path],
        leave: Callable[[int], None],
    ) -> None:
        """Store only.

        Args:
            link: the daemon.
            pystray: the module, as `backend.load` gave it.
            backend_name: which of pystray's backends it is.
            folder: what "Open folder" opens; may raise SettingsError.
            settings_file: what "Settings" opens; may raise SettingsError.
            leave: ends the process at once with an exit code; used when pystray does not stop.
        """
        self._link = link
        self._pystray = pystray
        self._backend = backend_name
        self._folder = folder
        self._settings_file = settings_file
        self._leave = leave
        self._status = TrayStatus(TrayState.IDLE)
        self._icon: Any = None
        self._told_shown = False
        self.exit_code: int | None = None

    def run(self, host_watch: Callable[[], None]) -> None:
        """Show the icon until `quit`, or until the backend gives up (`exit_code` is None then); on the main thread.

        Args:
            host_watch: called on the link's thread at every status; ends or replaces the process if the host went.

        Raises:
            OSError: the daemon is not there.
        """
        self._icon = self._pystray.Icon("tray-agent", icons.draw(TrayState.IDLE), "Tray Agent", self._menu())
        backend.mend(self._icon, self._backend)

        def on_status(status: TrayStatus) -> None:
            self.show(status)
            host_watch()

        def setup(icon: Any) -> None:
            icon.visible = True
            try:
                self._link.start(on_status, self._on_refused, self._on_gone)
            except OSError as error:
                tell("gone", f"the daemon is not there: {error}")
                self.quit(1)

        self._icon.run(setup)

    def show(self, status: TrayStatus) -> None:
        """Bring icon, tool tip and menu to `status`; touches only what changed."""
        before, self._status = self._status, status
        if not self._told_shown and backend.is_shown(self._icon, self._backend):
            self._told_shown = True
            tell("shown", f"the icon is in the tray ({self._backend})", backend=self._backend)
        if status.mode != before.mode:
            self._icon.icon = icons.draw(status.mode)
        if status.tooltip != before.tooltip:
            self._icon.title = status.tooltip
        if (status.headline, status.games) != (before.headline, before.games):
            self._icon.update_menu()
        if status.mode in NEEDS_USER and status.mode != before.mode:
            self._notify(f"{status.headline}. {status.detail}".strip())

    def quit(self, exit_code: int = 0) -> None:
        """End the loop; never blocks, and the process ends within STOP_S whatever pystray does."""
        self.exit_code = exit_code
        guard = threading.Timer(STOP_S, self._leave, [exit_code])
        guard.daemon = True
        guard.start()
        self._link.request_stop()
        threading.Thread(target=self._icon.stop, name="tray-stop", daemon=True).start()

    def _menu(self) -> Any:
        return self._pystray.Menu(self._items)

    def _items(self) -> Iterator[Any]:
        """The menu now. The bold entry is what a left click does."""
        item, separator = self._pystray.MenuItem, self._pystray.Menu.SEPARATOR
        mode = self._status.mode
        active = mode in _ACTIVE_MODES
        yield item(self._status.headline, None, enabled=False)
        yield separator
        yield item(
            "Watch", lambda: self._link.send("watch"), checked=lambda _: mode == TrayState.WATCHING, default=not active
        )
        yield item("Play", lambda: self._link.send("play"), checked=lambda _: mode == TrayState.PLAYING)
        yield item("Stop", lambda: self._link.send("stop"), default=active, enabled=active)
        if self._status.games:
            yield item("Game", self._pystray.Menu(*map(self._game_item, self._status.games)))
        yield separator
        yield item("Open folder", lambda: self._open(self._folder))
        yield item("Settings", lambda: self._open(self._settings_file))
        yield separator
        yield item("Quit", lambda: self._link.send("quit"))

    def _game_item(self, name: str) -> Any:
        chosen = self._status.game == name
        return self._pystray.MenuItem(
            name, lambda: self._link.send("game", name=name), checked=lambda _: chosen, radio=True
        )

    def _open(self, target: Callable[[], Path]) -> None:
        try:
            path = target()
            open_with_desktop(path)
        except (OSError, SettingsError) as error:
            self._notify(f"Could not open it: {error}")

    def _on_refused(self, command: Message, reason: str) -> None:
        tell("refused", reason, op=command.get("op"))
        self._notify(reason)

    def _on_gone(self) -> None:
        tell("gone", "the daemon has ended")
        self.quit()

    def _notify(self, text: str) -> None:
        if self._icon.HAS_NOTIFICATION:
            self._icon.notify(text, "Tray Agent")
        else:
            tell("notice", text)


def open_with_desktop(path: Path) -> None:
    """Open a file or folder with the program the user's desktop has for it.

    Raises:
        OSError: there is no such path, or no desktop to ask.
    """
    path = path if path.exists() else path.parent
    path.stat()
    if sys.platform == "win32":
        os.startfile(path)  # noqa: S606  # the user asked for it
    else:
        opener = "open" if sys.platform == "darwin" else "xdg-open"
        subprocess.Popen([opener, str(path)], stdin=-3, stdout=-3, stderr=-3, start_new_session=True)

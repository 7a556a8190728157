"""A desktop within a desktop: a Xephyr with a window manager for the game, around it the display of its devices."""

from collections.abc import Callable
from pathlib import Path

from tray_agent.core.events import WindowInfo
from tray_agent.platforms.x11.window import X11WindowProbe
from tray_agent.stage.displays import START_S, Displays, wait_until
from tray_agent.stage.keyboard import OuterKeyboard


class NestedDesk:
    """Owns both displays and the keyboard. Used by one thread."""

    def __init__(self, log: Path | None, size: tuple[int, int]) -> None:
        """Store.

        Args:
            log: file that takes what the programs print; None: nowhere.
            size: (width, height) of the screen, pixels.
        """
        self.displays = Displays(log)
        self.display = ""
        """Name of the display that programs run on."""
        self.outer = ""
        """Name of the display around it."""
        self.keyboard = OuterKeyboard("")
        self._size = size

    def start(self) -> None:
        """Start the servers, the window manager and the keyboard.

        Raises:
            PlatformUnavailable: a program is missing.
            WorkerFailed: one did not start.
        """
        self.outer = self.displays.xvfb(*self._size)
        self.display = self.displays.xephyr(self.outer, *self._size)
        self.displays.window_manager(self.display)
        self.keyboard = OuterKeyboard(self.outer)
        self.keyboard.start()

    def await_window(
        self, is_it: Callable[[WindowInfo], bool], what: str = "the game's window", timeout_s: float = START_S
    ) -> WindowInfo:
        """The window in front, once it is the one. Raises WorkerFailed after `timeout_s`."""
        seen: list[WindowInfo] = []
        probe = X11WindowProbe(self.display)
        probe.start()

        def is_there() -> bool:
            found = probe.active()
            seen[:] = [found] if found is not None and is_it(found) else []
            return bool(seen)

        try:
            wait_until(is_there, timeout_s, what)
        finally:
            probe.close()
        return seen[0]

    def close(self) -> None:
        """End everything; idempotent."""
        self.keyboard.close()
        self.displays.close()

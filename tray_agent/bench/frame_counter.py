"""Counts the pictures a window shows, by X Damage: the server tells, nobody reads pixels (the caller's thread)."""

import select

from Xlib.display import Display
from Xlib.ext import damage

from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.x11 import connection

_SAME_FRAME_NS = 6_000_000
"""Drawing within this time of a picture's first belongs to it (one picture may come in several pieces)."""


class FrameCounter:
    """Hears of every drawing in one window."""

    def __init__(self, display_name: str, window: int) -> None:
        """Store.

        Args:
            display_name: the X display.
            window: its number.
        """
        self._name = display_name
        self._window = window
        self._display: Display | None = None
        self._last_ns = 0
        self.frames = 0
        """Pictures so far."""

    def start(self) -> None:
        """Begin to count.

        Raises:
            PlatformUnavailable: no display, or no Damage extension.
        """
        display = connection.open_display(self._name)
        if not display.has_extension(damage.extname):
            connection.close(display)
            raise PlatformUnavailable("the X server has no Damage extension: frames can't be counted")
        display.damage_query_version()
        window = display.create_resource_object("window", self._window)
        # Every drawing, without our asking again after each: what is drawn meanwhile would not be reported.
        window.damage_create(damage.DamageReportRawRectangles)
        display.sync()
        self._display = display

    def fileno(self) -> int:
        """To select on."""
        assert self._display is not None  # noqa: S101 - start() opened it
        return int(self._display.fileno())

    def take(self, now_ns: int) -> None:
        """Count what has come in by `now_ns` (monotonic)."""
        assert self._display is not None  # noqa: S101 - start() opened it
        drawn = False
        while self._display.pending_events():
            self._display.next_event()
            drawn = True
        if drawn and now_ns - self._last_ns > _SAME_FRAME_NS:
            self.frames += 1
            self._last_ns = now_ns

    def wait(self, timeout_s: float) -> None:
        """Sleep until something was drawn, or the time is over."""
        select.select([self.fileno()], [], [], timeout_s)

    def close(self) -> None:
        """Disconnect; idempotent."""
        display, self._display = self._display, None
        if display is not None:
            display.display.socket.close()  # after Ctrl+C in a request, python-xlib's own close waits for ever

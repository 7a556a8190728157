"""A person's keyboard: what is pressed on the display around a Xephyr comes from a device, not from a program."""

from collections.abc import Iterable

from Xlib import X
from Xlib.display import Display
from Xlib.ext import xtest

from tray_agent.core.keys import EVDEV
from tray_agent.platforms.x11 import connection

_X_OFFSET = 8  # X keycode of an evdev code


class OuterKeyboard:
    """Holds keys down. Used by one thread."""

    def __init__(self, outer: str) -> None:
        """Store.

        Args:
            outer: the display whose XTest device is the keyboard inside.
        """
        self._name = outer
        self._display: Display | None = None
        self._down: frozenset[str] = frozenset()

    def start(self) -> None:
        """Connect, and put the pointer on the middle of the screen: the keys go where it is. PlatformUnavailable."""
        self._display = connection.open_display(self._name)
        screen = self._display.screen()
        xtest.fake_input(self._display, X.MotionNotify, x=screen.width_in_pixels // 2, y=screen.height_in_pixels // 2)
        self._display.sync()

    def hold(self, keys: Iterable[str]) -> None:
        """Hold exactly these keys from now on; what is let go goes first."""
        wanted = frozenset(keys)
        if wanted == self._down:
            return
        self._send(X.KeyRelease, self._down - wanted)
        self._send(X.KeyPress, wanted - self._down)
        self._down = wanted

    def close(self) -> None:
        """Disconnect; idempotent. What is held goes with the display."""
        display, self._display = self._display, None
        if display is not None:
            display.display.socket.close()  # after Ctrl+C in a request, python-xlib's own close waits for ever

    def _send(self, event: int, keys: frozenset[str]) -> None:
        assert self._display is not None  # noqa: S101 - start() opened it
        for name in sorted(keys):
            xtest.fake_input(self._display, event, EVDEV[name] + _X_OFFSET)
        self._display.sync()

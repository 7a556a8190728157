"""InputSource on X11: what is pressed and moved, by XI2 raw events. Used by the thread that calls `read`."""

import select
import time

from Xlib.display import Display

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.events import InputEvent
from tray_agent.errors import CaptureLost
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.raw_events import Devices, Translator


class X11InputSource:
    """Hears every device of a display. Events of the server's test devices (XTest) are marked `own`."""

    def __init__(self, display_name: str | None = None, clock: Clock | None = None) -> None:
        self._name = display_name
        self._clock = clock or MonotonicClock()
        self._display: Display | None = None
        self._devices: Devices | None = None
        self._translator: Translator | None = None

    def start(self) -> None:
        """Connect and begin to listen.

        Raises:
            PlatformUnavailable: no display, or no XInput 2.1.
        """
        display = connection.open_display(self._name)
        try:
            connection.announce_xi2(display)
            self._devices = Devices(display)
            self._devices.listen()
            self._translator = Translator(display, self._devices, connection.Keymap(display), self._clock)
        except BaseException:
            connection.close(display)
            raise
        self._display = display

    def read(self, timeout_s: float) -> list[InputEvent]:
        """Events since the last call, in order; waits up to `timeout_s` for the first.

        Raises:
            CaptureLost: the display has gone.
        """
        if self._display is None:
            raise CaptureLost("input is not being heard: the source is not started")
        try:
            return self._read(self._display, time.monotonic() + timeout_s)
        except connection.LOST as failure:
            raise CaptureLost(f"the X display that input came from has gone: {failure}") from failure

    def _read(self, display: Display, deadline: float) -> list[InputEvent]:
        while not (events := self._take(display)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([display.fileno()], [], [], left)[0]:
                return self._take(display)
        return events

    def _take(self, display: Display) -> list[InputEvent]:
        """Everything that has arrived, never blocking."""
        events: list[InputEvent] = []
        assert self._devices is not None and self._translator is not None  # noqa: S101, PT018  # set by start()
        while display.pending_events():
            raw = self._devices.raw(display.next_event())
            if raw is not None:
                device = self._devices.get(raw.sourceid)
                events += self._translator.events(raw, own=device is not None and device.xtest)
        return events

    def close(self) -> None:
        """Disconnect; idempotent."""
        display, self._display = self._display, None
        connection.close(display)

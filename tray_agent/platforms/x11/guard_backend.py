"""The guard's hands and ears on X11: presses by XTest, hears every device by XI2 raw events, watches the focus.

Used by the guard's only thread. Standard library and python-xlib only.
"""

import contextlib
import select
from collections.abc import Callable

from Xlib import X, error
from Xlib.display import Display
from Xlib.ext import xtest

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.events import Command, InputEvent, WindowInfo
from tray_agent.core.guard_port import NO_PAD, BackendReport, Heard
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.x11 import connection, hotkeys
from tray_agent.platforms.x11.presser import Ledger, XTestPresser, leftovers
from tray_agent.platforms.x11.raw_events import Devices, RawEvent, Translator, is_focus_news
from tray_agent.platforms.x11.window import find_active

_WATCHED = X.StructureNotifyMask | X.FocusChangeMask
_DEAF = "the display has no keyboard or mouse besides the test devices that programs press through"


class X11GuardBackend:
    """Implements `core.guard_port.GuardBackend`.

    Args:
        display_name: None for $DISPLAY.
        third_party: what presses of other programs are (XTest as well, but not in our ledger): "player", since whoever
            uses an on-screen keyboard or a voice program is a person; or "ignore": not reported, hotkeys neither.
    """

    def __init__(
        self, display_name: str | None = None, clock: Clock | None = None, third_party: str = "player"
    ) -> None:
        self._name = display_name
        self._ignores_others = third_party == "ignore"
        self._clock = clock or MonotonicClock()
        self._display: Display | None = None
        self._lost = ""
        self._watched = 0

    def start(self, hotkeys: dict[str, tuple[str, ...]]) -> BackendReport:
        """Connect, reserve the hotkeys, listen to every device.

        Raises:
            PlatformUnavailable: no display, or XTest or XInput 2.1 are missing.
        """
        display = connection.open_display(self._name)
        try:
            report = self._set_up(display, hotkeys)
        except connection.LOST as failure:
            raise PlatformUnavailable(f"The X display went away at once: {failure}") from failure
        except BaseException:
            connection.close(display)
            raise
        self._display = display
        self._lost = ""
        return report

    def _set_up(self, display: Display, wanted: dict[str, tuple[str, ...]]) -> BackendReport:
        connection.require(display, xtest.extname, "pressing keys")
        connection.announce_xi2(display)
        keymap = connection.Keymap(display)
        self._active_atom = display.get_atom("_NET_ACTIVE_WINDOW")
        self._root_id = display.screen().root.id
        self._devices = Devices(display)
        self._translator = Translator(display, self._devices, keymap, self._clock)
        self._ledger = Ledger()
        self._presser = XTestPresser(display, keymap, self._ledger)
        self._keymap = keymap
        self._devices.listen()
        connection.set_root_events(display)
        problems = hotkeys.reserve(display, keymap, wanted)
        hears = bool(self._devices.physical())
        return BackendReport(
            hears_player=hears, why_deaf="" if hears else _DEAF, hotkey_problems=problems, no_pad=NO_PAD
        )

    def wait(self, command_fd: int, timeout_s: float) -> Heard:
        """Sleep until something comes in, `command_fd` is readable, or `timeout_s` passed. Never raises."""
        try:
            return self._wait(command_fd, timeout_s)
        except Exception as failure:  # noqa: BLE001  # whatever broke: a guard that can't hear must let go, not die
            return Heard(lost=self._lose(failure))

    def _wait(self, command_fd: int, timeout_s: float) -> Heard:
        display = self._connected()
        events, focus = self._take(display)
        sleep_s = 0.0 if events or focus else max(0.0, timeout_s)
        ready = select.select([display.fileno(), command_fd], [], [], sleep_s)[0]
        if display.fileno() in ready:
            more, moved = self._take(display)
            events, focus = events + more, focus or moved
        return Heard(tuple(events), focus, commands_ready=command_fd in ready)

    def _take(self, display: Display) -> tuple[list[InputEvent], bool]:
        """All that has arrived, and whether the focus may have changed. Also sends what is queued."""
        events: list[InputEvent] = []
        focus = False
        while display.pending_events():
            event = display.next_event()
            raw = self._devices.raw(event)
            if raw is not None:
                events += self._heard(raw)
            elif is_focus_news(event, self._root_id, self._active_atom):
                focus = True
        return events, focus

    def _heard(self, raw: RawEvent) -> list[InputEvent]:
        device = self._devices.get(raw.sourceid)
        injected = device is not None and device.xtest
        own = injected and self._ledger.recognise(raw)
        if injected and not own and self._ignores_others:
            return []
        return self._translator.events(raw, own)

    def active(self) -> WindowInfo | None:
        """The window in front; from now on its moving, closing and losing the focus are reported. Never raises."""
        try:
            display = self._connected()
            found = find_active(display)
            self._watch(display, found.handle if found else 0)
        except Exception as failure:  # noqa: BLE001  # no window in front is the safe answer
            self._lose(failure)
            return None
        return found

    def _watch(self, display: Display, handle: int) -> None:
        if handle == self._watched:
            return
        for number, mask in ((self._watched, X.NoEventMask), (handle, _WATCHED)):
            if number and number != self._root_id:
                window = display.create_resource_object("window", number)
                window.change_attributes(event_mask=mask, onerror=error.CatchError())
        display.flush()
        self._watched = handle

    def apply(self, command: Command) -> None:
        """Make exactly `command.held` be down among what this backend pressed, and move what is to be moved.

        Raises:
            OSError: the display has gone.
        """
        try:
            self._connected()
            self._presser.apply(command)
        except connection.LOST as failure:
            raise OSError(self._lose(failure)) from failure

    def release_all(self) -> tuple[str, ...]:
        """Let go of all that this backend pressed; returns the names. Never raises.

        The server itself keeps a key down that the player holds on a device of their own. Returns only when the
        server has answered: it throws away unread requests of a client that disconnects right after sending them.
        """
        return self._attempt(self._release_all)

    def _release_all(self, display: Display) -> tuple[str, ...]:
        names = self._presser.release_all()
        if names:
            display.sync()
        return names

    def release_leftovers(self) -> tuple[str, ...]:
        """Let go of whatever is down on the test devices, whoever pressed it; returns names. Never raises."""
        return self._attempt(self._release_leftovers)

    def _release_leftovers(self, display: Display) -> tuple[str, ...]:
        self._presser.release_all()
        names = []
        for event, code in leftovers(display, self._devices.xtest_ids()):
            self._presser.fake(event, code)
            is_key = event == X.KeyRelease
            name = self._keymap.key_name(code) if is_key else self._keymap.button_name(code)
            names.append(name or f"{'key' if is_key else 'button'} {code}")
        display.sync()
        return tuple(names)

    def _attempt(self, action: Callable[[Display], tuple[str, ...]]) -> tuple[str, ...]:
        try:
            return action(self._connected())
        except Exception as failure:  # noqa: BLE001  # releasing may never raise
            self._lose(failure)
            return ()

    def _connected(self) -> Display:
        if self._display is None:
            raise ConnectionError(self._lost or "not connected to an X display")
        return self._display

    def _lose(self, failure: BaseException) -> str:
        """Remember why the connection is of no use any more."""
        if isinstance(failure, connection.LOST) or not self._lost:
            self._lost = self._lost or f"the X display has gone: {failure}"
        return self._lost

    def close(self) -> None:
        """Release, disconnect; idempotent, never raises."""
        if self._display is not None:
            self.release_all()
        display, self._display = self._display, None
        with contextlib.suppress(Exception):
            if display is not None:
                display.sync()  # see release_all: what was sent last must be read before we go
            connection.close(display)

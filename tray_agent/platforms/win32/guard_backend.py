"""Hands and ears of the guard on Windows (standard library only).

Runs in the guard's one thread, which must make every call after `start()`: Windows posts raw input and hotkeys to the
queue of the thread that asked for them. While it waits, input wakes it at once; the command pipe, which Windows can't
wait for, is looked at every `_POLL_S`. So a command may be that late, a kill hotkey or a touch never.
"""

import contextlib
import time

from tray_agent.core.clock import Clock
from tray_agent.core.events import Command, WindowInfo
from tray_agent.core.guard_port import NO_PAD, BackendReport, Heard
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.win32 import sink as sink_module
from tray_agent.platforms.win32 import structs, window
from tray_agent.platforms.win32.api import Api, Caller, NativeCaller
from tray_agent.platforms.win32.hotkeys import Hotkeys
from tray_agent.platforms.win32.rawinput import RawListener, is_down

_POLL_S = 0.004
_SELF_TEST_S = 0.5
# Plain time-outs are rounded to the system's tick, which is this long at worst.
_TICK_MS = 16


class Win32GuardBackend:
    """GuardBackend port.

    Args:
        caller: performs the Windows calls; this process does by default.
        clock: stamps the events.
        third_party: "player" or "ignore": what presses of other programs count as. Some touchpads look like one.
    """

    def __init__(self, caller: Caller | None = None, clock: Clock | None = None, third_party: str = "player") -> None:
        self._api = Api(caller or NativeCaller())
        self._ledger = sink_module.SentLedger(ignore_others=third_party == "ignore")
        self._sink = sink_module.Win32Sink(self._api, self._ledger)
        self._listener = RawListener(self._api, self._ledger.is_own, clock)
        self._hotkeys = Hotkeys(self._api, self._listener)
        self._timer = 0
        self._foreground = 0
        self._checked: dict[int, str] = {}
        self._started = False

    def start(self, hotkeys: dict[str, tuple[str, ...]]) -> BackendReport:
        """Listen, reserve the hotkeys, and prove by one harmless event that what is sent is also heard.

        Raises PlatformUnavailable.
        """
        self._api.caller.start()
        window.use_physical_pixels(self._api)
        self._listener.start()
        self._started = True
        self._timer = self._api.create_timer()
        self._foreground = self._api.foreground()
        problems = self._hotkeys.register(hotkeys)
        why_deaf = self._why_deaf()
        return BackendReport(hears_player=not why_deaf, why_deaf=why_deaf, hotkey_problems=problems, no_pad=NO_PAD)

    def _why_deaf(self) -> str:
        try:
            self._api.send_input([sink_module.unassigned_key_up()])
        except OSError as error:
            return str(error)
        deadline = time.perf_counter() + _SELF_TEST_S
        while (left := deadline - time.perf_counter()) > 0:
            self._api.wait(max(1, int(left * 1000)))
            if self._heard_test_key():
                return ""
        return (
            "a test key sent by this program did not come back through Raw Input; bring a window to the front that "
            "does not run as administrator, then start again"
        )

    def _heard_test_key(self) -> bool:
        heard = False
        while (message := self._api.next_message()) is not None:
            if message.message == structs.WM_INPUT and (raw := self._api.take_raw(message)) is not None:
                is_key = raw.header.dwType == structs.RIM_TYPEKEYBOARD
                heard = heard or (is_key and raw.data.keyboard.VKey == sink_module.UNASSIGNED_KEY)
        return heard

    def wait(self, command_fd: int, timeout_s: float) -> Heard:
        """Sleep until something comes in; see the port. `command_fd` must be a pipe."""
        try:
            return self._wait(command_fd, timeout_s)
        except Exception as error:  # noqa: BLE001  # whatever broke: a guard that can't hear must let go, not die
            return Heard(lost=f"listening broke: {type(error).__name__}: {error}")

    def _wait(self, command_fd: int, timeout_s: float) -> Heard:
        deadline = time.perf_counter() + timeout_s
        while True:
            heard = self._look(command_fd)
            left = deadline - time.perf_counter()
            if heard != Heard() or left <= 0:
                return heard
            if not self._sleep(min(left, _POLL_S)):
                return Heard(lost=f"waiting for input failed (Windows error {self._api.caller.last_error()})")

    def _look(self, command_fd: int) -> Heard:
        events, numbers = self._listener.drain()
        held = frozenset(self._sink.held)
        for number in numbers:
            events += self._hotkeys.pressed(number, held)
        events += self._listener.resync(noted_only=True)
        foreground = self._api.foreground()
        focus_changed = foreground != self._foreground
        if focus_changed:
            self._foreground = foreground
            events += self._listener.resync()
        return Heard(tuple(events), focus_changed, "", self._api.commands_ready(command_fd))

    def _sleep(self, seconds: float) -> bool:
        if self._timer and self._api.set_timer(self._timer, seconds):
            return self._api.wait(int(seconds * 1000) + _TICK_MS, self._timer)
        return self._api.wait(max(1, int(seconds * 1000)))

    def active(self) -> WindowInfo | None:
        return window.active_window(self._api)

    def apply(self, command: Command) -> None:
        """See the port. Raises OSError, also where Windows would silently drop the keys (PermissionError)."""
        self._refuse_unreachable()
        self._sink.apply(command.held, command.relative)

    def _refuse_unreachable(self) -> None:
        """Neither SendInput's result nor the error code tells that a window with more rights got nothing."""
        front = self._api.foreground()
        if front not in self._checked:
            self._checked = {front: window.why_unreachable(self._api, front) if front else ""}
        if self._checked[front]:
            raise PermissionError(
                f"{self._checked[front]}, so Windows drops the keys sent to it; start the game without "
                "administrator rights"
            )

    def release_all(self) -> tuple[str, ...]:
        """See the port; what the player holds, as heard by Raw Input, is left down."""
        if not self._started:
            return ()
        return self._sink.release_all(keep=self._listener.down_by_player)

    def release_leftovers(self) -> tuple[str, ...]:
        """See the port. Releases all that is down but what was heard of the player: Windows keeps no other record."""
        try:
            self._api.caller.start()
            suspects = sorted(sink_module.PRESSABLE - self._listener.down_by_player)
            found = tuple(name for name in suspects if is_down(self._api, name))
        except (OSError, PlatformUnavailable):
            return ()
        self._sink.release(found)
        return found

    def close(self) -> None:
        if not self._started:
            return
        self.release_all()
        self._started = False
        for step in (self._hotkeys.close, self._listener.close, self._close_timer):
            with contextlib.suppress(OSError):
                step()

    def _close_timer(self) -> None:
        timer, self._timer = self._timer, 0
        if timer:
            self._api.close_handle(timer)

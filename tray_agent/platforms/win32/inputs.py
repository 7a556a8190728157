"""What the player presses, for the recorder: InputSource by Raw Input, and a fallback by the `keyboard` and `mouse`
packages.

`Win32InputSource` owns one thread ("raw-input"), started in `start()`, which owns the message window; `read()` belongs
to the caller's thread, a queue lies between.
"""

import contextlib
import queue
import threading
from typing import Any

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.events import InputEvent
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.win32 import scancodes
from tray_agent.platforms.win32.api import Api, Caller, NativeCaller
from tray_agent.platforms.win32.rawinput import Change, RawListener
from tray_agent.platforms.win32.sink import TAG

_LOOK_FOR_STOP_MS = 50
_START_S = 5.0


class EventQueue:
    """Events from a thread of the source to `read()`."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[InputEvent] = queue.SimpleQueue()

    def put(self, event: InputEvent) -> None:
        self._queue.put(event)

    def read(self, timeout_s: float) -> list[InputEvent]:
        """All that waits; waits up to `timeout_s` for the first."""
        events: list[InputEvent] = []
        with contextlib.suppress(queue.Empty):
            events.append(self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait())
            while True:
                events.append(self._queue.get_nowait())
        return events


class Win32InputSource:
    """InputSource port.

    An event is our own when it carries the guard's tag. Where Windows gives no device for an event, it was injected by
    some program (or comes from one of the touchpads that do the same) and is not recorded as the player's either.

    Args:
        record_injected: count untagged injected input (on-screen keyboard, AutoHotkey) as the player's.
    """

    def __init__(self, clock: Clock | None = None, caller: Caller | None = None, record_injected: bool = False) -> None:
        self._api = Api(caller or NativeCaller())
        self._record_injected = record_injected
        self._listener = RawListener(self._api, self._is_own, clock)
        self._events = EventQueue()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._failure: PlatformUnavailable | None = None

    def _is_own(self, change: Change) -> bool:
        return change.tag == TAG or (change.device == 0 and not self._record_injected)

    def start(self) -> None:
        """Raises PlatformUnavailable."""
        self._api.caller.start()
        self._thread = threading.Thread(target=self._run, name="raw-input", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_S):
            self.close()
            raise PlatformUnavailable(f"Raw Input did not start within {_START_S:.0f} s", "Sign out and in again.")
        if self._failure is not None:
            self.close()
            raise self._failure

    def _run(self) -> None:
        try:
            self._listener.start()
        except PlatformUnavailable as failure:
            self._failure = failure
            return
        finally:
            self._ready.set()
        try:
            self._pump()
        finally:
            self._listener.close()

    def _pump(self) -> None:
        front = self._api.foreground()
        while not self._stopping.is_set() and self._api.wait(_LOOK_FOR_STOP_MS):
            for event in self._listener.drain()[0]:
                self._events.put(event)
            if (now_front := self._api.foreground()) != front:
                front = now_front
                for event in self._listener.resync():
                    self._events.put(event)

    def read(self, timeout_s: float) -> list[InputEvent]:
        return self._events.read(timeout_s)

    def close(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_START_S)
            self._thread = None


_KEYPAD_ONLY = frozenset({0x47, 0x48, 0x49, 0x4B, 0x4C, 0x4D, 0x4F, 0x50, 0x51, 0x52, 0x53})
_ON_KEYPAD_EXTENDED = frozenset({0x1C, 0x35})
_BUTTONS = {
    "left": "MouseLeft", "right": "MouseRight", "middle": "MouseMiddle", "x": "MouseBack", "x2": "MouseForward",
}  # fmt: skip


def package_key(scan_code: int, name: str | None, is_keypad: bool) -> str | None:
    """Key name of an event of the `keyboard` package, which drops the extended bit; it is guessed back."""
    right = (name or "").startswith("right ") or name == "alt gr"
    extended = (
        (scan_code in _KEYPAD_ONLY and not is_keypad)
        or (scan_code in _ON_KEYPAD_EXTENDED and is_keypad)
        or (scan_code in (0x1D, 0x38) and right)
        or scan_code in (0x5B, 0x5C, 0x5D)
    )
    return scancodes.name_of(scancodes.ScanCode(scan_code, extended), 0)


class PackageInputSource:
    """InputSource over the `keyboard` and `mouse` packages, for machines where Raw Input fails.

    Worse in three ways: it can't tell injected events (`own` is always False, so never record with it while the agent
    plays), it sees no mouse motion while a game locks the pointer, and Windows may drop its hooks silently.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or MonotonicClock()
        self._events = EventQueue()
        self._down: set[str] = set()
        self._pointer: tuple[int, int] | None = None
        self._modules: tuple[Any, Any] | None = None

    def start(self) -> None:
        """Raises PlatformUnavailable."""
        try:
            import keyboard
            import mouse
        except (ImportError, OSError) as error:
            remedy = "Install them: pip install keyboard mouse."
            raise PlatformUnavailable(f"the keyboard and mouse packages do not load: {error}", remedy) from error
        keyboard.hook(self.on_key)
        mouse.hook(self.on_mouse)
        self._modules = keyboard, mouse

    def on_key(self, event: Any) -> None:
        """Callback, in a thread of the package. Takes a `keyboard.KeyboardEvent`."""
        name = package_key(event.scan_code, event.name, bool(event.is_keypad))
        if name is not None:
            self._button(name, event.event_type == "down")

    def on_mouse(self, event: Any) -> None:
        """Callback, in a thread of the package. Takes a `mouse` ButtonEvent, WheelEvent or MoveEvent."""
        if hasattr(event, "button"):
            # Any press soon after another comes as "double".
            if (name := _BUTTONS.get(event.button)) is not None:
                self._button(name, event.event_type != "up")
        elif hasattr(event, "delta"):
            self._put("relative", "WheelY", float(event.delta))
        else:
            self._moved(event.x, event.y)

    def _moved(self, x: int, y: int) -> None:
        before, self._pointer = self._pointer or (x, y), (x, y)
        for control, delta in (("MouseX", x - before[0]), ("MouseY", y - before[1])):
            if delta:
                self._put("relative", control, float(delta))

    def _button(self, name: str, down: bool) -> None:
        if down and name in self._down:
            return
        (self._down.add if down else self._down.discard)(name)
        self._put("button", name, float(down))

    def _put(self, kind: Any, control: str, value: float) -> None:
        self._events.put(InputEvent(self._clock.now_ns(), kind, control, value, "hook"))

    def read(self, timeout_s: float) -> list[InputEvent]:
        return self._events.read(timeout_s)

    def close(self) -> None:
        if self._modules is not None:
            keyboard, mouse = self._modules
            with contextlib.suppress(KeyError, ValueError):
                keyboard.unhook(self.on_key)
            with contextlib.suppress(KeyError, ValueError):
                mouse.unhook(self.on_mouse)
            self._modules = None

"""Event taps of macOS through pynput (never run on a Mac).

pynput runs the callbacks in two threads of its own; they put events where the owner says. Only processes that the
user allowed under Accessibility hear anything, and without that macOS stays silent instead of failing.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.events import EventKind, InputEvent
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.darwin.keycodes import BUTTONS, NAMES

_READY_S = 5.0
REMEDY = "Allow this program under System Settings, Privacy & Security, Accessibility, then start it again."


def load_pynput() -> tuple[Any, Any]:
    """pynput's keyboard and mouse modules. Raises PlatformUnavailable."""
    try:
        from pynput import keyboard, mouse
    except Exception as error:
        raise PlatformUnavailable(f"pynput does not load here: {error}", "It works on macOS only.") from error
    return keyboard, mouse


class EventTaps:
    """Hears keyboard and mouse.

    Args:
        deliver: gets each event, in a thread of pynput; must be quick and not raise.
        is_own: tells of injected changes (kind, control, value) whether this process sent them.
        injected_is_own: count injected events of others as the agent's too (a recorder can't know its guard's).
    """

    def __init__(
        self,
        deliver: Callable[[InputEvent], None],
        is_own: Callable[[EventKind, str, float], bool],
        injected_is_own: bool,
        clock: Clock | None = None,
    ) -> None:
        self._deliver = deliver
        self._is_own = is_own
        self._injected_is_own = injected_is_own
        self._clock: Clock = clock or MonotonicClock()
        self._pointer: tuple[float, float] | None = None
        self._lock = threading.Lock()
        self._down: set[str] = set()
        self._listeners: list[Any] = []

    @property
    def down_by_player(self) -> frozenset[str]:
        """Buttons that the player holds, as far as heard."""
        with self._lock:
            return frozenset(self._down)

    def start(self) -> str:
        """Begin; returns why nothing will be heard, "" when all is well. Raises PlatformUnavailable."""
        keyboard, mouse = load_pynput()
        self._listeners = [
            keyboard.Listener(on_press=self.on_press, on_release=self.on_release),
            mouse.Listener(on_move=self.on_move, on_click=self.on_click, on_scroll=self.on_scroll),
        ]
        for listener in self._listeners:
            listener.start()
        for listener in self._listeners:
            self._await(listener)
        trusted = all(getattr(listener, "IS_TRUSTED", True) for listener in self._listeners)
        return "" if trusted else f"macOS does not let this program hear the keyboard. {REMEDY}"

    def _await(self, listener: Any) -> None:
        ready = threading.Thread(target=listener.wait, name="pynput-ready", daemon=True)
        ready.start()
        ready.join(_READY_S)
        if ready.is_alive():
            self.close()
            raise PlatformUnavailable(f"pynput's listener did not start within {_READY_S:.0f} s", REMEDY)

    def close(self) -> None:
        for listener in self._listeners:
            with contextlib.suppress(Exception):
                listener.stop()
        self._listeners = []

    def on_press(self, key: Any, injected: bool = False) -> None:
        """Callback of pynput."""
        self._key(key, 1.0, injected)

    def on_release(self, key: Any, injected: bool = False) -> None:
        """Callback of pynput."""
        self._key(key, 0.0, injected)

    def _key(self, key: Any, value: float, injected: bool) -> None:
        code = getattr(getattr(key, "value", key), "vk", None)
        if code is not None and (name := NAMES.get(code)) is not None:
            self._put("button", name, value, injected)

    def on_click(self, _x: float, _y: float, button: Any, pressed: bool, injected: bool = False) -> None:
        """Callback of pynput."""
        if (name := BUTTONS.get(button.name)) is not None:
            self._put("button", name, float(pressed), injected)

    def on_scroll(self, _x: float, _y: float, dx: float, dy: float, injected: bool = False) -> None:
        """Callback of pynput."""
        for control, amount in (("WheelX", dx), ("WheelY", dy)):
            if amount:
                self._put("relative", control, float(amount), injected)

    def on_move(self, x: float, y: float, injected: bool = False) -> None:
        """Callback of pynput. Positions only: motion in a game that locks the pointer is not seen."""
        before, self._pointer = self._pointer or (x, y), (x, y)
        for control, delta in (("MouseX", x - before[0]), ("MouseY", y - before[1])):
            if delta:
                self._put("relative", control, float(delta), injected)

    def _put(self, kind: EventKind, control: str, value: float, injected: bool) -> None:
        own = injected and (self._injected_is_own or self._is_own(kind, control, value))
        if kind == "button" and not own:
            with self._lock:
                if value and control in self._down:
                    return
                (self._down.add if value else self._down.discard)(control)
        self._deliver(InputEvent(self._clock.now_ns(), kind, control, value, "tap", own))

"""InputSource on macOS (never run on a Mac). Events come from pynput's threads through a queue to `read()`."""

import contextlib
import queue

from tray_agent.core.clock import Clock
from tray_agent.core.events import InputEvent
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.darwin.taps import REMEDY, EventTaps


class DarwinInputSource:
    """InputSource port. All injected input counts as the agent's: the guard's can't be told from other programs'."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._queue: queue.SimpleQueue[InputEvent] = queue.SimpleQueue()
        self._taps = EventTaps(self._queue.put, lambda *_: True, injected_is_own=True, clock=clock)

    def start(self) -> None:
        """Raises PlatformUnavailable, also when macOS withholds the keyboard."""
        if why_deaf := self._taps.start():
            self._taps.close()
            raise PlatformUnavailable(why_deaf.removesuffix(REMEDY).rstrip(". "), REMEDY)

    def read(self, timeout_s: float) -> list[InputEvent]:
        events: list[InputEvent] = []
        with contextlib.suppress(queue.Empty):
            events.append(self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait())
            while True:
                events.append(self._queue.get_nowait())
        return events

    def close(self) -> None:
        self._taps.close()

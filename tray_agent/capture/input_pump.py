"""Reads the input source on a thread of its own, so that time stamps are exact whatever the tick loop does."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from tray_agent.core.events import InputEvent
from tray_agent.core.ports import InputSource
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.runtime.short_slices import prefer_short_slices
from tray_agent.runtime.worker import StopSignal, Worker

_log = logging.getLogger(__name__)
_READ_S = 0.2
_RETRY_S = 1.0
_MAX_WAITING = 20_000


class InputPump:
    """Owns the input source. `take` is for the tick thread, the rest for the daemon's."""

    def __init__(self, make_source: Callable[[], InputSource]) -> None:
        self._make_source = make_source
        self._waiting: deque[InputEvent] = deque(maxlen=_MAX_WAITING)
        self._down: dict[str, InputEvent] = {}
        self._lock = Lock()
        self._worker = Worker("inputs", self._run)
        self._problem = ""
        self.last_player_ns = 0
        """When the player last touched anything, mapped or not (0: never)."""

    @property
    def problem(self) -> str:
        """Why nothing is heard, "" while all is well."""
        return self._problem

    def start(self) -> None:
        """Start the thread; a source that can't start is tried again every second."""
        self._worker.start()

    def take(self, before_ns: int) -> list[InputEvent]:
        """Events that happened before `before_ns` and were not taken yet, in order of arrival."""
        with self._lock:
            taken = [event for event in self._waiting if event.t_ns < before_ns]
            if taken:
                rest = [event for event in self._waiting if event.t_ns >= before_ns]
                self._waiting.clear()
                self._waiting.extend(rest)
        return taken

    def begin_anew(self, now_ns: int) -> None:
        """Forget what waits; what the player holds right now comes again as events of `now_ns`.

        Who begins to watch in the middle of a press would otherwise never learn of it.
        """
        with self._lock:
            self._waiting.clear()
            self._waiting.extend(replace(event, t_ns=now_ns) for event in self._down.values())

    def request_stop(self) -> None:
        """Ask the thread to end."""
        self._worker.request_stop()

    def join(self, deadline_s: float) -> bool:
        """Wait for its end; False when late."""
        return self._worker.join(deadline_s)

    def _run(self, stop: StopSignal) -> None:
        prefer_short_slices()  # events are stamped when they are read
        while not stop.is_set():
            source = self._make_source()
            try:
                source.start()
                self._problem = ""
                self._pump(source, stop)
            except (PlatformUnavailable, CaptureLost) as error:
                if str(error) != self._problem:
                    _log.warning("inputs: %s", error)
                self._problem = str(error)
                stop.wait(_RETRY_S)
            finally:
                source.close()
                with self._lock:
                    self._down.clear()

    def _pump(self, source: InputSource, stop: StopSignal) -> None:
        while not stop.is_set():
            events = source.read(_READ_S)
            if not events:
                continue
            with self._lock:
                self._waiting.extend(events)
                self._remember(events)
            self.last_player_ns = max([self.last_player_ns, *(e.t_ns for e in events if not e.own)])

    def _remember(self, events: list[InputEvent]) -> None:
        for event in events:
            if event.own or event.kind == "relative":
                continue
            if event.value:
                self._down[event.control] = event
            else:
                self._down.pop(event.control, None)

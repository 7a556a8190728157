"""Reads the input source on a thread of its own, so that time stamps are exact whatever the tick loop does."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import Protocol

from tray_agent.core.events import InputEvent
from tray_agent.core.ports import InputSource
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.runtime.short_slices import prefer_short_slices
from tray_agent.runtime.worker import StopSignal, Worker

_log = logging.getLogger(__name__)
_READ_S = 0.2
_RETRY_S = 1.0
_MAX_WAITING = 20_000


class Inputs(Protocol):
    """What an observer needs: the events of each tick."""

    def take(self, before_ns: int) -> list[InputEvent]:
        """Events that happened before `before_ns` and were not taken yet, in order of arrival."""
        ...

    def begin_anew(self, now_ns: int) -> None:
        """Listen from now on; what the player holds right now comes again as events of `now_ns`."""
        ...

    def pause(self) -> None:
        """Keep nothing until `begin_anew`."""
        ...


class InputPump:
    """Owns the input source. `take`, `begin_anew` and `pause` are for the tick thread, the rest for the daemon's.

    What is pressed while nobody watches - before `begin_anew`, after `pause` - is forgotten at once: it may be a
    password typed into another program.
    """

    def __init__(self, make_source: Callable[[], InputSource]) -> None:
        self._make_source = make_source
        self._waiting: deque[InputEvent] = deque(maxlen=_MAX_WAITING)
        self._down: dict[str, InputEvent] = {}
        self._listening = False
        self._newest_ns = 0
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
        """Listen from now on; what the player holds right now comes again as events of `now_ns`.

        Who begins to watch in the middle of a press would otherwise never learn of it.
        """
        with self._lock:
            self._listening = True
            self._waiting.clear()
            self._waiting.extend(replace(event, t_ns=now_ns) for event in self._down.values())

    def pause(self) -> None:
        """Keep nothing until `begin_anew`."""
        with self._lock:
            self._listening = False
            self._waiting.clear()

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
                self._let_go()

    def _pump(self, source: InputSource, stop: StopSignal) -> None:
        while not stop.is_set():
            events = source.read(_READ_S)
            if not events:
                continue
            with self._lock:
                if self._listening:
                    self._waiting.extend(events)
                self._newest_ns = max(self._newest_ns, *(e.t_ns for e in events))
                self._remember(events)
            self.last_player_ns = max([self.last_player_ns, *(e.t_ns for e in events if not e.own)])

    def _let_go(self) -> None:
        """The device is gone, and the releases with it: without them keys would count as held for ever."""
        with self._lock:
            if self._listening:
                self._waiting.extend(replace(e, t_ns=self._newest_ns, value=0.0) for e in self._down.values())
            self._down.clear()

    def _remember(self, events: list[InputEvent]) -> None:
        for event in events:
            if event.own or event.kind == "relative":
                continue
            if event.value:
                self._down[event.control] = event
            else:
                self._down.pop(event.control, None)


class SteppedInputs:
    """Reads a source that never waits, on the caller's thread: for desktops whose time moves only with ticks."""

    def __init__(self, source: InputSource) -> None:
        self._source = source
        self._waiting: list[InputEvent] = []

    def take(self, before_ns: int) -> list[InputEvent]:
        """Events that happened before `before_ns` and were not taken yet, in order of arrival."""
        events = self._waiting + self._source.read(0.0)
        self._waiting = [event for event in events if event.t_ns >= before_ns]
        return [event for event in events if event.t_ns < before_ns]

    def begin_anew(self, now_ns: int) -> None:
        """Nothing to do: a stepped desktop is never left and never missed."""

    def pause(self) -> None:
        """Nothing to do, as above."""

"""What the player does, on keyboard and mouse *and* on pads (standard library only).

Owns one thread ("inputs-beside-pads") that reads the desktop's own source, and the pads' reader with its thread; both
put events into one queue, which `read` empties on the caller's thread.
"""

import logging
import queue
import threading
import time

from tray_agent.core.events import InputEvent
from tray_agent.core.ports import InputSource
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.platforms.pad.read import COMMAND, PadSource

_log = logging.getLogger(__name__)
_LOOK_FOR_STOP_S = 0.1


class WithPads:
    """InputSource: all of `inner`, and all pads.

    Args:
        inner: the desktop's own source, not started; owned from now on.
        command: program that reads pads.
    """

    def __init__(self, inner: InputSource, command: tuple[str, ...] = COMMAND) -> None:
        self._inner = inner
        self._queue: queue.SimpleQueue[InputEvent | None] = queue.SimpleQueue()
        self._pads = PadSource(command, self._queue.put)
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._note = ""

    @property
    def note(self) -> str:
        """Why pads are not heard, "" while they are; keyboard and mouse are heard all the same."""
        return self._note or self._pads.problem

    def start(self) -> None:
        """Begin to listen; without a reader for pads the rest works, and `note` says why.

        Raises:
            PlatformUnavailable: the desktop's own source can't start.
        """
        self._inner.start()
        try:
            self._pads.start()
        except PlatformUnavailable as error:
            self._note = str(error)
            _log.warning("%s", error)
        self._thread = threading.Thread(target=self._run, name="inputs-beside-pads", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for event in self._inner.read(_LOOK_FOR_STOP_S):
                    self._queue.put(event)
        except Exception as error:  # noqa: BLE001 - told to the reader, who knows what to do
            self._failure = error
            self._queue.put(None)

    def read(self, timeout_s: float) -> list[InputEvent]:
        """Events since the last call, by time; waits up to `timeout_s` for the first.

        Raises:
            CaptureLost: the desktop's own source broke.
        """
        events: list[InputEvent] = []
        deadline = time.monotonic() + timeout_s
        while not events and (left := deadline - time.monotonic()) > 0 and self._failure is None:
            self._take(events, left)
        self._take(events, 0.0)
        if not events and self._failure is not None:
            raise CaptureLost(str(self._failure)) from self._failure
        return sorted(events, key=lambda event: event.t_ns)

    def _take(self, events: list[InputEvent], timeout_s: float) -> None:
        try:
            event = self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
            while True:
                if event is not None:
                    events.append(event)
                event = self._queue.get_nowait()
        except queue.Empty:
            return

    def close(self) -> None:
        """End both; idempotent."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(2.0)
        self._pads.close()
        self._inner.close()

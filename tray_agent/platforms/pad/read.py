"""What the player does on real pads (standard library only; SDL lives in a child process).

Owns the child and the thread that reads its lines; `read` may be called from one other thread. Our own virtual pad
is told by its GUID and left out. A pad or child that goes away lets go of all it held.
"""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.events import InputEvent
from tray_agent.errors import PlatformUnavailable

REMEDY = "Install pygame-ce (pip install pygame-ce)"
START_S = 10.0
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 2.0
COMMAND = (sys.executable, "-m", "tray_agent.platforms.pad")


class PadLines:
    """Lines of the child -> events. Keeps what each pad holds, to let go of it when it leaves. One owner."""

    def __init__(self) -> None:
        self.pads: dict[int, str] = {}
        self._own: set[int] = set()
        self._held: dict[tuple[int, str], tuple[str, float]] = {}

    def take(self, message: dict[str, Any], now_ns: int) -> list[InputEvent]:
        """Events of one line.

        Raises:
            KeyError, TypeError, ValueError: the line is not one of ours.
        """
        if "added" in message:
            number = int(message["added"])
            (self._own.add(number) if message["own"] else self.pads.update({number: str(message["name"])}))
            return []
        if "removed" in message:
            return self._forget(int(message["removed"]), now_ns)
        pad, control, value = int(message["pad"]), str(message["control"]), float(message["value"])
        if pad in self._own or self._held.get((pad, control), ("", 0.0))[1] == value:
            return []
        kind = message["kind"]
        if kind not in ("button", "axis"):
            raise ValueError(f"unknown kind {kind!r}")
        self._held[pad, control] = (kind, value)
        return [InputEvent(int(message["t_ns"]), kind, control, value, f"pad:{pad}")]

    def release_all(self, now_ns: int) -> list[InputEvent]:
        """Let go of everything on every pad and forget the pads."""
        numbers = {pad for pad, _ in self._held} | set(self.pads) | self._own
        return [event for number in sorted(numbers) for event in self._forget(number, now_ns)]

    def _forget(self, number: int, now_ns: int) -> list[InputEvent]:
        self.pads.pop(number, None)
        self._own.discard(number)
        mine = [(control, *held) for (pad, control), held in self._held.items() if pad == number]
        for control, _, _ in mine:
            del self._held[number, control]
        return [
            InputEvent(now_ns, "button" if kind == "button" else "axis", control, 0.0, f"pad:{number}")
            for control, kind, value in mine
            if value != 0.0
        ]


class PadSource:
    """InputSource over all pads. `problem` tells why none can be heard, "" while all is well."""

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        deliver: Callable[[InputEvent], None] | None = None,
        start_s: float = START_S,
    ) -> None:
        """Store; see `start`.

        Args:
            command: program whose standard output speaks the lines of `tray_agent.platforms.pad`.
            deliver: gets each event, on the thread of this source; None keeps them for `read`.
            start_s: how long `start` waits.
        """
        self._command = tuple(command)
        self._lines = PadLines()
        self._events: queue.SimpleQueue[InputEvent] = queue.SimpleQueue()
        self._deliver = deliver or self._events.put
        self._start_s = start_s
        self._clock: Clock = MonotonicClock()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._ready = threading.Event()
        self.problem = ""

    @property
    def pads(self) -> tuple[str, ...]:
        """Names of the player's pads that are plugged in."""
        return tuple(self._lines.pads.copy().values())

    def start(self) -> None:
        """Start the child and wait until it listens.

        Raises:
            PlatformUnavailable: it can't read pads here.
        """
        self._thread = threading.Thread(target=self._run, name="pad-lines", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + self._start_s
        while not self._ready.wait(0.02):
            if self.problem or time.monotonic() > deadline:
                problem = self.problem or f"the pad reader did not start within {self._start_s:g} s"
                self.close()
                raise PlatformUnavailable(f"pads can't be read: {problem}", REMEDY)

    def read(self, timeout_s: float) -> list[InputEvent]:
        """See InputSource."""
        events: list[InputEvent] = []
        try:
            events.append(self._events.get(timeout=timeout_s) if timeout_s > 0 else self._events.get_nowait())
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            return events

    def close(self) -> None:
        """End child and thread; idempotent."""
        self._stop.set()
        if self._child is not None:
            self._child.kill()
        if self._thread is not None:
            self._thread.join(2.0)
            self._thread = None

    def _run(self) -> None:
        wait_s = FIRST_RETRY_S
        while not self._stop.is_set():
            began = time.monotonic()
            self._run_child()
            for event in self._lines.release_all(self._clock.now_ns()):
                self._deliver(event)
            wait_s = FIRST_RETRY_S if time.monotonic() - began > 10 else min(wait_s * 2, LAST_RETRY_S)
            self._stop.wait(wait_s)

    def _run_child(self) -> None:
        try:
            child = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            self.problem = str(error)
            return
        self._child = child
        with child:
            if self._stop.is_set():
                child.kill()
            assert child.stdout is not None  # noqa: S101 - for mypy; it is a pipe
            for line in child.stdout:
                self._take(line)
            child.kill()
        if not self._stop.is_set() and not self.problem:
            self.problem = f"the pad reader ended with status {child.returncode}; it is started again"

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            if message.get("ready"):
                self.problem = ""
                self._ready.set()
            elif "error" in message:
                self.problem = str(message["error"])
            else:
                for event in self._lines.take(message, self._clock.now_ns()):
                    self._deliver(event)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.problem = f"the pad reader said something strange: {line[:80]!r}"

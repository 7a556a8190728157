"""One trainer process from start to end (no torch): its pipes, what it says, and whether it still says anything.

Three threads: one takes its events, one its messages for the log, one kills it when it falls silent.
"""

import contextlib
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import IO, Any

from tray_agent.runtime.worker import StopSignal, Worker
from tray_agent.training.pipe import write_message

_log = logging.getLogger(__name__)
_COMMAND = (sys.executable, "-P", "-m", "tray_agent.training.child")  # -P: a stray module in the working folder
_FLAGS = ("BELOW_NORMAL_PRIORITY_CLASS", "CREATE_NO_WINDOW")
_START_S = 120.0
"""How long it may be silent until it is ready: importing and tracing take seconds, on a busy machine many."""
_POLL_S = 0.5
_JOIN_S = 5.0


class TrainerProcess:
    """Starts the trainer and tells what became of it. `start`, `send` and `end` are for one thread."""

    def __init__(self, on_event: Callable[[dict[str, Any]], None], silent_s: float) -> None:
        """Store.

        Args:
            on_event: called with each event, on the reading thread.
            silent_s: a trainer that was ready and then says nothing for so long is killed.
        """
        self._on_event = on_event
        self._silent_s = silent_s
        self._process: subprocess.Popen[bytes] | None = None
        self._workers = [Worker("training-reader", self._read), Worker("training-log", self._read_log)]
        self._workers.append(Worker("training-watchdog", self._watch))
        self._ready = False
        self._silent_polls = 0
        self._hung = False
        self._last_line = ""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def why(self) -> str:
        """How it ended, for the user."""
        code = self._process.returncode if self._process is not None else None
        if self._hung:
            return f"it said nothing for {self._silent_s:.0f} s and was killed"
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
            return f"it was killed by {name}" + (" (memory full?)" if name == "SIGKILL" else "")
        return f"it ended with code {code}" + (f": {self._last_line}" if self._last_line else "")

    def start(self) -> None:
        """Start process and threads.

        Raises:
            OSError: no process could be started.
        """
        flags = sum(getattr(subprocess, name, 0) for name in _FLAGS)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, creationflags=flags)
        for worker in self._workers:
            worker.start()

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        """Send a message; waits while the trainer is busy.

        Raises:
            OSError: the trainer is gone.
        """
        write_message(_given(self._process).stdin or _no_pipe(), header, payload)

    def kill(self) -> None:
        """End it now; any thread, any time."""
        if self._process is not None:
            self._process.kill()

    def end(self, wait_s: float) -> None:
        """Wait up to `wait_s` for its end, then kill it; close all pipes."""
        process = _given(self._process)
        try:
            process.wait(timeout=wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # unsent bytes to a dead process
                process.stdin.close()
        for worker in self._workers:
            worker.request_stop()
            worker.join(_JOIN_S)

    # -- own threads -------------------------------------------------------------------------------------------------

    def _read(self, _: StopSignal) -> None:
        with _given(self._process).stdout or _no_pipe() as stream:
            for line in stream:
                self._silent_polls = 0
                try:
                    event = json.loads(line)
                    if isinstance(event, dict):
                        self._ready = self._ready or event.get("ev") == "ready"
                        self._on_event(event)
                except Exception:  # noqa: BLE001 - one bad line must not stop the reading: the trainer would block
                    _log.exception("event of the trainer: %r", line[:200])

    def _read_log(self, _: StopSignal) -> None:
        with _given(self._process).stderr or _no_pipe() as stream:
            for line in stream:
                text = line.decode(errors="replace").rstrip()
                self._last_line = text.strip() or self._last_line
                _log.info("trainer: %s", text)

    def _watch(self, stop: StopSignal) -> None:
        """Counts its own waits, not the clock: a machine that slept is no reason."""
        while self.running and not stop.wait(_POLL_S):
            self._silent_polls += 1
            if self._silent_polls * _POLL_S > (self._silent_s if self._ready else _START_S):
                self._hung = True
                self.kill()
                return


def _given(process: "subprocess.Popen[bytes] | None") -> "subprocess.Popen[bytes]":
    if process is None:
        raise RuntimeError("the trainer was not started")
    return process


def _no_pipe() -> IO[bytes]:
    raise RuntimeError("the trainer has no pipe")

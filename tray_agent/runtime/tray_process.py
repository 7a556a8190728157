"""The tray icon's process, as the daemon's parent sees it: started, listened to, ended.

The icon lives in a process of its own, because toolkits that crash or hang must not touch the daemon. Owns that
process and the thread that reads what it tells (one JSON object a line on its stderr).
"""

import contextlib
import json
import logging
import subprocess
import sys
from pathlib import Path

from tray_agent.runtime.worker import StopSignal, Worker

_log = logging.getLogger(__name__)
_TROUBLE = frozenset({"no-host", "no-menu", "unavailable", "gone", "host-lost"})
"""States a person should hear of, once each."""


class TrayProcess:
    """Starts the icon; what it tells goes to the log, trouble as a warning."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = Worker("tray-events", self._read)
        self._told: set[str] = set()

    def start(self) -> None:
        """Start the process; one that can't be started is a warning, not an error."""
        command = [sys.executable, "-m", "tray_agent.clients.tray", "--socket", str(self._socket_path)]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except OSError as error:
            _log.warning("no tray icon: %s; everything works from the command line", error)
            return
        self._reader.start()

    def close(self) -> None:
        """End it, by force when it does not end in time; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(3.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._reader.join(2.0)

    def _read(self, stop: StopSignal) -> None:
        process = self._process
        if process is None or process.stderr is None:
            return
        with process.stderr as stream:
            for line in stream:
                if stop.is_set():
                    return
                self._tell(line)

    def _tell(self, line: bytes) -> None:
        state, message = "", line.decode(errors="replace").strip()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            event = json.loads(line)
            state, message = str(event["state"]), str(event["message"])
        if state in _TROUBLE and state not in self._told:
            self._told.add(state)
            _log.warning("tray: %s", message)
        else:
            _log.info("tray: %s", message)

"""The tray's connection to the daemon: asks for the status twice a second, carries commands in between.

Owns the connection and the thread `tray-link`, the only one that uses it. `send` may be called from any thread.
"""

import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tray_agent.clients.tray.icons import TrayState
from tray_agent.clients.tray.status import TrayStatus, parse
from tray_agent.runtime.local_socket import Connection, connect
from tray_agent.runtime.worker import StopSignal, Worker

POLL_S = 0.5
ANSWER_S = 3.0
GONE_AFTER_S = 5.0
"""How long a lost daemon is looked for before `on_gone`."""

Message = dict[str, Any]


class DaemonLink:
    """Keeps asking until it is stopped or the daemon has gone for good."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._commands: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._lost_since = 0.0
        self._on_status: Callable[[TrayStatus], None] = lambda _: None
        self._on_refused: Callable[[Message, str], None] = lambda *_: None
        self._on_gone: Callable[[], None] = lambda: None
        self._worker = Worker("tray-link", self._run, on_failure=lambda _: self._on_gone())

    def start(
        self,
        on_status: Callable[[TrayStatus], None],
        on_refused: Callable[[Message, str], None],
        on_gone: Callable[[], None],
    ) -> None:
        """Connect and begin; all three are called on the link's thread.

        Args:
            on_status: every answer, also the same one again.
            on_refused: a command and the daemon's reason not to do it.
            on_gone: once, when the daemon was lost and did not come back.

        Raises:
            OSError: nobody listens at the path.
        """
        self._on_status, self._on_refused, self._on_gone = on_status, on_refused, on_gone
        self._connection = connect(self._path)
        self._worker.start()

    def send(self, op: str, **arguments: object) -> None:
        """Queue a command; returns at once."""
        self._commands.put({"op": op, **arguments})

    def request_stop(self) -> None:
        """Ask the thread to end; it closes the connection."""
        self._worker.request_stop()
        self._commands.put({})

    def _run(self, stop: StopSignal) -> None:
        while not stop.is_set():
            if not self._ask_status():
                self._on_gone()
                break
            self._carry_commands(stop, time.monotonic() + POLL_S)
        self._drop()

    def _carry_commands(self, stop: StopSignal, until: float) -> None:
        while not stop.is_set() and (left := until - time.monotonic()) > 0:
            try:
                command = self._commands.get(timeout=left)
            except queue.Empty:
                return
            if command:
                answer = self._exchange(command)
                if answer is None or not answer.get("ok"):
                    self._on_refused(command, str((answer or {}).get("error") or "the daemon does not answer"))
                self._ask_status()

    def _ask_status(self) -> bool:
        """Report the daemon's status; False once it has been gone for too long."""
        answer = self._exchange({"op": "status"})
        if answer is not None:
            self._lost_since = 0.0
            self._on_status(parse(answer))
            return True
        self._lost_since = self._lost_since or time.monotonic()
        self._on_status(TrayStatus(TrayState.FAULT, detail="the daemon does not answer"))
        return self._connection is not None or time.monotonic() - self._lost_since < GONE_AFTER_S

    def _exchange(self, message: Message) -> Message | None:
        """One question and its answer; None when there was none (the connection is given up then)."""
        try:
            if self._connection is None:
                self._connection = connect(self._path)
            self._connection.send(message)
            answer = self._connection.receive(ANSWER_S)
        except OSError:
            answer = None
        if answer is None:  # a late answer would be taken for the next question's
            self._drop()
        return answer

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

"""The control socket: how `tray-agent` verbs, tray and window talk to the daemon. One thread serves all clients.

A request is one JSON object {"op": ...}; the answer {"ok": true, ...} or {"ok": false, "error": text, "code": word}.
Codes: "refused" (a reason not to do it), "bad_request", "busy".
"""

import contextlib
import json
import logging
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tray_agent.errors import DaemonUnreachable
from tray_agent.runtime.local_socket import Connection, Listener, connect
from tray_agent.runtime.worker import StopSignal, Worker

_log = logging.getLogger(__name__)
Message = dict[str, Any]
SOCKET_NAME = "control"
_POLL_S = 0.2
_MAX_CLIENTS = 32


class ControlServer:
    """Answers requests by calling `handle` on its own thread."""

    def __init__(self, path: Path, handle: Callable[[Message], Message]) -> None:
        self._path = path
        self._handle = handle
        self._listener: Listener | None = None
        self._clients: list[Connection] = []
        self._worker = Worker("control", self._run)

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: the socket can't be made.
        """
        self._listener = Listener(self._path)
        self._worker.start()

    def request_stop(self) -> None:
        """Ask the thread to end."""
        self._worker.request_stop()

    def join(self, deadline_s: float) -> bool:
        """Wait for it, then remove the socket; False when late."""
        in_time = self._worker.join(deadline_s)
        if self._listener is not None:
            self._listener.close()
        return in_time

    def _run(self, stop: StopSignal) -> None:
        assert self._listener is not None  # noqa: S101 - start() made it
        while not stop.is_set():
            sources: list[Listener | Connection] = [self._listener, *self._clients]
            readable = select.select(sources, [], [], _POLL_S)[0]
            for client in [one for one in readable if isinstance(one, Connection)]:
                self._serve(client)  # before anyone is let in: who has left makes room
            if self._listener in readable:
                self._welcome(self._listener)
        for client in self._clients:
            client.close()

    def _welcome(self, listener: Listener) -> None:
        client = None
        with contextlib.suppress(OSError):  # gone again, or no more file descriptors: the others must be served
            client = listener.accept(0.0)
        if client is None:
            return
        if len(self._clients) >= _MAX_CLIENTS:
            with contextlib.suppress(OSError):
                client.send({"ok": False, "code": "busy", "error": f"{_MAX_CLIENTS} programs are connected already"})
            client.close()
            return
        self._clients.append(client)

    def _serve(self, client: Connection) -> None:
        try:
            while (request := client.receive(0.0)) is not None:
                client.send(self._answer(request))
                if not client.has_buffered():
                    return
        except (OSError, RecursionError):  # gone, deaf, or talking nonsense (also nonsense nested too deep)
            client.close()
            self._clients.remove(client)

    def _answer(self, request: Message) -> Message:
        try:
            answer = self._handle(request)
            json.dumps(answer)
            return answer  # noqa: TRY300 - one try for both
        except Exception as error:  # noqa: BLE001 - a request must never end the server
            _log.exception("request %.200r failed", request)
            return {"ok": False, "code": "bad_request", "error": f"{type(error).__name__}: {error}"}


def request(socket_path: Path, message: Message, timeout_s: float = 5.0) -> Message:
    """Ask the daemon once.

    Raises:
        DaemonUnreachable: none is running, or it does not answer in time.
    """
    remedy = "Start it with: tray-agent run"
    try:
        connection = connect(socket_path)
    except OSError as error:
        raise DaemonUnreachable(f"no daemon is running ({socket_path}: {error.strerror or error}). {remedy}") from error
    with contextlib.closing(connection):
        try:
            connection.send(message)
            answer = connection.receive(timeout_s)
        except OSError as error:
            raise DaemonUnreachable(f"the daemon ended while it was asked: {error}. {remedy}") from error
    if answer is None:
        raise DaemonUnreachable(f"the daemon did not answer within {timeout_s:.0f} s")
    return answer

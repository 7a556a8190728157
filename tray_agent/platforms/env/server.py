"""The game's side of its socket: accepts clients, hears them, tells them (the game loop's thread)."""

import logging
import select
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tray_agent.platforms.env.messages import Message
from tray_agent.runtime.local_socket import Connection, Listener

log = logging.getLogger(__name__)
_MOST_WAITING = 20_000
MALFORMED = (ValueError, TypeError, KeyError, AttributeError)
"""What reading a malformed message raises."""


class Client:
    """One connected client: `role` and `wants` come with its hello."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.role = ""
        self.wants: frozenset[str] = frozenset()
        self._waiting: deque[Message] = deque()

    def fileno(self) -> int:
        return self.connection.fileno()

    def send(self, message: Message | None = None) -> None:
        """Send a message after those that still wait, as far as that goes without waiting.

        Raises:
            OSError: the client is gone.
            BufferError: it has not read for so long that too many messages wait.
        """
        if message is not None:
            self._waiting.append(message)
        while self._waiting and select.select([], [self.connection], [], 0)[1]:
            self.connection.send(self._waiting.popleft())
        if len(self._waiting) > _MOST_WAITING:
            raise BufferError("a client does not read and was disconnected")


class GameServer:
    """All clients of one game. A client that does not read is dropped: it may not slow the game down.

    Args:
        path: the socket.
        on_message: called with each message of a client that has said hello (the hello as well).
        on_gone: called when a client has been dropped.
    """

    def __init__(
        self, path: Path, on_message: Callable[[Client, Message], None], on_gone: Callable[[Client], None]
    ) -> None:
        self._path = path
        self._on_message = on_message
        self._on_gone = on_gone
        self._listener: Listener | None = None
        self._clients: list[Client] = []

    def start(self) -> None:
        """Listen. Raises OSError."""
        self._listener = Listener(self._path)

    def presser(self) -> Client | None:
        """The client that presses for the agent."""
        return next((client for client in self._clients if client.role == "press"), None)

    def serve(self, until_ns: int) -> None:
        """Hear everybody until `until_ns` (monotonic); at least once when that moment has passed."""
        if self._listener is None:
            raise RuntimeError("start() has not been called")
        for client in list(self._clients):
            self.send(client)
        while True:
            wait_s = max(0, until_ns - time.perf_counter_ns()) / 1e9
            everybody: list[Listener | Client] = [self._listener, *self._clients]
            for ready in select.select(everybody, [], [], wait_s)[0]:
                if isinstance(ready, Client):
                    self._hear(ready)
                else:
                    self._accept()
            if time.perf_counter_ns() >= until_ns:
                return

    def _accept(self) -> None:
        connection = self._listener.accept(0.0) if self._listener else None
        if connection is not None:
            self._clients.append(Client(connection))

    def _hear(self, client: Client) -> None:
        try:
            while client in self._clients and (message := client.connection.receive(0.0)) is not None:
                self._dispatch(client, message)
        except OSError:
            self.drop(client)
        except MALFORMED as error:
            log.warning("a client sent a malformed message and was disconnected: %r", error)
            self.drop(client)

    def _dispatch(self, client: Client, message: Message) -> None:
        if message.get("op") == "hello":
            client.wants = frozenset(map(str, message["wants"]))
            role = str(message["role"])
            if role == "press" and self.presser() not in (None, client):
                self.send(client, {"type": "refused", "why": "another guard is pressing already"})
                self.drop(client)
                return
            client.role = role
        elif not client.role:
            raise ValueError("no hello")
        self._on_message(client, message)

    def tell(self, message: Message) -> None:
        """Send to every client that wants this type."""
        for client in list(self._clients):
            if message["type"] in client.wants:
                self.send(client, message)

    def send(self, client: Client, message: Message | None = None) -> None:
        """Send to one client, or what still waits for it; never waits, never raises."""
        try:
            client.send(message)
        except BufferError as error:
            log.warning("%s", error)
            self.drop(client)
        except (OSError, ValueError):
            log.debug("client went away", exc_info=True)
            self.drop(client)

    def drop(self, client: Client) -> None:
        """Disconnect a client; idempotent."""
        if client in self._clients:
            self._clients.remove(client)
            client.connection.close()
            self._on_gone(client)

    def close(self) -> None:
        """Disconnect everybody and remove the socket; idempotent."""
        for client in list(self._clients):
            self.drop(client)
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

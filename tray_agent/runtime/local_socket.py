"""JSON-lines connections between processes of one user on one machine (standard library only).

POSIX: a Unix socket, mode 0600, in a folder of mode 0700, and the peer's user id is checked as well.
Windows (Python there has no Unix sockets): a loopback TCP port whose number and a random token stand in the file
at the same path, which only its user can read. Nothing is ever unpickled.
"""

import contextlib
import hmac
import json
import os
import secrets
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 1 << 20
_POSIX = sys.platform != "win32"
_ACCEPT_HELLO_S = 1.0
_BACKLOG = 64
_RETRY_S = 0.01

if sys.platform == "win32":

    def _unix_socket() -> socket.socket:
        raise OSError("Python has no Unix sockets on Windows")

    def _user() -> int:
        return 0

else:

    def _unix_socket() -> socket.socket:
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def _user() -> int:
        return os.getuid()


class Connection:
    """One peer. Not thread-safe: one thread sends, one receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            ConnectionError: the peer is gone.
            TimeoutError: the peer has not read for a second.
        """
        self._sock.settimeout(1.0)
        self._sock.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def receive(self, timeout_s: float | None = 0.0) -> dict[str, Any] | None:
        """Next message, or None when `timeout_s` passed without one (None waits for ever).

        Raises:
            ConnectionError: the peer closed, or sent something that is no JSON object.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_LINE_BYTES:
                raise ConnectionError("peer sent a line that is too long")
            if not select.select([self._sock], [], [], timeout_s)[0]:
                return None
            chunk = self._sock.recv(65536)
            if not chunk:
                raise ConnectionError("peer closed the connection")
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            message = json.loads(line)
        except ValueError as error:
            raise ConnectionError(f"peer sent no JSON: {line[:80]!r}") from error
        if not isinstance(message, dict):
            raise ConnectionError(f"peer sent no JSON object: {line[:80]!r}")
        return message

    def has_buffered(self) -> bool:
        """Whether a whole message waits in memory, where `select` can't see it."""
        return b"\n" in self._buffer

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


class Listener:
    """Accepts connections of the same user at `path`; removes the path when closed."""

    def __init__(self, path: Path) -> None:
        """Bind and listen.

        Raises:
            OSError: the path can't be bound (an old socket file is replaced).
        """
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._token = secrets.token_hex(16)
        if _POSIX:
            self._sock = _unix_socket()
            old_mask = os.umask(0o177)
            try:
                self._sock.bind(str(path))
            finally:
                os.umask(old_mask)
        else:
            self._sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._sock.bind(("127.0.0.1", 0))
            path.write_text(json.dumps({"port": self._sock.getsockname()[1], "token": self._token}))
        self._sock.listen(_BACKLOG)

    def fileno(self) -> int:
        return self._sock.fileno()

    def accept(self, timeout_s: float | None) -> Connection | None:
        """Next connection of this user, or None after `timeout_s`; strangers are turned away silently."""
        if not select.select([self._sock], [], [], timeout_s)[0]:
            return None
        sock, _ = self._sock.accept()
        connection = Connection(sock)
        if self._is_ours(sock, connection):
            return connection
        connection.close()
        return None

    def _is_ours(self, sock: socket.socket, connection: Connection) -> bool:
        if _POSIX:
            return peer_uid(sock) in (None, _user())
        try:
            hello = connection.receive(_ACCEPT_HELLO_S)
        except ConnectionError:
            return False
        return hello is not None and hmac.compare_digest(str(hello.get("token")), self._token)

    def close(self) -> None:
        self._sock.close()
        self.path.unlink(missing_ok=True)


def peer_uid(sock: socket.socket) -> int | None:
    """User id of the peer of a Unix socket, None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[1])


def connect(path: Path, timeout_s: float = 1.0) -> Connection:
    """Connect to a `Listener`.

    Raises:
        OSError: nobody listens there (FileNotFoundError, ConnectionRefusedError, ...).
    """
    if _POSIX:
        sock = _unix_socket()
        sock.settimeout(timeout_s)
        try:
            _connect_unix(sock, path, time.monotonic() + timeout_s)
        except OSError:
            sock.close()
            raise
        return Connection(sock)
    try:
        address = json.loads(path.read_text())
    except ValueError as error:
        raise ConnectionRefusedError(f"{path} is damaged") from error
    connection = Connection(socket.create_connection(("127.0.0.1", address["port"]), timeout_s))
    connection.send({"token": address["token"]})
    return connection


def _connect_unix(sock: socket.socket, path: Path, end: float) -> None:
    """A listener that is busy just now refuses with EAGAIN: try again until `end` (monotonic seconds)."""
    while True:
        try:
            sock.connect(str(path))
            return  # noqa: TRY300 - the loop ends here when it worked
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(_RETRY_S)

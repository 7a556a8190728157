"""Local sockets: one JSON object a line, for one user."""

import contextlib
import os
import socket
import stat
import subprocess
import sys
import threading

import pytest

from tray_agent.runtime import local_socket
from tray_agent.runtime.local_socket import MAX_LINE_BYTES, Connection, Listener, connect, peer_uid


@pytest.fixture
def pair(tmp_path):
    """A connected client and server."""
    listener = Listener(tmp_path / "run" / "s")
    client = connect(listener.path)
    server = listener.accept(5.0)
    yield client, server
    for end in (client, server, listener):
        end.close()


def test_messages_both_ways_in_order(pair):
    """Objects arrive whole and in order in both directions, also when several come in one packet."""
    client, server = pair
    for i in range(3):
        client.send({"i": i, "text": "grüße\n"})
    assert [server.receive(5.0)["i"] for _ in range(3)] == [0, 1, 2]
    server.send({"ok": True})
    assert client.receive(5.0) == {"ok": True}
    assert client.receive(0.0) is None


def test_has_buffered_tells_what_select_cannot(pair):
    """After reading one of two messages the second is known to wait in memory."""
    client, server = pair
    client._sock.sendall(b'{"a":1}\n{"b":2}\n')
    assert server.receive(5.0) == {"a": 1}
    assert server.has_buffered()
    assert server.receive(0.0) == {"b": 2}
    assert not server.has_buffered()


@pytest.mark.parametrize(
    ("line", "said"), [(b"nonsense\n", "no JSON"), (b"[1]\n", "no JSON object"), (b"\xff\n", "no JSON")]
)
def test_garbage_is_one_clear_error(pair, line, said):
    """What is no JSON object ends in a ConnectionError that shows it."""
    client, server = pair
    client._sock.sendall(line)
    with pytest.raises(ConnectionError, match=said):
        server.receive(5.0)


def test_endless_line_is_refused(pair):
    """A line without end does not fill the memory."""
    client, server = pair

    def send():
        with contextlib.suppress(OSError):  # the other end goes away in the middle
            client._sock.sendall(b"x" * (MAX_LINE_BYTES + 200_000))

    def receive_until_error():
        while server.receive(5.0) is None:
            pass

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(ConnectionError, match="too long"):
        receive_until_error()
    server.close()
    sender.join(5)
    assert not sender.is_alive()


def test_closed_peer(pair):
    """A peer that went away is a ConnectionError, not an empty message."""
    client, server = pair
    client.close()
    with pytest.raises(ConnectionError, match="closed"):
        server.receive(5.0)


def test_accept_times_out(tmp_path):
    """accept gives up after its time-out."""
    listener = Listener(tmp_path / "s")
    assert listener.accept(0.01) is None
    listener.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no Unix sockets in Python")
def test_only_the_user_reaches_the_socket(tmp_path):
    """Folder 0700, socket 0600, peer's user id is this one; the path is gone after close."""
    listener = Listener(tmp_path / "run" / "s")
    assert stat.S_IMODE(listener.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(listener.path.stat().st_mode) == 0o600
    client = connect(listener.path)
    server = listener.accept(5.0)
    assert peer_uid(server._sock) in (os.getuid(), None)
    for end in (client, server, listener):
        end.close()
    assert not listener.path.exists()
    with pytest.raises(FileNotFoundError):
        connect(listener.path)


_STRANGER = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
os.write(1, b"connected\\n")
s.settimeout(20)
print("left with", s.recv(10))
"""


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="changing the user needs root")
def test_another_user_is_turned_away(tmp_path):
    """A process of another user that gets past the file modes is still not accepted."""
    listener = Listener(tmp_path / "s")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    listener.path.chmod(0o666)
    command = [sys.executable, "-I", "-S", "-c", _STRANGER, os.path.relpath(listener.path)]
    child = subprocess.Popen(command, user=65534, group=65534, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if child.stdout.readline() != b"connected\n":
            pytest.skip("the other user can't reach this folder at all")
        assert listener.accept(10.0) is None
        out, _ = child.communicate(timeout=10)
        assert b"left with b''" in out
    finally:
        child.kill()
        child.communicate()
        listener.close()


def test_stale_socket_file_is_replaced(tmp_path):
    """What a killed process left at the path does not keep the next one from listening."""
    path = tmp_path / "s"
    old = socket.socket(socket.AF_UNIX)
    old.bind(str(path))
    old.close()
    with pytest.raises(ConnectionRefusedError):
        connect(path)
    listener = Listener(path)
    client = connect(path)
    client.close()
    listener.close()


@pytest.fixture
def loopback(monkeypatch):
    """The way it works on Windows: loopback port and token in a file."""
    monkeypatch.setattr(local_socket, "_POSIX", False)


def test_loopback_needs_the_token(tmp_path, loopback):
    """With the token of the file one is let in; with another, or garbage, turned away."""
    listener = Listener(tmp_path / "s")
    port = listener._sock.getsockname()[1]
    for hello in (b'{"token": "guess"}\n', b"GET / HTTP/1.0\n", b'{"token": null}\n'):
        stranger = socket.create_connection(("127.0.0.1", port), 5)
        stranger.sendall(hello)
        assert listener.accept(5.0) is None
        stranger.close()
    client = connect(listener.path)
    server = listener.accept(5.0)
    client.send({"hi": 1})
    assert server.receive(5.0) == {"hi": 1}
    for end in (client, server, listener):
        end.close()


def test_loopback_damaged_file(tmp_path, loopback):
    """A damaged address file means that nobody listens."""
    (tmp_path / "s").write_text("{")
    with pytest.raises(ConnectionRefusedError, match="damaged"):
        connect(tmp_path / "s")


def test_send_to_a_peer_that_does_not_read():
    """A peer that stopped reading ends in an error within about a second instead of hanging the sender."""
    left, right = socket.socketpair()
    sender = Connection(left)
    sender_buffer = left.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    with pytest.raises(TimeoutError):
        sender.send({"x": "y" * sender_buffer * 4})
    sender.close()
    right.close()

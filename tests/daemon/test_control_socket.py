"""The control socket's server against every kind of client."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tray_agent.daemon.control import ControlServer, Message, request
from tray_agent.errors import DaemonUnreachable
from tray_agent.runtime.local_socket import MAX_LINE_BYTES, Connection, connect

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="raw clients of the test are Unix sockets")


class Served:
    """A server whose handler can be told what to do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server = ControlServer(path, self.handle)
        self.release = threading.Event()
        self.answer: Callable[[Message], Message] = lambda m: {"ok": True, "echo": m}

    def handle(self, message: Message) -> Message:
        if message.get("op") == "wait":
            assert self.release.wait(10.0)
        return self.answer(message)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "control")
    served.server.start()
    yield served
    served.release.set()
    served.server.request_stop()
    assert served.server.join(5.0)
    assert not served.path.exists()


def raw(served: Served) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(served.path))
    client.settimeout(5.0)
    return client


def alive(served: Served) -> bool:
    return request(served.path, {"op": "x"}) == {"ok": True, "echo": {"op": "x"}}


def test_many_clients_are_served_together(served: Served) -> None:
    """Twenty clients that stay connected and ask in turns all get their own answers."""
    clients = [connect(served.path) for _ in range(20)]
    for round_ in range(3):
        for i, client in enumerate(clients):
            client.send({"op": f"{round_}-{i}"})
        for i, client in enumerate(clients):
            assert client.receive(5.0) == {"ok": True, "echo": {"op": f"{round_}-{i}"}}
    for client in clients:
        client.close()


GARBAGE = [b"hello\n", b"\xff\xfe\x00\n", b"[1, 2]\n", b"5\n", b"null\n", b"{\n", b"[" * 200_000 + b"\n", b"\n"]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_ends_only_its_own_connection(served: Served, garbage: bytes) -> None:
    """Whoever talks nonsense is disconnected; everybody else is answered."""
    with contextlib.closing(connect(served.path)) as other, contextlib.closing(raw(served)) as client:
        with contextlib.suppress(ConnectionError):  # it may be cut off while still sending
            client.sendall(garbage)
            assert client.recv(1) == b""
        other.send({"op": "still"})
        assert other.receive(5.0) == {"ok": True, "echo": {"op": "still"}}
    assert alive(served)


def test_half_a_line_holds_nobody_up(served: Served) -> None:
    """A client that sends half a request and stops waits alone; the other half completes it."""
    with contextlib.closing(raw(served)) as client:
        client.sendall(b'{"op": "ha')
        assert alive(served)
        client.sendall(b'lf"}\n{"op": "next"}\n')
        received = b""
        while received.count(b"\n") < 2:
            received += client.recv(4096)
        assert b'"half"' in received
        assert b'"next"' in received


def test_line_that_is_too_long_is_cut_off(served: Served) -> None:
    """A line without end does not fill the memory."""
    with contextlib.closing(raw(served)) as client:
        with contextlib.suppress(ConnectionError):
            for _ in range(2 * MAX_LINE_BYTES // 65536):
                client.sendall(b"x" * 65536)
            assert client.recv(1) == b""
        assert alive(served)


def test_client_that_never_reads_is_dropped(served: Served) -> None:
    """Answers that nobody reads hold the server up for a second at most, once."""
    served.answer = lambda _: {"ok": True, "pad": "x" * 100_000}
    with contextlib.closing(raw(served)) as client:
        with contextlib.suppress(ConnectionError, TimeoutError):
            client.sendall(b'{"op": "y"}\n' * 50)
        began = time.monotonic()
        assert request(served.path, {"op": "x"})["ok"]
        for _ in range(10):
            assert request(served.path, {"op": "x"})["ok"]
        assert time.monotonic() - began < 9.0, "only the first may be held up"


def test_too_many_clients_are_told(served: Served) -> None:
    """The thirty-third hears why, and there is room again when one leaves."""
    clients: list[Connection] = []
    for _ in range(32):
        clients.append(connect(served.path))
        clients[-1].send({"op": "in"})
        assert clients[-1].receive(5.0)
    with contextlib.closing(connect(served.path)) as late:
        answer = late.receive(5.0)
    assert answer is not None
    assert answer["code"] == "busy"
    for client in clients:
        client.close()
    assert alive(served)


def raises(_: Message) -> Message:
    raise KeyError("bug")


@pytest.mark.parametrize("answer", [raises, lambda _: {"ok": object()}], ids=["raises", "no json"])
def test_handler_that_fails_is_an_answer(served: Served, answer: Callable[[Message], Message]) -> None:
    """An exception in a request, or an answer that is no JSON, is told to the client and the server lives."""
    good = served.answer
    served.answer = answer
    told = request(served.path, {"op": "x"})
    assert told["ok"] is False
    assert told["code"] == "bad_request"
    served.answer = good
    assert alive(served)


def test_busy_server_answers_late_but_answers(served: Served) -> None:
    """While a request takes its time others wait; they are answered as soon as it is done."""
    answers: list[Message] = []
    with contextlib.closing(connect(served.path)) as slow:
        slow.send({"op": "wait"})
        asker = threading.Thread(target=lambda: answers.append(request(served.path, {"op": "status"})))
        asker.start()
        served.release.set()
        asker.join(5.0)
        assert slow.receive(5.0) == {"ok": True, "echo": {"op": "wait"}}
    assert answers == [{"ok": True, "echo": {"op": "status"}}]


def test_no_answer_in_time_is_told(served: Served) -> None:
    """A client does not wait for ever."""
    with pytest.raises(DaemonUnreachable, match="did not answer"):
        request(served.path, {"op": "wait"}, timeout_s=0.2)
    served.release.set()


def test_no_daemon_is_told_with_the_remedy(tmp_path: Path) -> None:
    """Nobody listens: what to start."""
    with pytest.raises(DaemonUnreachable, match="tray-agent run"):
        request(tmp_path / "control", {"op": "status"})

"""Pipes that never block: writing to a full one, waiting for one, its end."""

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from tray_agent.runtime import pipes


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """(read end, write end) of a pipe that never blocks."""
    read, write = os.pipe()
    pipes.never_block_reading(read)
    pipes.never_block_writing(write)
    yield read, write
    for fd in (read, write):
        os.close(fd)


def test_a_full_pipe_takes_nothing(ends: tuple[int, int]) -> None:
    """Writing fills the pipe, then writes 0 bytes instead of waiting."""
    total = 0
    while sent := pipes.write_some(ends[1], b"x" * 10_000):
        total += sent
    assert total >= 4096
    assert len(os.read(ends[0], total + 1)) == total
    assert pipes.write_some(ends[1], b"y") == 1


def test_an_error_of_lacking_room_halves_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses a write that does not fit as a whole; what fits is written."""

    def write(_fd: int, data: bytes) -> int:
        if len(data) > 300:
            raise OSError(errno.ENOSPC, "no room")
        return len(data)

    monkeypatch.setattr(os, "write", write)
    assert pipes.write_some(1, b"x" * 1000) == 250
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "no room")))
    assert pipes.write_some(1, b"x" * 1000) == 0


def test_nobody_reading_is_an_error() -> None:
    """A pipe whose reader has gone raises, so that the writer learns of it."""
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(OSError, match="Broken pipe"):
        pipes.write_some(write, b"x")
    os.close(write)


def test_socket_and_pipe_are_waited_for_together(ends: tuple[int, int]) -> None:
    """Each is told apart; the pipe's end counts as readable."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert pipes.wait_readable(ours.fileno(), ends[0], 0.0) == (False, False)
        assert not pipes.is_readable(ends[0])
        theirs.send(b"x")
        assert pipes.wait_readable(ours.fileno(), ends[0], 5.0) == (True, False)
        os.write(ends[1], b"x")
        assert pipes.wait_readable(ours.fileno(), ends[0], 5.0) == (True, True)
        assert pipes.wait_readable(None, ends[0], 5.0) == (False, True)
        assert pipes.is_readable(ends[0])

"""The guard's end of its pipes to the daemon (standard library only). Runs in the guard's single thread.

Nothing here ever blocks: a daemon that stopped reading must not keep the guard from letting go. (On Windows a read
would: there the backend looks into the pipe first, and `read` is only called when something is in it.)
"""

import contextlib
import os
import select
import sys
from collections import deque
from typing import Protocol

from tray_agent.guard.protocol import MAX_LINE_BYTES, Dropped, GuardEvent, encode_event
from tray_agent.runtime import pipes

_LINES_AT_ONCE = 64
_MOST_UNSENT = 256


class Channel(Protocol):
    """Where commands come from and reports go."""

    @property
    def pending(self) -> bool:
        """Whether lines wait in memory, where `fileno` can't show them."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the daemon closed its end and everything it sent has been read."""
        ...

    def fileno(self) -> int:
        """Readable when something came."""
        ...

    def read(self) -> list[bytes]:
        """Lines that have come, at most a batch."""
        ...

    def send(self, event: GuardEvent) -> None:
        """Report; never blocks, never raises."""
        ...

    def flush(self) -> None:
        """Send what is still waiting; never blocks, never raises."""
        ...


class PipeChannel:
    """Lines in from one descriptor, events out to another.

    Args:
        wake_fd: a descriptor that ends the backend's wait as well (signals write to it); None for none. It must not
            block when read, so there is none on Windows.
    """

    def __init__(self, in_fd: int, out_fd: int, wake_fd: int | None = None) -> None:
        self._in, self._out, self._wake = in_fd, out_fd, wake_fd
        self._wait_fd = -1
        self._buffer = bytearray()
        self._lines: deque[bytes] = deque()
        self._unsent: deque[bytes] = deque()
        self._lost_events = 0
        self._eof = False

    def start(self) -> None:
        """Make both ends non-blocking where the system can.

        Raises:
            OSError: the input is nothing that can be waited for, or the output no pipe.
        """
        pipes.never_block_reading(self._in)
        pipes.never_block_writing(self._out)
        if sys.platform == "linux":
            self._epoll = select.epoll()
            for fd in (self._in, self._wake):
                if fd is not None:
                    self._epoll.register(fd, select.EPOLLIN)
            self._wait_fd = self._epoll.fileno()

    def fileno(self) -> int:
        return self._in if self._wait_fd < 0 else self._wait_fd

    @property
    def pending(self) -> bool:
        return bool(self._lines)

    @property
    def closed(self) -> bool:
        return self._eof and not self._lines

    def read(self) -> list[bytes]:
        if not self._lines and not self._eof:
            self._fill()
        return [self._lines.popleft() for _ in range(min(_LINES_AT_ONCE, len(self._lines)))]

    def _fill(self) -> None:
        if self._wake is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 64)
        try:
            chunk = os.read(self._in, MAX_LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._eof = not chunk
        *lines, rest = bytes(self._buffer + chunk).split(b"\n")
        self._buffer = bytearray(rest)
        self._lines.extend(lines)
        if len(self._buffer) > MAX_LINE_BYTES:
            self._eof = True  # no daemon of ours sends such a line; treat it as gone

    def send(self, event: GuardEvent) -> None:
        if len(self._unsent) >= _MOST_UNSENT:
            self._lost_events += 1
            return
        if self._lost_events and len(self._unsent) < _MOST_UNSENT // 2:
            self._unsent.append(encode_event(Dropped(self._lost_events, "reports nobody read")))
            self._lost_events = 0
        self._unsent.append(encode_event(event))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the pipe takes it."""
        while self._unsent:
            try:
                sent = pipes.write_some(self._out, self._unsent[0])
            except OSError:
                self._unsent.clear()  # nobody reads any more; the end of the input will say so too
                return
            if sent < len(self._unsent[0]):
                self._unsent[0] = self._unsent[0][sent:]
                return
            self._unsent.popleft()

    def close(self) -> None:
        """Stop waiting; the descriptors stay with whoever opened them."""
        if sys.platform == "linux" and self._wait_fd >= 0:
            self._epoll.close()
            self._wait_fd = -1

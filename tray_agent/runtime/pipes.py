"""Pipes that never block, on every system (standard library only; no state, any thread).

POSIX has all of it. Windows can't `select` on pipes, and lacks `os.set_blocking` before Python 3.12: there a pipe is
looked at every few milliseconds, and written to in mode PIPE_NOWAIT.
"""

import contextlib
import errno
import os
import select
import sys
import time

POLL_S = 0.004
"""Where a pipe can't be waited for, it is looked at this often."""

if sys.platform == "win32":
    import ctypes
    import msvcrt

    _PIPE_NOWAIT = ctypes.c_uint32(1)

    def never_block_writing(fd: int) -> None:
        """Make writes to `fd` return at once.

        Raises:
            OSError: it is no pipe.
        """
        handle = ctypes.c_void_p(msvcrt.get_osfhandle(fd))
        if not ctypes.windll.kernel32.SetNamedPipeHandleState(handle, ctypes.byref(_PIPE_NOWAIT), None, None):
            raise ctypes.WinError()

    def is_readable(fd: int) -> bool:
        """Whether reading the pipe `fd` would return at once: bytes, its end, or an error to be found there."""
        waiting = ctypes.c_uint32()
        try:
            handle = ctypes.c_void_p(msvcrt.get_osfhandle(fd))
        except OSError:
            return True
        peek = ctypes.windll.kernel32.PeekNamedPipe
        return not peek(handle, None, 0, None, ctypes.byref(waiting), None) or waiting.value > 0

    def wait_readable(socket_fd: int | None, pipe_fd: int, timeout_s: float) -> tuple[bool, bool]:
        """Sleep until the socket or the pipe can be read, or `timeout_s` passed; whether each can."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            from_socket = _sleep(socket_fd, min(POLL_S, left))
            from_pipe = is_readable(pipe_fd)
            if from_socket or from_pipe or left <= 0:
                return from_socket, from_pipe

    def _sleep(socket_fd: int | None, seconds: float) -> bool:
        if socket_fd is None:
            time.sleep(seconds)
            return False
        return bool(select.select([socket_fd], [], [], seconds)[0])

else:

    def never_block_writing(fd: int) -> None:
        """Make writes to `fd` return at once.

        Raises:
            OSError: it is no descriptor.
        """
        os.set_blocking(fd, False)

    def is_readable(fd: int) -> bool:
        """Whether reading the pipe `fd` would return at once: bytes, its end, or an error to be found there."""
        return bool(select.select([fd], [], [], 0)[0])

    def wait_readable(socket_fd: int | None, pipe_fd: int, timeout_s: float) -> tuple[bool, bool]:
        """Sleep until the socket or the pipe can be read, or `timeout_s` passed; whether each can."""
        wanted = [pipe_fd] if socket_fd is None else [pipe_fd, socket_fd]
        ready = select.select(wanted, [], [], max(0.0, timeout_s))[0]
        return socket_fd in ready, pipe_fd in ready


def write_some(fd: int, data: bytes | bytearray) -> int:
    """Write as much of `data` as the pipe takes now; how many bytes, 0 when it is full.

    Raises:
        OSError: nobody reads any more.
    """
    size = len(data)
    while size:
        try:
            return os.write(fd, data[:size])
        except BlockingIOError:
            return 0
        except OSError as error:
            # how Windows tells that a pipe lacks room for all of it
            if error.errno != errno.ENOSPC:
                raise
        size //= 2
    return 0


def never_block_reading(fd: int) -> None:
    """Make reads of `fd` return at once where the system can; elsewhere ask `is_readable` before each read."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.set_blocking(fd, False)

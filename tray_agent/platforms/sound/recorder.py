"""A child process whose standard output is 16 kHz mono float32 sound, read without blocking (POSIX).

Owns the child. Used by one thread, the capture thread; starts no threads.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from tray_agent.core.media import AUDIO_RATE_HZ, Samples
from tray_agent.runtime import pipes

_MAX_READS = 64
_SAMPLE_BYTES = 4
_PIPE_BYTES = 1 << 18


class Recorder:
    """One run of one recording program."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the program.

        Raises:
            OSError: it can't be started.
        """
        self._rest = b""
        self._errors = b""
        self._process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # its own group: Ctrl+C in the daemon's terminal is the daemon's to handle
            start_new_session=True,
        )
        assert self._process.stdout is not None and self._process.stderr is not None  # noqa: S101, PT018 - for mypy
        self._out, self._err = self._process.stdout.fileno(), self._process.stderr.fileno()
        pipes.never_block_reading(self._out)
        pipes.never_block_reading(self._err)
        self.holds_ns = _widen(self._out) // _SAMPLE_BYTES * 1_000_000_000 // AUDIO_RATE_HZ
        """How much sound waits here if nobody reads; what comes after that is lost."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def read(self) -> Samples:
        """All samples that wait, shape (n,), float32 in -1..1; empty when there are none."""
        data = self._rest + self._drain(self._out)
        self._errors = (self._errors + self._drain(self._err))[-4096:]
        whole = len(data) - len(data) % _SAMPLE_BYTES
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], np.float32)
        return np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        """Last line the program wrote to standard error."""
        lines = self._errors.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"ended with status {self._process.poll()}"

    def close(self) -> None:
        """Kill and reap the program; idempotent."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    @staticmethod
    def _drain(fd: int) -> bytes:
        parts = []
        for _ in range(_MAX_READS):
            try:
                part = os.read(fd, 65536)
            except BlockingIOError:
                break
            if not part:
                break
            parts.append(part)
        return b"".join(parts)


def _widen(fd: int) -> int:
    """Make a pipe hold some seconds where the system can; returns its size in bytes."""
    size = 1 << 14
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # the user's limit on pipe memory
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        size = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
    return size

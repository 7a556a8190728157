"""Notices that the desktop's default output is another one now (PulseAudio, PipeWire; POSIX).

A stream that records "the default monitor" stays with the output that was the default as it began, so headphones
plugged in later would not be heard. Owns a `pactl subscribe` child, which costs nothing while nothing happens, and a
short `pactl` question after each hint. Never blocks; used by the capture thread; without pactl it notices nothing.
If its owner is killed, the child ends with the server's next event, as nobody reads what it says.
"""

import contextlib
import os
import subprocess

from tray_agent.runtime import pipes

_EVENT = b"on server"


class DefaultOutputWatch:
    """Ask `has_changed` now and then."""

    def __init__(self) -> None:
        self._events: subprocess.Popen[bytes] | None = None
        self._question: subprocess.Popen[bytes] | None = None
        self._name = b""
        self._is_hinted = False

    def start(self) -> None:
        """Listen, and ask what the default is now; call again after the server was away."""
        self.close()
        self._events = _pactl("subscribe")
        self._is_hinted = True
        self._name = b""

    def has_changed(self) -> bool:
        """Whether another output became the default since the last True, or since `start`."""
        self._is_hinted |= _EVENT in _read(self._events)
        if self._question is None:
            if self._is_hinted:
                self._is_hinted = False
                self._question = _pactl("get-default-sink")
            return False
        if self._question.poll() is None:
            return False
        name = _read(self._question).strip()
        _end(self._question)
        self._question = None
        if not name or name == self._name:
            return False
        was, self._name = self._name, name
        return was != b""

    def close(self) -> None:
        """End the children; idempotent."""
        _end(self._events)
        _end(self._question)
        self._events = self._question = None


def _pactl(verb: str) -> subprocess.Popen[bytes] | None:
    try:
        child = subprocess.Popen(
            ["pactl", verb],
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None
    if child.stdout is not None:
        pipes.never_block_reading(child.stdout.fileno())
    return child


def _read(child: subprocess.Popen[bytes] | None) -> bytes:
    if child is None or child.stdout is None:
        return b""
    try:
        return os.read(child.stdout.fileno(), 65536)
    except BlockingIOError:
        return b""


def _end(child: subprocess.Popen[bytes] | None) -> None:
    if child is None:
        return
    child.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(1.0)
    if child.stdout is not None:
        child.stdout.close()

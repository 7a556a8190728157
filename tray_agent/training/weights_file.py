"""A file of weights in the making: written again and again, each time whole, while progress is told (no torch).

Runs on the caller's thread. Ctrl-C ends it and keeps the file as it was last written.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from tray_agent.errors import TrayAgentError
from tray_agent.runtime.atomic_file import write_atomic

_SAVE_EVERY_S = 60.0
_TELL_EVERY_S = 10.0
_INTERRUPTED = 130


class Making(Protocol):
    """Work that a file of weights comes of."""

    done: int
    """Updates so far."""

    def updates(self) -> Iterator[int]:
        """Work until it is over; yields `done` often."""
        ...

    def content(self) -> bytes:
        """The file as it is now."""
        ...

    def said(self) -> str:
        """How it goes, for a line of progress."""
        ...


def make_file(command: str, out: Path, begin: Callable[[], Making]) -> int:
    """Work and write; the exit code: 0, 1 when it can't be done (the reason is told), 130 after Ctrl-C.

    Args:
        command: begins the line that tells a reason.
        out: the file.
        begin: makes the work ready.
    """
    try:
        work = begin()
        _write_often(work, out)
    except KeyboardInterrupt:
        print(f"\nstopped; {out} is as it was last written" if out.exists() else "\nstopped; nothing was written")
        return _INTERRUPTED
    except (TrayAgentError, OSError, ValueError) as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {work.done} updates, {work.said()}")
    return 0


def _write_often(work: Making, out: Path) -> None:
    saved = told = began = time.monotonic()
    for count in work.updates():
        now = time.monotonic()
        if now - told >= _TELL_EVERY_S:
            told = now
            cpu_s = time.thread_time()
            print(f"{now - began:.0f} s ({cpu_s:.0f} s of CPU), {count} updates, {work.said()}", flush=True)
        if now - saved >= _SAVE_EVERY_S:
            saved = now
            write_atomic(out, work.content())
    write_atomic(out, work.content())

"""When, by the clock on the wall, something of a session happened. Runs on the caller's thread.

A session's own clock stands still while the machine sleeps, so the later of two answers is taken: counted from the
start, or from the last tick, whose moment is noted at an orderly end, and else is when `ticks.bin` was written last.
"""

import contextlib
from pathlib import Path

from tray_agent.errors import SessionError
from tray_agent.sessions.layout import TICKS, SessionInfo
from tray_agent.sessions.ticks import TickCodec


def last_wall_ns(folder: Path, info: SessionInfo, t_ns: int) -> int:
    """The latest moment, ns since 1970, at which `t_ns` of the session's clock may have been.

    Raises:
        SessionError: its ticks can't be read.
    """
    try:
        _, last_ns = TickCodec(info.spec).glance(folder / TICKS)
    except OSError as error:
        raise SessionError(f"{folder / TICKS} can't be read ({error.strerror or error})") from error
    counted = info.wall_ns - info.start_ns
    end_ns = info.start_ns if last_ns is None else last_ns
    return t_ns + counted + max(0, _noted_ns(folder, info, end_ns + counted) - (end_ns + counted))


def _noted_ns(folder: Path, info: SessionInfo, otherwise: int) -> int:
    if info.closed is not None:
        return int(info.closed.get("last_wall_ns", otherwise))
    with contextlib.suppress(OSError):
        return (folder / TICKS).stat().st_mtime_ns
    return otherwise

"""Takes away what was recorded since a moment, for privacy. Runs on the caller's thread.

Sessions that lie wholly in that time are deleted, kept ones as well; those that reach into it are cut. Files are
deleted, not overwritten: what a disk still holds of deleted files is beyond a program's reach on most of today's disks.
"""

from dataclasses import dataclass
from pathlib import Path

from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.errors import SessionError
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.keep import KEEP
from tray_agent.sessions.layout import SOUND, TICKS, SessionInfo
from tray_agent.sessions.lock import LOCK, is_written
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.removal import remove, sweep
from tray_agent.sessions.sound import sound_pieces
from tray_agent.sessions.ticks import TickCodec
from tray_agent.sessions.trim import cut
from tray_agent.sessions.wall_clock import last_wall_ns

_PER_S = 1e9


@dataclass(frozen=True)
class ForgetPlan:
    """What forgetting would do.

    Attributes:
        delete: sessions that go, damaged ones that were written since among them.
        cut: those to be cut, with the moment of the session's clock (ns) from which on nothing stays.
        written: those that are being written; while there are any, nothing can be forgotten.
        games: of whose play something goes.
    """

    delete: tuple[Path, ...]
    cut: tuple[tuple[Path, int], ...]
    written: tuple[Path, ...]
    games: tuple[str, ...]


def plan_forgetting(root: Path, since_ns: int, game: str | None = None) -> ForgetPlan:
    """Find what was recorded at `since_ns` (since 1970) or later; nothing is changed.

    Raises:
        SessionError: a session can't be read.
    """
    listing = list_sessions(root, game)
    delete, cuts, written, games = [], [], [], set()
    for one in listing.sessions:
        if is_written(one.folder):
            written.append(one.folder)
        elif _touched_ns(one.folder) >= since_ns and (end := _keeps_until(one.folder, one.info, since_ns)) is not None:
            games.add(one.info.game)
            if end <= one.info.start_ns:
                delete.append(one.folder)
            else:
                cuts.append((one.folder, end))
    damaged = [folder for folder in listing.damaged if _touched_ns(folder) >= since_ns]
    games |= {folder.parent.name for folder in damaged}
    return ForgetPlan((*delete, *damaged), tuple(cuts), tuple(written), tuple(sorted(games)))


def forget(root: Path, plan: ForgetPlan) -> list[Path]:
    """Carry a plan out; the new folders of the sessions that were cut.

    Raises:
        SessionError: something could not be deleted or cut; what came before it is done.
    """
    for folder in plan.delete:
        remove(folder)
    new = [cut(folder, None, end_ns) for folder, end_ns in plan.cut]
    sweep(root)
    return new


def _keeps_until(folder: Path, info: SessionInfo, since_ns: int) -> int | None:
    """From when on, on the session's clock, nothing may stay (its start: nothing at all); None: it ended before."""
    session = SessionReader(folder)
    end_ns = since_ns - last_wall_ns(folder, info, 0)
    times = session.ticks.t_ns
    if not len(times) or times[0] >= end_ns:
        return info.start_ns
    _, last_ns = TickCodec(info.spec).glance(folder / TICKS)
    heard_ns = info.start_ns + round(sum(map(len, sound_pieces(folder / SOUND))) * _PER_S / AUDIO_RATE_HZ)
    last = max(last_ns or 0, heard_ns, *(event.t_ns for event in session.events[-1:]))
    return end_ns if last >= end_ns else None


def _touched_ns(folder: Path) -> int:
    """When anything recorded was written last, ns since 1970: nothing in it is younger."""
    try:
        times = [f.stat().st_mtime_ns for f in folder.iterdir() if f.name not in {KEEP, LOCK}]
    except OSError as error:
        raise SessionError(f"session {folder} can't be read ({error.strerror or error})") from error
    return max(times, default=0)

"""Ends sessions that a crash or a power cut left without an end. Runs on the caller's thread.

Files are cut back to what is whole and fits together, then the end is noted, so a kill in between leaves a session
that can be repaired again. Nothing is done to one that is being written or has an orderly end.
"""

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.errors import SessionError
from tray_agent.sessions.append_file import read_lines, shorten, whole_lines
from tray_agent.sessions.layout import EVENTS, MARKS, METADATA, SOUND, TICKS, VIDEO, SessionInfo, save_info
from tray_agent.sessions.lock import held
from tray_agent.sessions.matroska import BlockIndex
from tray_agent.sessions.rebuilt import readable_info
from tray_agent.sessions.sound import sound_pieces
from tray_agent.sessions.ticks import HEADER_BYTES, TickCodec, TickTable
from tray_agent.sessions.video import VideoReader
from tray_agent.sessions.wall_clock import last_wall_ns

_PER_S = 1e9


@dataclass(frozen=True)
class Repaired:
    """What was done to a session.

    Attributes:
        folder: of the session.
        done: False: it had an orderly end, nothing was changed.
        ticks: how many it has.
        lost_ticks: records without a picture, or damaged, that were cut off.
        lost_s: seconds from the last tick that is left to the last moment of which anything was found.
        cut: name of a file -> bytes cut off.
        rebuilt_from: name of the session whose metadata were taken because its own were damaged, "" if they were not.
    """

    folder: Path
    done: bool
    ticks: int = 0
    lost_ticks: int = 0
    lost_s: float = 0.0
    cut: dict[str, int] = field(default_factory=dict)
    rebuilt_from: str = ""


def repair(folder: Path) -> Repaired:
    """Note the end of a session that has none.

    Raises:
        SessionError: it is being written, or can't be repaired; the message says what is missing.
    """
    with held(folder):
        info, rebuilt_from = readable_info(folder)
        if info.closed is not None:
            return Repaired(folder, done=False, ticks=int(info.closed.get("ticks", 0)))
        try:
            done = _end(folder, info, rebuilt_from)
            for left in folder.glob(f".{METADATA}.*.tmp"):
                left.unlink(missing_ok=True)
        except OSError as error:
            raise SessionError(f"session {folder} can't be repaired ({error.strerror or error})") from error
    return done


def _end(folder: Path, info: SessionInfo, rebuilt_from: str) -> Repaired:
    codec = TickCodec(info.spec)
    table = codec.read(folder / TICKS)
    seemed, _ = codec.glance(folder / TICKS)
    video = VideoReader(folder / VIDEO, info.spec.frame_width, info.spec.frame_height)
    ticks = video.intact(min(len(table), len(video)))
    last_ns = int(table.t_ns[ticks - 1]) if ticks else info.start_ns
    found_ns = _last_found_ns(folder, info, table)
    ended_wall_ns = last_wall_ns(folder, info, last_ns)
    cut = _cut_back(folder, ticks, codec, video)
    lost_ticks = max(0, seemed - ticks)
    lost_s = max(lost_ticks / info.spec.rate_hz, (found_ns - last_ns) / _PER_S - 1 / info.spec.rate_hz)
    result = Repaired(folder, True, ticks, lost_ticks, round(max(0.0, lost_s), 2), cut, rebuilt_from)
    files = (VIDEO, TICKS, EVENTS, MARKS, SOUND)
    closed = {
        "ticks": ticks, "last_ns": last_ns, "last_wall_ns": ended_wall_ns,
        "bytes": sum((folder / name).stat().st_size for name in files if (folder / name).exists()),
        "dropped": int(table.tick[ticks - 1] - table.tick[0]) + 1 - ticks if ticks else 0, "lost_records": 0,
        "repaired": True, "lost_ticks": lost_ticks, "lost_s": result.lost_s,
    }  # fmt: skip
    save_info(folder, replace(info, closed=closed))
    return result


def _last_found_ns(folder: Path, info: SessionInfo, table: TickTable) -> int:
    """The last moment of which a record, an event or sound is there."""
    moments: list[int] = [info.start_ns, *table.t_ns[-1:].tolist()]
    for row in read_lines(folder / EVENTS)[-1:]:
        with contextlib.suppress(TypeError, ValueError, IndexError, KeyError):
            moments.append(int(row[0]))
    heard = sum(map(len, sound_pieces(folder / SOUND)))
    return max(*moments, info.start_ns + round(heard * _PER_S / AUDIO_RATE_HZ))


def _cut_back(folder: Path, ticks: int, codec: TickCodec, video: VideoReader) -> dict[str, int]:
    """Leave `ticks` frames and records, and whole lines and blocks; name -> bytes cut off where any were."""
    sizes = {
        VIDEO: video.end_of(ticks),
        TICKS: HEADER_BYTES + ticks * codec.dtype.itemsize,
        **{name: whole_lines(folder / name) for name in (EVENTS, MARKS) if (folder / name).exists()},
    }
    sound = BlockIndex(folder / SOUND)
    sound.extend()
    if sound.blocks:
        sizes[SOUND] = sound.blocks[-1].offset + sound.blocks[-1].size
    cut = {name: shorten(folder / name, size) for name, size in sizes.items() if (folder / name).exists()}
    return {name: lost for name, lost in cut.items() if lost}

"""Sessions on disk -> one recording in memory (the caller's thread)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.evaluation.peers.peer import Recording
from tray_agent.sessions.reader import SessionReader

_CHUNK = 128


def recording_of(folders: Sequence[Path]) -> Recording:
    """All ticks of these sessions, in order, that our own trainer would learn from (LEARN and not STRAYED).

    History may not reach over a session's beginning, a gap, or ticks left out.

    Raises:
        SessionError: no session, none that fits the others, one that is damaged, or nothing to learn from.
    """
    readers = [SessionReader(folder) for folder in folders]
    if not readers:
        raise SessionError("no session was given to learn from; record one first")
    spec, vector = readers[0].spec, readers[0].info.vector
    for reader in readers:
        if (reader.spec, reader.info.vector) != (spec, vector):
            raise SessionError(f"{reader.folder} was recorded otherwise than {readers[0].folder}; learn from one kind")
    good = [_good(reader) for reader in readers]
    n = sum(int(g.sum()) for g in good)
    if not n:
        raise SessionError(f"nothing to learn from in {', '.join(str(f) for f in folders)}; record longer")
    frames = np.empty((n, spec.frame_height, spec.frame_width, 3), np.uint8)
    at = 0
    for reader, keep in zip(readers, good, strict=True):
        at = _copy_frames(reader, keep, frames, at)
    return Recording(
        frames=frames,
        audio=np.concatenate([r.ticks.audio[g] for r, g in zip(readers, good, strict=True)]),
        actions=np.concatenate([r.ticks.actions[g] for r, g in zip(readers, good, strict=True)]),
        starts=_starts(readers, good),
        spec=spec,
        vector=vector,
    )


def _good(reader: SessionReader) -> npt.NDArray[np.bool_]:
    flags = reader.ticks.flags
    learn: npt.NDArray[np.bool_] = (flags & int(TickFlag.LEARN) != 0) & (flags & int(TickFlag.STRAYED) == 0)
    return learn


def _copy_frames(reader: SessionReader, keep: npt.NDArray[np.bool_], into: npt.NDArray[np.uint8], at: int) -> int:
    """Chunk by chunk, because ten minutes of large frames are gigabytes."""
    for start in range(0, len(reader), _CHUNK):
        stop = min(start + _CHUNK, len(reader))
        chosen = reader.frames(start, stop)[keep[start:stop]]
        into[at : at + len(chosen)] = chosen
        at += len(chosen)
    return at


def _starts(readers: list[SessionReader], good: list[npt.NDArray[np.bool_]]) -> list[int]:
    starts: list[int] = []
    at = 0
    for reader, keep in zip(readers, good, strict=True):
        ticks, flags = reader.ticks.tick[keep], reader.ticks.flags[keep]
        follows = np.diff(ticks, prepend=ticks[:1] - 2) == 1
        begins = ~follows | (flags & int(TickFlag.GAP) != 0)
        starts += (np.flatnonzero(begins) + at).tolist()
        at += len(ticks)
    return starts

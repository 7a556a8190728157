"""Recorded sessions of any game as play in memory: what an encoder learns from (numpy; no torch)."""

import numpy as np
import numpy.typing as npt

from tray_agent.core.controls import Controls, FloatVector
from tray_agent.core.held_out import are_held_out
from tray_agent.core.planes import PLANES, planes_of
from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.sessions.reader import SessionReader
from tray_agent.training.offline.recordings import Recordings, Skip
from tray_agent.training.pretraining.plays import Play

STRETCH = 128
"""Ticks that are read from a session together; nothing reaches from one stretch into the next."""
_COUNTS = 1.0
_TILT = 0.25


def recorded(found: Recordings, max_bytes: int, skip: Skip) -> Play:
    """A game's sessions, or as many stretches of them as there is memory for, spread evenly over all.

    Stretches that every trainer keeps out are never fit to be learned from, nor is what the agent played.

    Args:
        found: its sessions.
        max_bytes: for pictures.
        skip: told of sessions with pictures that can't be read; the rest of them is used.
    """
    size = (PLANES, found.spec.frame_height, found.spec.frame_width)
    chosen = _spread(found, max_bytes // (int(np.prod(size)) * STRETCH))
    planes = np.empty((sum(last - first for _, first, last in chosen), *size), np.uint8)
    held, starts, fit = [], [], []
    broken: set[str] = set()
    count = 0
    for name, first, last in chosen:
        reader = found.readers[name]
        try:
            pixels = reader.frames(first, last)
        except SessionError as error:
            if name not in broken:
                broken.add(name)
                skip(name, f"a part of it: {error}")
            continue
        for row, picture in enumerate(pixels, start=count):
            planes[row] = planes_of(picture)
        held.append(bits_of(found.spec.controls, reader.ticks.actions[first:last]))
        starts.append(count + _starts(reader, first, last))
        fit.append(_fit(reader, first, last))
        count += last - first
    if not count:
        raise SessionError("no picture of any session can be read; record again")
    return Play(found.game, planes[:count], np.concatenate(held), np.concatenate(starts), np.concatenate(fit))


def bits_of(controls: Controls, actions: FloatVector) -> npt.NDArray[np.float32]:
    """What was done, as bits: actions (n, controls.size) -> 0 or 1, shape (n, buttons + 2 * (relative + axes)).

    A mouse moved or a stick tilted one way is a bit, the other way another.
    """
    held, relative, axes = controls.split(actions)
    bits = [held >= 0.5, relative <= -_COUNTS, relative >= _COUNTS, axes <= -_TILT, axes >= _TILT]
    return np.concatenate(bits, axis=1).astype(np.float32)


def _spread(found: Recordings, most: int) -> list[tuple[str, int, int]]:
    """Name of session, first tick, the one after the last, of up to `most` stretches, one at least."""
    lengths = {name: len(reader) for name, reader in found.readers.items()}
    every = [(name, at, min(at + STRETCH, n)) for name, n in lengths.items() for at in range(0, n, STRETCH)]
    return [every[i] for i in np.linspace(0, len(every) - 1, max(1, min(most, len(every)))).astype(int)]


def _starts(reader: SessionReader, first: int, last: int) -> npt.NDArray[np.int64]:
    """Of each of those ticks, where its unbroken stretch began, counted from the first."""
    table = reader.ticks
    begins = table.flags[first:last] & int(TickFlag.GAP) != 0
    begins |= np.diff(table.tick[first:last], prepend=-2) != 1
    begins[0] = True
    return np.maximum.accumulate(np.where(begins, np.arange(last - first), 0))


def _fit(reader: SessionReader, first: int, last: int) -> npt.NDArray[np.bool_]:
    flags = reader.ticks.flags[first:last]
    good = (flags & int(TickFlag.LEARN) != 0) & (flags & int(TickFlag.STRAYED) == 0)
    good &= np.isfinite(reader.ticks.actions[first:last]).all(1)
    good &= ~are_held_out(np.arange(first, last), reader.spec.rate_hz)
    return np.asarray(good)

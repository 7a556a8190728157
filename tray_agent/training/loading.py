"""Recorded sessions -> a replay, some ticks at a time, so that whoever loads can learn in between (no torch)."""

from collections.abc import Iterator
from pathlib import Path

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import SessionError
from tray_agent.sessions.reader import SessionReader
from tray_agent.training.replay import Replay

_CHUNK = 256


def load_session(folder: Path, spec: PolicySpec, replay: Replay, is_newest: bool) -> Iterator[int]:
    """Read a session into `replay`; yields now and then how many ticks it has read.

    Args:
        folder: of the session.
        spec: what must have been recorded.
        replay: takes the ticks; of the newest session all, of others as many as there is room for.
        is_newest: whether ticks loaded before may be pushed out.

    Raises:
        SessionError: it can't be used; the message says why.
    """
    if replay.full and not is_newest:
        raise SessionError("newer sessions fill the memory set aside for learning")
    reader = SessionReader(folder)
    if reader.spec.digest != spec.digest:
        raise SessionError("recorded with other controls, rate or picture")
    for count, sample in enumerate(reader.samples()):
        replay.add(folder.name, sample)
        if count % _CHUNK == 0:
            yield count
        if replay.full and not is_newest:
            return

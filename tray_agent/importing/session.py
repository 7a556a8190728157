"""One item -> one session, visible only when it is whole. Runs on the caller's thread."""

import contextlib
import pickle
import shutil
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from tray_agent.core.clock import ManualClock
from tray_agent.core.media import AudioChunk, VideoQuality
from tray_agent.core.policy import PolicySpec
from tray_agent.errors import ImportFailed
from tray_agent.importing.action_names import ActionNames
from tray_agent.importing.item import Item, Step
from tray_agent.importing.ticks import Tick, ticks
from tray_agent.sessions.layout import game_folder, new_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.settings.games import GameProfile

BROKEN = (
    ImportFailed, OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, AttributeError,
    MemoryError, AssertionError, struct.error, zlib.error, pickle.UnpicklingError, tarfile.TarError, av.FFmpegError,
)  # fmt: skip
"""What damaged data makes the libraries raise that read it."""
_TELL_EVERY = 100
_MOST_NAMES = 40


@dataclass(frozen=True)
class Written:
    """One session that was made.

    Attributes:
        folder: of the session.
        ticks, seconds: how long it is.
        actions: ticks in which something is held or moved.
    """

    folder: Path
    ticks: int
    seconds: float
    actions: int


def write_session(
    item: Item,
    profile: GameProfile,
    names: ActionNames,
    extra: dict[str, Any],
    root: Path,
    hidden: Path,
    tell: Callable[[int], None],
    quality: VideoQuality = "lossless",
) -> Written:
    """Read the item, write it as a session of the game.

    Args:
        item: what to read.
        profile: of the game.
        names: of its actions.
        extra: where it came from, kept in `session.json` under "imported".
        root: folder of all sessions.
        hidden: where the session is written; moved to its place below `root` when it is whole.
        tell: told the number of ticks now and then.
        quality: how closely pictures are kept.

    Raises:
        ImportFailed: nothing in it can be used.
        SessionError: it can't be written.
        OSError, ValueError, ...: the data is damaged (see `BROKEN`).
    """
    spec = profile.spec()
    folder = new_folder(hidden, profile.name)
    writer = SessionWriter(
        folder, spec, profile.name, profile.vector8, clock=ManualClock(), threaded=False, quality=quality,
        extra={"imported": extra},
    )  # fmt: skip
    try:
        writer.start()
        seen: set[str] = set()
        actions = 0
        for tick in _ticks(item, spec, names, seen):
            _write(writer, tick)
            actions += bool(tick.sample.action.any())
            if tick.sample.tick % _TELL_EVERY == 0:
                tell(tick.sample.tick)
        _refuse_useless(writer.counts().ticks, seen, names, profile)
        writer.close()
        if writer.failure is not None:
            raise writer.failure
        target = game_folder(root, profile.name) / folder.name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.rename(target)
    finally:
        writer.close()
        shutil.rmtree(folder, ignore_errors=True)  # moved away if it is whole
    count = writer.counts().ticks
    return Written(target, count, round(count / spec.rate_hz, 2), actions)


def _write(writer: SessionWriter, tick: Tick) -> None:
    writer.add_audio(tick.chunks)
    writer.add_events(tick.events)
    writer.add(tick.sample)
    if writer.failure is not None:
        raise writer.failure


def _ticks(item: Item, spec: PolicySpec, names: ActionNames, seen: set[str]) -> Iterator[Tick]:
    with contextlib.ExitStack() as stack:  # what a reader holds open is closed whatever happens
        sound: Iterator[AudioChunk] = iter(())
        if item.sound is not None and spec.audio:
            sound = item.sound()
            stack.callback(getattr(sound, "close", lambda: None))
        steps = item.steps()
        stack.callback(getattr(steps, "close", lambda: None))
        yield from ticks(_noting(steps, seen), spec, names, sound)


def _noting(steps: Iterator[Step], seen: set[str]) -> Iterator[Step]:
    """The same steps; the names of their actions are noted."""
    for step in steps:
        seen.update(step.actions)
        yield step


def _refuse_useless(written: int, seen: set[str], names: ActionNames, profile: GameProfile) -> None:
    if not written:
        raise ImportFailed("it holds no pictures, or less than a tick")
    if not seen:
        raise ImportFailed("nothing is pressed in it")
    if not names.any_of(seen):
        theirs = ", ".join(sorted(seen, key=lambda name: (len(name), name))[:_MOST_NAMES])
        raise ImportFailed(
            "none of its actions stands for a control of the game; say which with --map THEIRS=OURS. "
            f"It has: {theirs}. The game has: {', '.join(profile.controls.names)}"
        )

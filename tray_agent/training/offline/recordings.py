"""Which sessions a run learns from, and which it is judged by (no torch)."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import SessionError
from tray_agent.sessions.address import RemoteSession
from tray_agent.sessions.layout import MARKS, METADATA, TICKS, VIDEO, game_folder
from tray_agent.sessions.reader import SessionReader
from tray_agent.training.offline.reduced import ReducedSession, can_be_reduced

WHOLE = 3
"""From so many sessions on, whole ones are kept out of learning."""
_EVERY = 6

Skip = Callable[[str, str], None]
"""Told what is left out, and why."""


@dataclass(frozen=True)
class Recordings:
    """Sessions of one game that go together.

    Attributes:
        game, vector, spec: as the newest session tells.
        readers: by name, oldest first.
        held_out: names of those that are kept out of learning as a whole.
        reduced: names of those whose pictures are larger, and reduced as they are read.
    """

    game: str
    vector: tuple[float, ...]
    spec: PolicySpec
    readers: dict[str, SessionReader]
    held_out: frozenset[str]
    reduced: frozenset[str] = frozenset()

    def to_json(self, fetched: Mapping[Path, RemoteSession] | None = None) -> list[dict[str, Any]]:
        """What a run's folder keeps of them.

        Args:
            fetched: what the copies among the folders were made of.
        """
        fetched = fetched or {}
        return [
            {"folder": str(reader.folder), "ticks": len(reader), "digest": digest(reader.folder),
             "held_out": name in self.held_out}
            | ({"remote": fetched[reader.folder].to_json()} if reader.folder in fetched else {})
            for name, reader in self.readers.items()
        ]  # fmt: skip

    def fingerprint(self) -> dict[str, list[Any]]:
        """The same for all processes that see the same sessions."""
        return {name: [len(reader), digest(reader.folder)] for name, reader in self.readers.items()}


def find_folders(given: Sequence[Path], root: Path, game: str) -> list[Path]:
    """Session folders: those given, those in given folders (FOLDER/SESSION or FOLDER/GAME/SESSION), else the game's.

    Raises:
        SessionError: a given folder holds none.
    """
    if not given:
        return _within(game_folder(root, game))
    found: list[Path] = []
    for folder in given:
        here = [folder] if (folder / METADATA).exists() else _within(folder) or _within(game_folder(folder, game))
        if not here:
            raise SessionError(
                f"{folder}: no sessions in it. Name sessions, a folder of them, or one that holds {game}/"
            )
        found += here
    return list(dict.fromkeys(path.resolve() for path in found))


def _within(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path.parent for path in folder.glob(f"*/{METADATA}")]


def open_recordings(folders: Sequence[Path], game: str, held_out: Collection[str], skip: Skip) -> Recordings:
    """Open those that can be learned from together: the game's, with controls, rate and picture of the newest.

    Larger pictures than the newest session's are reduced to its size.

    Args:
        folders: of sessions.
        game: sessions of others are left out.
        held_out: names of sessions to keep out of learning; without any, every sixth of three or more.
        skip: told what is left out.

    Raises:
        SessionError: none is left, or none to learn from, or one to be held out is not there.
    """
    readers = _readers(folders, game, skip)
    if not readers:
        raise SessionError(f"no sessions of {game} that can be used. Watch it first, or name the folders they are in")
    newest = readers[max(readers)]
    fitting: dict[str, SessionReader] = {}
    for name in sorted(readers):
        if readers[name].spec == newest.spec:
            fitting[name] = readers[name]
        elif can_be_reduced(readers[name].spec, newest.spec):
            fitting[name] = ReducedSession(readers[name].folder, newest.spec)
        else:
            skip(name, _differing(readers[name].spec, newest.spec))
    if strangers := sorted(set(held_out) - fitting.keys()):
        raise SessionError(f"--held-out {' '.join(strangers)}: no such session; there are {', '.join(fitting)}")
    out = frozenset(held_out) or _every_sixth(list(fitting))
    if not fitting.keys() - out:
        raise SessionError("every session is held out; leave one to learn from")
    reduced = frozenset(name for name, reader in fitting.items() if isinstance(reader, ReducedSession))
    return Recordings(game, newest.info.vector, newest.spec, fitting, out, reduced)


def _readers(folders: Sequence[Path], game: str, skip: Skip) -> dict[str, SessionReader]:
    readers: dict[str, SessionReader] = {}
    for folder in sorted(folders, key=lambda path: path.name):
        try:
            reader = SessionReader(folder)
        except SessionError as error:
            skip(folder.name, str(error))
            continue
        if reader.info.game != game:
            skip(folder.name, f"a session of {reader.info.game}")
        elif not len(reader):
            skip(folder.name, "it is empty")
        elif folder.name in readers:
            skip(folder.name, f"another session of that name is taken, {readers[folder.name].folder}")
        else:
            readers[folder.name] = reader
    return readers


def _differing(spec: PolicySpec, newest: PolicySpec) -> str:
    """A sentence."""
    mine, wanted = _in_words(spec), _in_words(newest)
    differing = [name for name in mine if mine[name] != wanted[name]]
    here, there = (", ".join(words[name] for name in differing) for words in (mine, wanted))
    return f"it has {here}; the newest session, which decides, has {there}"


def _in_words(spec: PolicySpec) -> dict[str, str]:
    """What of a spec must be the same in all sessions."""
    rest = {name: f"{name} {value}" for name, value in spec.to_json().items()}
    for name in ("rate_hz", "frame_width", "frame_height", "controls", "audio"):
        del rest[name]
    return {
        "rate": f"{spec.rate_hz:g} ticks a second",
        "picture": f"pictures of {spec.frame_width}x{spec.frame_height}",
        "controls": f"the controls {' '.join(spec.controls.names)}",
        "sound": "sound" if spec.audio else "no sound",
    } | rest


def _every_sixth(names: Sequence[str]) -> frozenset[str]:
    """One of each six, from the middle of them."""
    if len(names) < WHOLE:
        return frozenset()
    count = max(1, len(names) // _EVERY)
    return frozenset(names[(2 * i + 1) * len(names) // (2 * count)] for i in range(count))


def digest(folder: Path) -> str:
    """16 hex digits over all of a session but its pictures and sound, of which only the size counts.

    Raises:
        SessionError: it can't be read.
    """
    sha = hashlib.sha256()
    try:
        for name in (METADATA, TICKS, MARKS):
            if (folder / name).exists():
                sha.update((folder / name).read_bytes())
        sha.update(str((folder / VIDEO).stat().st_size).encode())
    except OSError as error:
        raise SessionError(f"session {folder} can't be read ({error})") from error
    return sha.hexdigest()[:16]


def as_before(kept: Sequence[dict[str, Any]], game: str) -> Recordings:
    """The recordings that a run began with, from what its folder keeps.

    Raises:
        SessionError: one is gone or has changed since.
    """
    for one in kept:
        if digest(Path(one["folder"])) != one["digest"]:
            raise SessionError(f"session {one['folder']} has changed since the run began; begin another run")
    folders = [Path(one["folder"]) for one in kept]
    problems: list[str] = []
    held_out = [Path(one["folder"]).name for one in kept if one["held_out"]]
    found = open_recordings(folders, game, (), lambda name, why: problems.append(f"{name}: {why}"))
    if problems:
        raise SessionError(f"the sessions that the run began with can't all be used any more: {'; '.join(problems)}")
    return replace(found, held_out=frozenset(held_out))

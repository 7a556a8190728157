"""Games with recorded sessions, and what is learned of each, streamed from disk (numpy)."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import SessionError, TrayAgentError
from tray_agent.sessions.layout import METADATA, TICKS, VIDEO, load_info
from tray_agent.training.learner import MIN_TICKS
from tray_agent.training.offline.recordings import Recordings, Skip, open_recordings
from tray_agent.training.offline.segments import SegmentReplay
from tray_agent.training.pretraining.plays import Play
from tray_agent.training.pretraining.recorded_play import recorded

_FILES = (METADATA, TICKS, VIDEO)
"""A folder with one of them is, or was, a session."""
_DEPTHS = ("", "*/", "*/*/")


@dataclass(frozen=True)
class Game:
    """A game that is learned from.

    Attributes:
        name, vector, spec: as its newest session tells.
        replay: all of its sessions that go with the newest one.
    """

    name: str
    vector: tuple[float, ...]
    spec: PolicySpec
    replay: SegmentReplay


def sessions_by_game(given: Sequence[Path], without: Collection[str], skip: Skip) -> dict[str, list[Path]]:
    """Folders of sessions by game, sorted by the game's name.

    Args:
        given: sessions, folders of them, or folders that hold GAME/SESSION.
        without: games that are left alone.
        skip: told of sessions that can't be read.

    Raises:
        TrayAgentError: a folder holds no session, or a game that is to be left out has none.
    """
    found: dict[str, list[Path]] = {}
    for folder in dict.fromkeys(path.resolve() for one in given for path in _sessions_in(one)):
        try:
            found.setdefault(load_info(folder).game, []).append(folder)
        except SessionError as error:
            skip(folder.name, str(error))
    if strangers := sorted(set(without) - found.keys()):
        there = ", ".join(sorted(found))
        raise TrayAgentError(f"--without {' '.join(strangers)}: no sessions of it; there are {there}")
    return {name: found[name] for name in sorted(found) if name not in without}


def _sessions_in(folder: Path) -> list[Path]:
    found = {path.parent for depth in _DEPTHS for name in _FILES for path in folder.glob(depth + name)}
    # what a deletion or an import left half done has a hidden name
    seen = sorted(path for path in found if not any(part[0] == "." for part in path.relative_to(folder).parts))
    if not seen:
        raise TrayAgentError(
            f"no sessions in {folder}. Watch games first, or name sessions, folders of them, or folders that hold "
            "GAME/SESSION"
        )
    return seen


def open_games(
    sessions: Mapping[str, Sequence[Path]], max_bytes: int, segment: int, seed: int, skip: Skip
) -> list[Game]:
    """Games with enough to learn from; pictures are read when they are needed. Close each one's replay.

    Args:
        sessions: folders by game.
        max_bytes: for pictures of all games together.
        segment: ticks that are read from disk together.
        seed: of what is drawn.
        skip: told what is left out: a session, a part of one, a game.
    """
    games = []
    for name, found in _opened(sessions, skip).items():
        share = max_bytes // len(sessions)
        replay = SegmentReplay(found.spec, found.readers, (), segment, share, seed, skip)
        if replay.learnable() < MIN_TICKS:
            skip(name, _TOO_FEW)
        else:
            games.append(Game(name, found.vector, found.spec, replay))
    return games


def recorded_plays(sessions: Mapping[str, Sequence[Path]], max_bytes: int, skip: Skip) -> list[Play]:
    """Games with enough to learn from, in memory, as much of each as has room in an equal share of it.

    Args:
        sessions, max_bytes, skip: as `open_games` has them.
    """
    plays = []
    for name, found in _opened(sessions, skip).items():
        try:
            play = recorded(found, max_bytes // len(sessions), skip)
        except SessionError as error:
            skip(name, str(error))
            continue
        if len(play.usable) < MIN_TICKS:
            skip(name, _TOO_FEW)
        else:
            plays.append(play)
    return plays


_TOO_FEW = f"fewer than {MIN_TICKS} ticks to learn from"


def _opened(sessions: Mapping[str, Sequence[Path]], skip: Skip) -> dict[str, Recordings]:
    opened = {}
    for name, folders in sessions.items():
        try:
            found = open_recordings(folders, name, (), skip)
        except SessionError as error:
            skip(name, str(error))
            continue
        if len(found.vector) != found.spec.vector_size or not all(map(math.isfinite, found.vector)):
            skip(name, "its newest session has no usable game vector")
        else:
            opened[name] = found
    return opened

"""Games watched before, which a shared model learns on while another one is watched (no torch)."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import SessionError
from tray_agent.sessions.catalogue import Listed, list_sessions
from tray_agent.sessions.layout import game_folder
from tray_agent.training.loading import load_session
from tray_agent.training.replay import Replay, least_bytes

MOST = 12
"""Other games at most; each costs some 45 MB for its weights, beside its frames."""
SHARE = 0.5
"""Of the memory for frames that all other games have together."""

Skip = Callable[[str, str], None]
"""Told what is left out (a session or a game), and why."""


@dataclass(frozen=True)
class OtherGame:
    """A game that is learned along.

    Attributes:
        name, vector, spec: as its newest session tells.
        sessions: folders, newest first.
        replay: what of it is in memory.
    """

    name: str
    vector: tuple[float, ...]
    spec: PolicySpec
    sessions: tuple[Path, ...]
    replay: Replay


def other_games(root: Path, current: str, max_bytes: int, seed: int, skip: Skip) -> list[OtherGame]:
    """Games with sessions under `root` beside the current one, newest first; nothing is loaded yet.

    Args:
        root: of all sessions.
        current: the game that is left alone.
        max_bytes: for the frames of all of them together.
        seed: of what is drawn.
        skip: told what is left out.
    """
    by_game: dict[str, list[Listed]] = {}
    for listed in _newest_first(root, current, skip):
        if listed.info.game != current:
            by_game.setdefault(listed.info.game, []).append(listed)
    chosen: list[list[Listed]] = []
    left = max_bytes
    for name, sessions in by_game.items():
        info = sessions[0].info
        if len(info.vector) != info.spec.vector_size or not all(map(math.isfinite, info.vector)):
            skip(name, "its newest session has no usable game vector")
        elif len(chosen) == MOST or least_bytes(info.spec) > left:
            skip(name, "games watched later fill the memory set aside for other games")
        else:
            chosen.append(sessions)
            left -= least_bytes(info.spec)
    return [_game(sessions, left // len(chosen), seed) for sessions in chosen]


def _newest_first(root: Path, current: str, skip: Skip) -> list[Listed]:
    listing = list_sessions(root)
    for folder, why in listing.damaged.items():
        if folder.parent != game_folder(root, current):
            skip(folder.name, why)
    return list(reversed(listing.sessions))


def _game(sessions: list[Listed], more_bytes: int, seed: int) -> OtherGame:
    info = sessions[0].info
    replay = Replay(info.spec, least_bytes(info.spec) + more_bytes, seed)
    return OtherGame(info.game, info.vector, info.spec, tuple(listed.folder for listed in sessions), replay)


def load_others(others: list[OtherGame], skip: Skip) -> Iterator[int]:
    """Read them in turn, some ticks of each at a time; yields how many games are not done."""
    waiting = deque(_load(other, skip) for other in others)
    while waiting:
        loading = waiting.popleft()
        if next(loading, None) is not None:
            waiting.append(loading)
        yield len(waiting)


def _load(other: OtherGame, skip: Skip) -> Iterator[int]:
    for folder in other.sessions:
        if other.replay.full:
            return
        try:
            yield from load_session(folder, other.spec, other.replay, is_newest=folder == other.sessions[0])
        except SessionError as error:
            skip(folder.name, str(error))

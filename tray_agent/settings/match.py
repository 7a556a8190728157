"""Which game a window belongs to (no I/O)."""

from collections.abc import Iterable

from tray_agent.core.events import WindowInfo
from tray_agent.settings.games import GameProfile

_LONGEST_TITLE = 300
"""Titles are cut here: web pages choose them freely, and a user's pattern may be slow on long ones."""
_COMM_LENGTH = 15
"""Linux cuts a process's short name to so many bytes."""


def match(window: WindowInfo, profiles: Iterable[GameProfile]) -> GameProfile | None:
    """The profile of the game whose window this is; None when it is no configured game.

    A profile that asks for both process and title goes before one that asks for only one of them; otherwise the
    first in order is taken.
    """
    fitting = [profile for profile in profiles if fits(window, profile)]
    return max(fitting, key=_precision, default=None)


def fits(window: WindowInfo, profile: GameProfile) -> bool:
    """Whether a window is this game's. A profile without `match` (a package game) has no window."""
    if profile.match is None:
        return False
    process, title = profile.match.process_test(), profile.match.title_test()
    if process is not None and not any(process(name) for name in _process_names(window.process, profile)):
        return False
    return title is None or bool(title(window.title[:_LONGEST_TITLE]))


def _process_names(process: str, profile: GameProfile) -> tuple[str, ...]:
    """Forms under which a process may be written in a profile: with or without .exe, and not cut by Linux."""
    names = [process]
    if process.lower().endswith(".exe"):
        names.append(process[:-4])
    wanted = profile.match.process if profile.match else None
    if wanted and len(process) == _COMM_LENGTH and wanted.lower().startswith(process.lower()):
        names.append(wanted)
    return tuple(name for name in names if name)


def _precision(profile: GameProfile) -> int:
    found = profile.match
    return 0 if found is None else (found.process is not None) + (found.title is not None)

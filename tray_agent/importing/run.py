"""Paths -> sessions: what is imported, what is left out and why. Runs on the caller's thread."""

import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from tray_agent.core.media import VideoQuality
from tray_agent.errors import ImportFailed
from tray_agent.importing.action_names import ActionNames
from tray_agent.importing.item import Format, Item, Source
from tray_agent.importing.session import BROKEN, Written, write_session
from tray_agent.sessions.catalogue import disk_bytes
from tray_agent.settings.games import GameProfile

HIDDEN = ".importing"
"""Folder below the sessions' where one is written until it is whole."""

Tell = Callable[[str, int], None]
"""Progress: name of the item, ticks written of it."""


@dataclass
class Outcome:
    """What has happened so far; filled while it happens, so that it tells the truth after an interruption too.

    Attributes:
        imported: (item, session) in order.
        skipped: (item or path, why) in order.
        lost: their action -> steps in which it was pressed and left out, and why.
    """

    imported: list[tuple[str, Written]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    lost: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What to import.

    Attributes:
        formats: one, or all that may be recognised.
        profile: the game.
        own_names: the user's names of actions: theirs -> ours.
        rate_hz: steps a second of recordings that don't tell.
        limit: sessions at most.
        max_bytes: what all sessions together may take.
        quality: how closely pictures are kept.
    """

    formats: Sequence[Format]
    profile: GameProfile
    own_names: Mapping[str, str] = field(default_factory=dict)
    rate_hz: float | None = None
    limit: int | None = None
    max_bytes: float = math.inf
    quality: VideoQuality = "lossless"


def run_import(paths: Sequence[Path], wanted: Wanted, root: Path, outcome: Outcome, tell: Tell) -> None:
    """Import all items of all paths, one after the other.

    Args:
        paths: files and folders.
        wanted: what to import.
        root: folder of all sessions.
        outcome: told everything as it happens.
        tell: progress.

    Raises:
        ImportFailed: another import is running, a name of an action is wrong, or the sessions take too much.
        PlatformUnavailable: a library is missing.
        SessionError: sessions can't be written.
    """
    hidden = root / HIDDEN
    hidden.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with FileLock(hidden / "lock", timeout=0):
            for left in hidden.iterdir():  # of an import that was killed
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
            names: dict[str, ActionNames] = {}  # by format: what is lost is counted over all paths
            for path in paths:
                _import_path(path, wanted, names, root, outcome, tell)
    except Timeout as error:
        raise ImportFailed(f"another import into {root} is running. Wait for it, or end it") from error


def _import_path(
    path: Path, wanted: Wanted, all_names: dict[str, ActionNames], root: Path, outcome: Outcome, tell: Tell
) -> None:
    form = _format_of(path, wanted.formats)
    if form is None:
        known = ", ".join(one.name for one in wanted.formats)
        why = f"not recognised as {known}" if path.exists() else "there is no such file or folder"
        outcome.skipped.append((str(path), why))
        return
    source = Source(path, wanted.profile, wanted.rate_hz)
    if form.name not in all_names:
        all_names[form.name] = ActionNames(wanted.profile.controls, form.names(wanted.profile), wanted.own_names)
    names = all_names[form.name]
    found = len(outcome.imported) + len(outcome.skipped)
    for item in _items(form, source, outcome):
        if wanted.limit is not None and len(outcome.imported) >= wanted.limit:
            return
        _refuse_full(root, wanted.max_bytes)
        extra = {"format": form.name, "path": str(path.absolute()), "item": item.name}
        try:
            written = write_session(
                item, wanted.profile, names, extra, root, root / HIDDEN, partial(tell, item.name), wanted.quality
            )
            outcome.imported.append((item.name, written))
        except BROKEN as error:
            outcome.skipped.append((item.name, _reason(error)))
        outcome.lost |= names.lost
    if found == len(outcome.imported) + len(outcome.skipped):
        outcome.skipped.append((str(path), f"holds nothing in the format {form.name}"))


def _refuse_full(root: Path, max_bytes: float) -> None:
    used = disk_bytes(root)
    if used > max_bytes:
        raise ImportFailed(
            f"all sessions take {used / 1e9:.1f} GB and limits.disk_gb is {max_bytes / 1e9:g}. "
            f"Delete some of {root}, or raise the limit in tray_agent.yaml"
        )


def _format_of(path: Path, formats: Sequence[Format]) -> Format | None:
    if not path.exists():
        return None
    return formats[0] if len(formats) == 1 else next((one for one in formats if one.recognises(path)), None)


def _items(form: Format, source: Source, outcome: Outcome) -> Iterator[Item]:
    """Items of a path; what keeps it from being listed to its end is noted."""
    try:
        yield from form.items(source)
    except BROKEN as error:
        outcome.skipped.append((str(source.path), _reason(error)))


def _reason(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text if isinstance(error, ImportFailed) else f"{type(error).__name__}: {text}"

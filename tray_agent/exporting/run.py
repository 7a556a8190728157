"""Sessions -> one folder in another format: whole, or not there at all. Runs on the caller's thread."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import ExportFailed
from tray_agent.exporting.episode import Episode, Format, Tell
from tray_agent.sessions.catalogue import disk_bytes
from tray_agent.sessions.reader import SessionReader

ABOUT = "tray_agent.json"
"""File beside a format's own: what each episode was."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        episodes: (name of the session, ticks, seconds) in order.
        left_out: (name of the session, why).
        bytes: of all files.
    """

    folder: Path
    episodes: tuple[tuple[str, int, float], ...]
    left_out: tuple[tuple[str, str], ...]
    bytes: int

    @property
    def ticks(self) -> int:
        """Of all episodes."""
        return sum(ticks for _, ticks, _ in self.episodes)


def run_export(sessions: Sequence[Path], form: Format, out: Path, tell: Tell) -> Exported:
    """Write sessions as the episodes of one dataset.

    It is written beside `out` and renamed when it is whole; an error or Ctrl-C leaves nothing.

    Args:
        sessions: their folders, in the order of the episodes.
        form: the format.
        out: folder to be made.
        tell: progress.

    Raises:
        ExportFailed: `out` exists or can't be written, nothing is there to export, or the sessions don't go together.
        PlatformUnavailable: a library is missing.
        SessionError: a session is damaged.
    """
    if out.exists() or out.is_symlink():
        raise ExportFailed(f"{out} exists. Nothing is ever written over: choose another --out, or move it away")
    episodes, left_out = _opened(sessions, tell)
    if form.alike:
        _refuse_unlike(episodes, form.name)
    hidden = out.parent / f".{out.name}.{os.getpid()}.tmp"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        hidden.mkdir(mode=0o700)
        form.write(hidden, episodes)
        about = json.dumps([episode.about() for episode in episodes], indent=1)
        (hidden / ABOUT).write_text(about + "\n", encoding="utf-8")
        hidden.rename(out)
    except (OSError, RuntimeError, av.FFmpegError) as error:  # RuntimeError: h5py, of a full disk, when it closes
        raise ExportFailed(f"{out} can't be written: {error}. Nothing is left of it") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    whole = tuple((e.reader.folder.name, len(e.reader), len(e.reader) / e.reader.spec.rate_hz) for e in episodes)
    return Exported(out, whole, tuple(left_out), disk_bytes(out))


def _opened(sessions: Sequence[Path], tell: Tell) -> tuple[list[Episode], list[tuple[str, str]]]:
    episodes: list[Episode] = []
    left_out = []
    for folder in sessions:
        reader = SessionReader(folder)
        if len(reader):
            episodes.append(Episode(len(episodes), reader, tell))
        else:
            left_out.append((folder.name, "it has no ticks"))
    if not episodes:
        raise ExportFailed("nothing to export: " + "; ".join(f"{name}: {why}" for name, why in left_out))
    return episodes, left_out


def _refuse_unlike(episodes: Sequence[Episode], name: str) -> None:
    """One table has one set of columns."""
    first = episodes[0].reader
    for episode in episodes[1:]:
        other = episode.reader
        if _shape(other.spec) != _shape(first.spec):
            raise ExportFailed(
                f"{other.folder.name} ({other.info.game}) has other controls, rate, picture or sound than "
                f"{first.folder.name} ({first.info.game}), and one {name} dataset has the same for all. "
                "Export them into folders of their own"
            )


def _shape(spec: PolicySpec) -> tuple[object, ...]:
    return spec.controls, spec.rate_hz, spec.frame_width, spec.frame_height, spec.audio

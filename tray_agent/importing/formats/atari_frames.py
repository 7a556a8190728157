"""Atari recordings as pictures and a table of actions: Atari-HEAD and the Atari Grand Challenge.

Atari-HEAD (zenodo.org/records/3451402): TRIAL.txt (frame_id,episode_id,score,duration(ms),unclipped_reward,action,
gaze_positions) beside TRIAL.tar.bz2, or beside TRIAL/ when unpacked, with a PNG a frame called after frame_id.
Atari Grand Challenge (arxiv.org/abs/1705.10998): trajectories/GAME/N.txt (a line about the trial, then frame,reward,
score,terminal,action) and screens/GAME/N/FRAME.png.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tray_agent.core.media import Pixels
from tray_agent.errors import ImportFailed
from tray_agent.importing.formats import joystick
from tray_agent.importing.formats.encoded_picture import decoded
from tray_agent.importing.item import Format, Item, Source, Step, at_rate, files_below

_HEADER_LINES = 2
_PACKED = (".tar.bz2", ".tar.gz", ".tar")


@dataclass(frozen=True)
class _Trial:
    """A table and its pictures: a folder of PNGs, or a tar of them."""

    table: Path
    pictures: Path

    def steps(self, rate_hz: float) -> Iterator[Step]:
        """Steps in the order of the table."""
        looks = self._unpacked() if self.pictures.is_dir() else self._packed()
        for count, (action, pixels) in enumerate(looks):
            yield Step(at_rate(count, rate_hz), joystick.held(action), pixels)

    def _rows(self) -> Iterator[tuple[str, int]]:
        """Name of the frame, action."""
        columns: list[str] = []
        with self.table.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                fields = [field.strip() for field in line.split(",")]
                if not columns:
                    columns = fields if "action" in fields else []
                    if not columns and number >= _HEADER_LINES:
                        raise ImportFailed(f"{self.table.name} has no column called action")
                elif line.strip():
                    yield fields[0], int(fields[columns.index("action")])

    def _unpacked(self) -> Iterator[tuple[int, Pixels]]:
        for name, action in self._rows():
            yield action, decoded((self.pictures / f"{name}.png").read_bytes())

    def _packed(self) -> Iterator[tuple[int, Pixels]]:
        """Read in the order of the archive, which must be that of the table: one can't jump about in it."""
        rows = self._rows()
        with tarfile.open(self.pictures, "r|*") as archive:
            for member in archive:
                data = archive.extractfile(member) if member.isfile() else None
                if data is None or not member.name.endswith(".png"):
                    continue
                row = next(rows, None)
                if row is None:
                    return
                if row[0] != Path(member.name).stem:
                    raise ImportFailed(
                        f"in {self.pictures.name} comes {Path(member.name).name} where the table has {row[0]}. "
                        f"Unpack it beside the table, into a folder called {self.table.stem}"
                    )
                yield row[1], decoded(data.read())


def _trials(path: Path) -> Iterator[_Trial]:
    for table in files_below(path, "*.txt"):
        challenge = table.parent.parent.parent / "screens" / table.parent.name / table.stem
        beside = [table.with_suffix(""), *(table.with_suffix(ending) for ending in _PACKED)]
        for pictures in (*beside, challenge):
            if pictures.is_dir() or (pictures.is_file() and pictures != table):
                yield _Trial(table, _folder_of_pictures(pictures))
                break


def _folder_of_pictures(pictures: Path) -> Path:
    """Where the PNGs lie: unpacking often makes a folder of the same name inside."""
    inner = pictures / pictures.name
    return inner if inner.is_dir() else pictures


def _items(source: Source) -> Iterator[Item]:
    for trial in _trials(source.path):
        yield Item(trial.table.name, partial(trial.steps, source.untold_rate_hz))


FORMAT = Format(
    "atari",
    "Atari-HEAD and Atari Grand Challenge: tables of joystick actions beside PNGs (folder or tar)",
    lambda path: next(_trials(path), None) is not None,
    _items,
    joystick.names,
)

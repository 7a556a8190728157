"""LeRobotDataset v3: meta/info.json, tables in parquet, pictures in mp4 (or in the tables).

Layout: github.com/huggingface/lerobot, `lerobot/datasets/utils.py` (DEFAULT_DATA_PATH, DEFAULT_VIDEO_PATH,
DEFAULT_EPISODES_PATH). Many episodes share a file: meta/episodes tells where each one begins.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tray_agent.core.media import Pixels
from tray_agent.errors import ImportFailed
from tray_agent.importing.formats.encoded_picture import decoded
from tray_agent.importing.formats.video_file import pictures
from tray_agent.importing.item import Format, Item, Source, Step, at_rate
from tray_agent.runtime.optional import needed

_INFO = Path("meta") / "info.json"
_BATCH = 256
_NUMBERS = ("bool", "float", "int", "uint")


@dataclass(frozen=True)
class _Dataset:
    """What info.json tells."""

    root: Path
    info: dict[str, Any]

    @property
    def camera(self) -> str:
        """The first feature that is a picture; depth maps are none."""
        for name, feature in self.info["features"].items():
            depth = (feature.get("info") or {}).get("video.is_depth_map", False)
            if feature["dtype"] in ("video", "image") and not depth:
                return str(name)
        raise ImportFailed("it has no pictures: no feature in meta/info.json is a video or an image")

    @property
    def in_video(self) -> bool:
        """Whether the pictures are in mp4 files."""
        return bool(self.info["features"][self.camera]["dtype"] == "video")

    def actions(self) -> dict[str, list[str]]:
        """Column -> names of its numbers."""
        found = {}
        for name, feature in self.info["features"].items():
            if (name == "action" or name.startswith("action.")) and feature["dtype"].startswith(_NUMBERS):
                found[name] = _action_names(name, feature)
        if not found:
            raise ImportFailed("it has no actions: no feature called 'action' in meta/info.json holds numbers")
        return found

    def episodes(self) -> Iterator[dict[str, Any]]:
        """Rows of meta/episodes, without their statistics."""
        parquet = needed("pyarrow.parquet", "LeRobot datasets can't be read", "import")
        for path in sorted((self.root / "meta" / "episodes").rglob("*.parquet")):
            table = parquet.ParquetFile(path)
            columns = [c for c in table.schema_arrow.names if not c.startswith("stats/")]
            for batch in table.iter_batches(_BATCH, columns=columns):
                yield from batch.to_pylist()

    def steps(self, episode: dict[str, Any]) -> Iterator[Step]:
        """Steps of one episode."""
        rate_hz, number = float(self.info["fps"]), int(episode["episode_index"])
        columns = self.actions()
        looks = self._video(episode) if self.in_video else None
        count = 0
        for row in self._rows(episode, [*columns, *([] if self.in_video else [self.camera])]):
            pixels = next(looks, None) if looks is not None else decoded(row[self.camera]["bytes"])
            if pixels is None:
                raise ImportFailed(f"its video ends after {count} of {episode['length']} pictures")
            values = {
                name: float(value)
                for column, names in columns.items()
                for name, value in zip(names, np.atleast_1d(np.asarray(row[column])).ravel(), strict=True)
            }
            yield Step(at_rate(count, rate_hz), values, pixels)
            count += 1
        if not count:
            raise ImportFailed(f"its table has no rows of episode {number}")

    def _rows(self, episode: dict[str, Any], columns: list[str]) -> Iterator[dict[str, Any]]:
        parquet = needed("pyarrow.parquet", "LeRobot datasets can't be read", "import")
        path = self._file("data_path", "data", episode)
        number = int(episode["episode_index"])
        with parquet.ParquetFile(path) as file:
            groups = [g for g in range(file.num_row_groups) if _may_hold(file.metadata.row_group(g), number)]
            for batch in file.iter_batches(_BATCH, row_groups=groups, columns=["episode_index", *columns]):
                yield from (row for row in batch.to_pylist() if row["episode_index"] == number)

    def _video(self, episode: dict[str, Any]) -> Iterator[Pixels]:
        path = self._file("video_path", f"videos/{self.camera}", episode)
        for _, pixels in pictures(path, float(episode[f"videos/{self.camera}/from_timestamp"])):
            yield pixels

    def _file(self, template: str, prefix: str, episode: dict[str, Any]) -> Path:
        chunk, file = int(episode[f"{prefix}/chunk_index"]), int(episode[f"{prefix}/file_index"])
        return self.root / str(self.info[template]).format(video_key=self.camera, chunk_index=chunk, file_index=file)


def _action_names(column: str, feature: dict[str, Any]) -> list[str]:
    size = int(np.prod(feature["shape"]))
    names = feature.get("names")
    if isinstance(names, dict):  # {"motors": [...]}
        names = [name for group in names.values() for name in (group if isinstance(group, list) else [group])]
    if isinstance(names, list) and len(names) == size:
        return [str(name) for name in names]
    return [column] if size == 1 else [f"{column}.{i}" for i in range(size)]


def _may_hold(group: Any, episode: int) -> bool:
    """Whether a row group may have rows of the episode, by its statistics."""
    for i in range(group.num_columns):
        column = group.column(i)
        if column.path_in_schema == "episode_index" and column.is_stats_set and column.statistics.has_min_max:
            return bool(column.statistics.min <= episode <= column.statistics.max)
    return True


def _roots(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return [path] if (path / _INFO).is_file() else sorted(info.parent.parent for info in path.rglob(str(_INFO)))


def _items(source: Source) -> Iterator[Item]:
    for root in _roots(source.path):
        info = json.loads((root / _INFO).read_text(encoding="utf-8"))
        version = str(info.get("codebase_version"))
        if not version.startswith("v3."):
            raise ImportFailed(
                f"{root} is a LeRobot dataset of version {version}, 3 is read. Convert it with "
                "python -m lerobot.datasets.v30.convert_dataset_v21_to_v30"
            )
        dataset = _Dataset(root, info)
        for episode in dataset.episodes():
            name = f"{root.name} episode {episode['episode_index']}"
            yield Item(name, partial(dataset.steps, episode))


FORMAT = Format(
    "lerobot",
    "LeRobotDataset v3: meta/info.json, parquet, mp4; the first camera",
    lambda path: bool(_roots(path)),
    _items,
)

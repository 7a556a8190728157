"""LeRobotDataset v3: meta/info.json, statistics, tables in parquet, pictures in mp4.

Layout: github.com/huggingface/lerobot, `lerobot/datasets/utils.py` (DEFAULT_DATA_PATH, DEFAULT_VIDEO_PATH,
DEFAULT_EPISODES_PATH, DEFAULT_FEATURES). Episodes may share files there; here each has its own.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tray_agent.core.policy import PolicySpec
from tray_agent.exporting.episode import Episode, Format
from tray_agent.exporting.formats import lerobot_stats
from tray_agent.exporting.mp4_file import Mp4File
from tray_agent.runtime.optional import needed

CAMERA = "observation.images.screen"
_PER_CHUNK = 1000
_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_OTHERWISE = "LeRobot datasets can't be written"
Columns = dict[str, npt.NDArray[Any]]


def _write(folder: Path, episodes: Sequence[Episode]) -> None:
    arrow, parquet = (needed(name, _OTHERWISE, "export") for name in ("pyarrow", "pyarrow.parquet"))
    games = sorted({episode.reader.info.game for episode in episodes})
    rows, begin = [], 0
    stats: list[dict[str, lerobot_stats.Stats]] = []
    for episode in episodes:
        columns = _columns(episode, begin, games.index(episode.reader.info.game))
        _save(_path(folder, _DATA, episode), _table(arrow, columns), parquet)
        stats.append({name: lerobot_stats.of_column(values) for name, values in columns.items()})
        stats[-1][CAMERA] = _write_video(_path(folder, _VIDEO, episode), episode)
        rows.append(_row(episode, begin) | _flat(stats[-1]))
        begin += len(episode.reader)
    _save(folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet", arrow.Table.from_pylist(rows), parquet)
    _save(folder / "meta" / "tasks.parquet", _tasks(arrow, games), parquet)
    whole = {name: lerobot_stats.plain(lerobot_stats.together([one[name] for one in stats])) for name in stats[0]}
    _save_json(folder / "meta" / "stats.json", whole)
    _save_json(folder / "meta" / "info.json", _info(episodes[0].reader.spec, len(episodes), begin, len(games)))


def _columns(episode: Episode, begin: int, task: int) -> Columns:
    """Column -> its values, shape (n, size)."""
    table, spec = episode.reader.ticks, episode.reader.spec
    n = len(table)
    rows = np.arange(n, dtype=np.int64)
    heard = {"observation.audio": table.audio.reshape(n, -1)} if spec.audio else {}
    flat: Columns = {
        "tick": table.tick,
        "t_ns": table.t_ns,
        "flags": table.flags.astype(np.int64),
        "timestamp": (rows / spec.rate_hz).astype(np.float32),
        "frame_index": rows,
        "episode_index": np.full(n, episode.number, np.int64),
        "index": begin + rows,
        "task_index": np.full(n, task, np.int64),
    }
    return {"action": table.actions, **heard, **{name: values[:, None] for name, values in flat.items()}}


def _features(spec: PolicySpec) -> dict[str, dict[str, Any]]:
    rate = _rate(spec)
    features: dict[str, dict[str, Any]] = {
        CAMERA: {
            "dtype": "video",
            "shape": [spec.frame_height, spec.frame_width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": spec.frame_height, "video.width": spec.frame_width, "video.codec": "h264",
                "video.pix_fmt": "yuv444p", "video.is_depth_map": False, "video.fps": rate, "video.channels": 3,
                "has_audio": False,
            },
        },
        "action": {"dtype": "float32", "shape": [spec.controls.size], "names": list(spec.controls.names)},
    }  # fmt: skip
    if spec.audio:
        steps, bands = spec.audio_shape
        names = [f"step_{step}.band_{band}" for step in range(steps) for band in range(bands)]
        features["observation.audio"] = {"dtype": "float32", "shape": [steps * bands], "names": names}
    numbers = dict.fromkeys(("tick", "t_ns", "flags"), "int64") | {"timestamp": "float32"}
    numbers |= dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64")
    return features | {name: {"dtype": kind, "shape": [1], "names": None} for name, kind in numbers.items()}


def _info(spec: PolicySpec, episodes: int, ticks: int, tasks: int) -> dict[str, Any]:
    return {
        "codebase_version": "v3.0",
        "robot_type": None,
        "total_episodes": episodes,
        "total_frames": ticks,
        "total_tasks": tasks,
        "chunks_size": _PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": _rate(spec),
        "splits": {"train": f"0:{episodes}"},
        "data_path": _DATA,
        "video_path": _VIDEO,
        "features": _features(spec),
    }


def _row(episode: Episode, begin: int) -> dict[str, Any]:
    """Of meta/episodes, without statistics."""
    n = len(episode.reader)
    chunk, file = divmod(episode.number, _PER_CHUNK)
    return {
        "episode_index": episode.number,
        "tasks": [episode.reader.info.game],
        "length": n,
        "dataset_from_index": begin,
        "dataset_to_index": begin + n,
        "data/chunk_index": chunk,
        "data/file_index": file,
        f"videos/{CAMERA}/chunk_index": chunk,
        f"videos/{CAMERA}/file_index": file,
        f"videos/{CAMERA}/from_timestamp": 0.0,
        f"videos/{CAMERA}/to_timestamp": n / episode.reader.spec.rate_hz,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }


def _write_video(path: Path, episode: Episode) -> lerobot_stats.Stats:
    """The episode's pictures at rows / rate, which is what the tables' timestamps say; their statistics."""
    spec, counted = episode.reader.spec, lerobot_stats.PictureCount()
    path.parent.mkdir(parents=True, exist_ok=True)
    size = (spec.frame_width, spec.frame_height)
    # colours of each pixel, and near every picture one that stands for itself: learners read at random
    with Mp4File(path, *size, spec.rate_hz, pix_fmt="yuv444p", crf=8, group=2) as video:
        for row, sample in episode.samples():
            video.add(sample.pixels, row / spec.rate_hz)
            counted.add(sample.pixels)
    return counted.stats()


def _flat(stats: Mapping[str, lerobot_stats.Stats]) -> dict[str, Any]:
    return {
        f"stats/{feature}/{name}": value
        for feature, found in stats.items()
        for name, value in lerobot_stats.plain(found).items()
    }


def _table(arrow: Any, columns: Columns) -> Any:
    """Columns of one number are flat, others lists of a fixed length: what lerobot's features ask for."""
    arrays = {}
    for name, values in columns.items():
        flat = arrow.array(np.ascontiguousarray(values).ravel())
        size = values.shape[1]
        arrays[name] = flat if size == 1 else arrow.FixedSizeListArray.from_arrays(flat, size)
    return arrow.table(arrays)


def _tasks(arrow: Any, games: Sequence[str]) -> Any:
    """A table that pandas opens with the task's text as index."""
    table = arrow.table({"task_index": list(range(len(games))), "__index_level_0__": list(games)})
    index = {"name": None, "field_name": "__index_level_0__", "pandas_type": "unicode", "numpy_type": "object"}
    number = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    told = {
        "index_columns": ["__index_level_0__"],
        "column_indexes": [{"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object",
                            "metadata": {"encoding": "UTF-8"}}],
        "columns": [number | {"metadata": None}, index | {"metadata": None}],
        "creator": {"library": "pyarrow", "version": arrow.__version__},
        "pandas_version": "2.2.0",
    }  # fmt: skip
    return table.replace_schema_metadata({"pandas": json.dumps(told)})


def _rate(spec: PolicySpec) -> float:
    return int(spec.rate_hz) if float(spec.rate_hz).is_integer() else spec.rate_hz


def _path(folder: Path, template: str, episode: Episode) -> Path:
    chunk, file = divmod(episode.number, _PER_CHUNK)
    return folder / template.format(video_key=CAMERA, chunk_index=chunk, file_index=file)


def _save(path: Path, table: Any, parquet: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)


def _save_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=4, ensure_ascii=False), encoding="utf-8")


FORMAT = Format(
    "lerobot",
    "LeRobotDataset v3: parquet and mp4",
    (
        "sound (what the policy hears is there: observation.audio)",
        "pauses: timestamps are row / rate; the real times are in t_ns, a pause is flag 16",
        "raw inputs between two ticks",
        "the pictures are not lossless (H.264, 4:4:4)",
    ),
    alike=True,
    write=_write,
)

"""Minari: HDF5 with a group an episode, which `minari` opens (farama.org).

Layout: github.com/Farama-Foundation/Minari, `minari/dataset/_storages/hdf5_storage.py`, `minari/serialization.py`.
Pictures are raw, not JPEG, which Minari reads from version 0.5.4 on. HDF5 packs them without loss.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tray_agent import __version__
from tray_agent.core.policy import PolicySpec
from tray_agent.exporting.episode import Episode, Format
from tray_agent.runtime.optional import needed

_MINARI = "0.5.4"
_PACKED = {"compression": "gzip", "compression_opts": 4, "shuffle": True}


def _write(folder: Path, episodes: Sequence[Episode]) -> None:
    h5py = needed("h5py", "Minari datasets can't be written", "export")
    data = folder / "data"
    data.mkdir()
    with h5py.File(data / "main_data.hdf5", "w", track_order=True) as file:
        for episode in episodes:
            _write_episode(file.create_group(f"episode_{episode.number}"), episode)
    size_mb = (data / "main_data.hdf5").stat().st_size / 1e6
    (data / "metadata.json").write_text(json.dumps(_metadata(episodes, size_mb)), encoding="utf-8")


def _write_episode(group: Any, episode: Episode) -> None:
    reader = episode.reader
    spec, table, n = reader.spec, reader.ticks, len(reader)
    group.attrs["id"], group.attrs["total_steps"] = episode.number, n
    group.attrs["session"], group.attrs["game"] = reader.folder.name, reader.info.game
    shape = (n + 1, spec.frame_height, spec.frame_width, 3)
    pictures = group if not spec.audio else group.create_group("observations")
    name = "pixels" if spec.audio else "observations"
    pixels = pictures.create_dataset(name, shape, np.uint8, chunks=(1, *shape[1:]), **_PACKED)
    for row, sample in episode.samples():
        pixels[row] = sample.pixels
    pixels[n] = pixels[n - 1]  # Minari wants what came after the last action; a session has not seen it
    if spec.audio:
        pictures.create_dataset("audio", data=_and_last(table.audio))
    group.create_dataset("actions", data=table.actions)
    group.create_dataset("rewards", data=np.zeros(n))
    group.create_dataset("terminations", data=np.zeros(n, bool))
    group.create_dataset("truncations", data=np.arange(n) == n - 1)
    infos = group.create_group("infos")
    for key, values in (("tick", table.tick), ("t_ns", table.t_ns), ("flags", table.flags.astype(np.int64))):
        infos.create_dataset(key, data=_and_last(values))


def _and_last(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([values, values[-1:]])


def _metadata(episodes: Sequence[Episode], size_mb: float) -> dict[str, Any]:
    first = episodes[0].reader
    spec = first.spec
    steps = sum(len(episode.reader) for episode in episodes)
    return {
        "total_episodes": len(episodes),
        "total_steps": steps,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "observation_space": json.dumps(_observation_space(spec)),
        "action_space": json.dumps(_action_space(spec)),
        "dataset_id": f"tray-agent/{first.folder.parent.name}-v0",
        "minari_version": _MINARI,
        "dataset_size": round(size_mb, 1),
        "algorithm_name": f"recorded by tray-agent {__version__}",
        "description": f"{spec.rate_hz:g} steps a second; no rewards were recorded",
        "action_names": list(spec.controls.names),
    }


def _observation_space(spec: PolicySpec) -> dict[str, Any]:
    pixels = _box("uint8", np.zeros((spec.frame_height, spec.frame_width, 3)), 255)
    if not spec.audio:
        return pixels
    audio = _box("float32", np.zeros(spec.audio_shape), np.inf)
    return {"type": "Dict", "subspaces": {"pixels": pixels, "audio": audio}}


def _action_space(spec: PolicySpec) -> dict[str, Any]:
    c = spec.controls
    low = [0.0] * len(c.buttons) + [-np.inf] * len(c.relative) + [-1.0] * len(c.axes)
    high = [1.0] * len(c.buttons) + [np.inf] * len(c.relative) + [1.0] * len(c.axes)
    return {"type": "Box", "dtype": "float32", "shape": [c.size], "low": low, "high": high}


def _box(dtype: str, low: npt.NDArray[np.float64], high: float) -> dict[str, Any]:
    number = int if dtype == "uint8" else float
    return {
        "type": "Box",
        "dtype": dtype,
        "shape": list(low.shape),
        "low": low.astype(number).tolist(),
        "high": np.full(low.shape, high).astype(number).tolist(),
    }


FORMAT = Format(
    "minari",
    "Minari in HDF5, lossless pictures",
    (
        "sound (what the policy hears is there: observations/audio)",
        "rewards (all are 0)",
        "the observation after the last action (the last one is repeated)",
        "raw inputs between two ticks",
    ),
    alike=True,
    write=_write,
)

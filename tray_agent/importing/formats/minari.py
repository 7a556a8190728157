"""Minari datasets, and D4RL's flat files, in HDF5, as far as their observations are pictures.

Minari (minari.farama.org, `minari/dataset/_storages/hdf5_storage.py`): data/metadata.json and data/main_data.hdf5 with
a group a stretch: episode_N/observations (one more than actions; raw, or a JPEG each) and episode_N/actions.
D4RL: /observations, /actions, /terminals, /timeouts, one row a step, the stretches one after the other.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels
from tray_agent.errors import ImportFailed
from tray_agent.importing.formats import joystick
from tray_agent.importing.formats.encoded_picture import decoded
from tray_agent.importing.formats.hdf5_pictures import holds, is_hdf5, opened
from tray_agent.importing.item import Format, Item, Source, Step, at_rate, files_below
from tray_agent.platforms.env.atari import STICK_ACTIONS

_MAIN = "main_data.hdf5"
_WHOM = "Minari and D4RL datasets"
_JPEG = b"\xff\xd8"
Values = Callable[[int], dict[str, float]]


def _kinds(metadata: Mapping[str, Any]) -> list[str] | None:
    """Names of a Discrete space's actions; None for spaces of other kinds.

    Those of the Arcade Learning Environment have their joystick names, others their numbers.
    """
    space = json.loads(metadata.get("action_space") or "{}")
    if space.get("type") != "Discrete":
        return None
    spec = json.loads(metadata.get("env_spec") or "{}")
    count, first = int(space["n"]), int(space.get("start", 0))
    rom = (spec.get("kwargs") or {}).get("game") if str(spec.get("id", "")).startswith("ALE/") else None
    if rom is None:
        return [str(first + i) for i in range(count)]
    if count == len(STICK_ACTIONS):
        return list(STICK_ACTIONS)
    return _minimal_set(str(rom), count)


def _minimal_set(rom: str, count: int) -> list[str]:
    from ale_py import ALEInterface, LoggerMode, roms

    ALEInterface.setLoggerMode(LoggerMode.Error)
    machine = ALEInterface()
    path = roms.get_rom_path(rom)
    if path is None:
        raise ImportFailed(f"ale-py has no game {rom!r} to name its actions after")
    machine.loadROM(path)
    names = [action.name for action in machine.getMinimalActionSet()]
    if len(names) != count:
        raise ImportFailed(f"it has {count} actions, the game {rom!r} has {len(names)}")
    return names


def _values(actions: Any, kinds: list[str] | None, offset: int) -> Values:
    """Action of a row as a step's actions."""
    if kinds is not None:
        return lambda row: {name: 1.0 for name in (kinds[int(actions[row]) - offset],) if name != "NOOP"}
    parts = [(key, actions[key]) for key in sorted(actions)] if hasattr(actions, "keys") else [("action", actions)]
    return lambda row: _named({name: np.asarray(part[row]).ravel() for name, part in parts})


def _named(row: Mapping[str, npt.NDArray[Any]]) -> dict[str, float]:
    return {
        name if len(numbers) == 1 else f"{name}.{i}": float(number)
        for name, numbers in row.items()
        for i, number in enumerate(numbers)
    }


def _pictures(group: Any) -> Callable[[int], Pixels] | None:
    """What gives the picture of a row; the first leaf that holds pictures, None if none does."""
    if hasattr(group, "keys"):
        found = (_pictures(group[key]) for key in sorted(group))
        return next((one for one in found if one is not None), None)
    if not len(group):
        return None
    first = np.asarray(group[0])
    if first.dtype == np.uint8 and first.ndim == 1 and first[:2].tobytes() == _JPEG:
        return lambda row: decoded(np.asarray(group[row], np.uint8).tobytes())
    if first.dtype == np.uint8 and first.ndim in (2, 3):
        return lambda row: _rgb(np.asarray(group[row]))
    return None


def _rgb(pixels: npt.NDArray[Any]) -> Pixels:
    """RGB out of grey, (h, w, 1), (h, w, 3), (h, w, 4) or (3, h, w)."""
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[2] not in (1, 3, 4):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] not in (3, 4):
        raise ImportFailed(f"a picture has shape {pixels.shape}: neither grey nor RGB")
    return np.ascontiguousarray(pixels[..., :3], np.uint8)


def _steps(path: Path, group: str, rows: range, kinds: list[str] | None, offset: int, rate_hz: float) -> Iterator[Step]:
    with opened(path, _WHOM) as file:
        episode = file[group]
        look = _pictures(episode["observations"])
        if look is None:
            raise ImportFailed("its observations are no pictures: nothing to see, nothing to learn from")
        values = _values(episode["actions"], kinds, offset)
        for count, row in enumerate(rows):
            yield Step(at_rate(count, rate_hz), values(row), look(row))


def _of_minari(path: Path, source: Source) -> Iterator[Item]:
    about = path.parent / "metadata.json"
    metadata = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    kinds = _kinds(metadata)
    offset = int(json.loads(metadata.get("action_space") or "{}").get("start", 0))
    with opened(path, _WHOM) as file:
        sizes = {name: len(file[name]["rewards"]) for name in file if name.startswith("episode_")}
    for name in sorted(sizes, key=lambda one: int(one.removeprefix("episode_"))):
        rows, title = range(sizes[name]), f"{metadata.get('dataset_id', path.parent.parent.name)} {name}"
        yield Item(title, partial(_steps, path, name, rows, kinds, offset, source.untold_rate_hz))


def _of_d4rl(path: Path, source: Source) -> Iterator[Item]:
    with opened(path, _WHOM) as file:
        count = len(file["actions"])
        ends = np.zeros(count, bool)
        for name in ("terminals", "timeouts"):
            if name in file:
                ends |= np.asarray(file[name][:count]).astype(bool).ravel()
    begin = 0
    for number, end in enumerate([*(np.flatnonzero(ends) + 1).tolist(), count]):
        if end > begin:
            rows = range(begin, end)
            yield Item(f"{path.name} {number}", partial(_steps, path, "/", rows, None, 0, source.untold_rate_hz))
        begin = end


def _files(path: Path) -> list[Path]:
    return [one for one in files_below(path, "*.hdf5", "*.h5") if is_hdf5(one) and _is_ours(one)]


def _is_ours(path: Path) -> bool:
    return path.name == _MAIN or holds(path, _WHOM, "observations", "actions")


def _items(source: Source) -> Iterator[Item]:
    for path in _files(source.path):
        yield from _of_minari(path, source) if path.name == _MAIN else _of_d4rl(path, source)


FORMAT = Format(
    "minari",
    "Minari and D4RL in HDF5, where observations are pictures",
    lambda path: bool(_files(path)),
    _items,
    joystick.names,
)

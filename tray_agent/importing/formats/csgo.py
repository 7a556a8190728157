"""Counter-Strike recordings of Pearce and Zhu (arxiv.org/abs/2104.04258): HDF5 with frame_I_x and frame_I_y.

Layout: github.com/TeaPearce/Counter-Strike_Behavioural_Cloning (README, config.py). 16 steps a second; frame_I_x is the
picture, blue first; frame_I_y is 11 keys, 2 mouse buttons, then the mouse's counts in x (23 possible) and in y (15), as
one-hot.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tray_agent.errors import ImportFailed
from tray_agent.importing.formats.hdf5_pictures import holds, is_hdf5, opened
from tray_agent.importing.item import Format, Item, Source, Step, at_rate, files_below
from tray_agent.settings.games import GameProfile

RATE_HZ = 16.0
_HELD = ("w", "a", "s", "d", "space", "ctrl", "shift", "1", "2", "3", "r", "left click", "right click")
MOUSE_X = (
    -1000, -500, -300, -200, -100, -60, -30, -20, -10, -4, -2, 0, 2, 4, 10, 20, 30, 60, 100, 200, 300, 500, 1000,
)  # fmt: skip
MOUSE_Y = (-200, -100, -50, -20, -10, -4, -2, 0, 2, 4, 10, 20, 50, 100, 200)
SIZE = len(_HELD) + len(MOUSE_X) + len(MOUSE_Y)
_WHOM = "Counter-Strike recordings"


def _names(_profile: GameProfile) -> Mapping[str, str]:
    return {"mouse_x": "MouseX", "mouse_y": "MouseY"}


def _actions(row: npt.NDArray[Any]) -> dict[str, float]:
    if row.size < SIZE:
        raise ImportFailed(f"an action has {row.size} numbers, not {SIZE}")
    held, mouse_x, mouse_y = np.split(row.ravel()[:SIZE], (len(_HELD), len(_HELD) + len(MOUSE_X)))
    found = dict(zip(_HELD, (held >= 0.5).astype(float).tolist(), strict=True))
    return found | {"mouse_x": _chosen(mouse_x, MOUSE_X), "mouse_y": _chosen(mouse_y, MOUSE_Y)}


def _chosen(one_hot: npt.NDArray[Any], possible: tuple[int, ...]) -> float:
    return float(possible[int(one_hot.argmax())]) if one_hot.any() else 0.0


def _steps(path: Path) -> Iterator[Step]:
    with opened(path, _WHOM) as file:
        count = 0
        while f"frame_{count}_x" in file:
            pixels = np.asarray(file[f"frame_{count}_x"], np.uint8)
            actions = _actions(np.asarray(file[f"frame_{count}_y"]))
            yield Step(at_rate(count, RATE_HZ), actions, np.ascontiguousarray(pixels[..., ::-1]))
            count += 1


def _files(path: Path) -> list[Path]:
    return [one for one in files_below(path, "*.hdf5", "*.h5") if is_hdf5(one)]


def _items(source: Source) -> Iterator[Item]:
    for path in _files(source.path):
        yield Item(path.name, partial(_steps, path))


FORMAT = Format(
    "csgo",
    "Counter-Strike recordings of Pearce and Zhu (HDF5 with frame_I_x, frame_I_y), 16 Hz",
    lambda path: any(holds(one, _WHOM, "frame_0_x", "frame_0_y") for one in _files(path)),
    _items,
    _names,
)

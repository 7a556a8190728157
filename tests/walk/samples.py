"""A small file of each format that `tray-agent import` reads, as its own programs write it, for trying the import.

    python tests/walk/samples.py FOLDER

They are the files that the tests of importing read: a second or two of coloured pictures, which teach nothing.
"""

import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "importing"))

import numpy as np
import test_import_atari
import test_import_doom
import test_import_hdf5
import test_import_lerobot
import test_import_owamcap
import test_import_pickle
import test_import_rlds
import test_import_vpt
from foreign import picture, write_mp4

STEPS = 40


def write_all(folder: Path) -> None:
    """Write one of each below `folder`, which must not exist yet."""
    folder.mkdir()
    test_import_lerobot.dataset(folder / "lerobot")
    _owamcap(folder / "owamcap")
    test_import_vpt.recorded(
        folder / "vpt", [test_import_vpt.line(["w"] if i % 8 < 5 else ["a"]) for i in range(STEPS)]
    )
    test_import_hdf5.csgo_file(folder / "csgo.hdf5", [((0,) if i % 8 < 5 else (1, 4), 0, 0) for i in range(STEPS)])
    _minari(folder / "minari")
    _rlds(folder / "rlds.tfrecord")
    test_import_atari.head_trial(folder / "atari-head")
    (folder / "doom-demo").mkdir()
    test_import_doom.record(folder / "doom-demo" / "demo.lmp")
    keys = [["up"] if i % 8 < 5 else ["left"] for i in range(STEPS)]
    test_import_pickle.saved(folder / "frames.pkl", [picture(i) for i in range(STEPS)], keys)


def _owamcap(folder: Path) -> None:
    folder.mkdir()
    write_mp4(folder / "a.mkv", STEPS)
    keys = [test_import_owamcap.key(60, 0x26, True), test_import_owamcap.key(900, 0x26, False)]  # the up arrow
    messages = [*test_import_owamcap.screens(STEPS), *keys]
    test_import_owamcap.write(folder / "a.mcap", sorted(messages, key=lambda one: one[0]))


def _minari(folder: Path) -> None:
    from gymnasium.spaces import Discrete

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test_import_hdf5.minari_dataset(folder, patch, Discrete(3), np.arange(STEPS) % 3)


def _rlds(path: Path) -> None:
    left = [int(i % 8 >= 5) for i in range(STEPS)]
    pictures = test_import_rlds.pngs(STEPS)
    episode = {"steps__observation__image": pictures, "steps__action__left": left,
               "steps__action__up": [1 - one for one in left]}  # fmt: skip
    test_import_rlds.write(path, test_import_rlds.encoded(**episode))


if __name__ == "__main__":
    write_all(Path(sys.argv[1]).absolute())  # minari can't write below a relative path

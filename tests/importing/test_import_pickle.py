"""Pickles of {screen_frames, key_frames}: what is read, and that nothing else ever comes to life."""

import os
import pickle
import subprocess
from collections import OrderedDict

import numpy as np
import pytest
from foreign import numbers, picture, profile, take_in

KEYS = [["left"] if i % 2 else [] for i in range(20)]
GAME = profile()


def saved(path, frames, keys, protocol=None):
    """A recording."""
    path.write_bytes(pickle.dumps({"screen_frames": frames, "key_frames": keys}, protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("kind", ["list", "array", "fortran"])
def test_pictures(tmp_path, protocol, kind):
    """A list of arrays or one array, of any order in memory, of any protocol that holds bytes."""
    frames = [picture(i) for i in range(20)]
    whole = {"list": frames, "array": np.array(frames), "fortran": np.asfortranarray(np.array(frames))}[kind]
    _, (reader,) = take_in(tmp_path / "s", saved(tmp_path / "a.pkl", whole, KEYS, protocol), GAME)
    assert numbers(reader) == list(range(20))
    assert reader.ticks.actions[:, 0].tolist() == [i % 2 for i in range(20)]


@pytest.mark.parametrize(
    "keys",
    [
        ["left" if i % 2 else "" for i in range(20)],
        ["left" if i % 2 else None for i in range(20)],
        [{"left"} if i % 2 else frozenset() for i in range(20)],
        [OrderedDict(left=np.bool_(i % 2), right=False) for i in range(20)],
    ],
)
def test_ways_to_write_keys(tmp_path, keys):
    """Names in lists, sets, strings, mappings, with numpy's numbers in them."""
    path = saved(tmp_path / "a.pickle", [picture(0)] * 20, keys)
    _, (reader,) = take_in(tmp_path / "s", path, GAME)
    assert reader.ticks.actions[:, 0].tolist() == [i % 2 for i in range(20)]


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.bool_, ">i4"])
def test_keys_as_numbers(tmp_path, kind):
    """Vectors are called "0", "1", ... and mapped by hand; bytes of the other order too."""
    keys = np.array([[i % 2, 0] for i in range(20)], kind)
    path = saved(tmp_path / "a.pkl", [picture(0)] * 20, keys)
    _, (reader,) = take_in(tmp_path / "s", path, GAME, own_names={"0": "space", "1": ""})
    assert reader.ticks.actions[:, 2].tolist() == [i % 2 for i in range(20)]


def test_grey_and_four_channels(tmp_path):
    """Grey pictures are shown grey; a fourth channel is left out."""
    frames = [np.full((32, 48), 77, np.uint8)] * 10 + [np.full((32, 48, 4), 77, np.uint8)] * 10
    _, (reader,) = take_in(tmp_path / "s", saved(tmp_path / "a.pkl", frames, KEYS), GAME)
    assert (reader.frames(0, 20) == 77).all()


class Evil:
    """Runs a program when it is opened by an ordinary unpickler."""

    def __init__(self, call, *words):
        self._made_by = (call, words)

    def __reduce__(self):
        return self._made_by


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Evil(os.system, "exit 3"), "system"),
        (Evil(subprocess.Popen, "true"), "subprocess.Popen"),
        (Evil(eval, "1"), "builtins.eval"),
        (Evil(getattr, "a", "upper"), "builtins.getattr"),
        (Evil(np.load, "x"), "load"),
    ],
)
def test_everything_else_is_refused(tmp_path, value, named):
    """Wherever it is hidden: it is never called, and its name is said."""
    path = saved(tmp_path / "a.pkl", [np.array([value], object)], [""])
    outcome, found = take_in(tmp_path / "s", path, GAME)
    assert not found
    assert f"{named}: a pickle" in outcome.skipped[0][1]


def test_arrays_of_objects_are_no_way_in(tmp_path):
    """An array that says its bytes are objects is refused, not believed."""
    honest = pickle.dumps({"screen_frames": np.zeros(1, np.uint64), "key_frames": [""]}, 3)
    for text in (b"O8", b"V8", b"S8"):
        path = tmp_path / "a.pkl"
        path.write_bytes(honest.replace(b"u8", text))
        outcome, _ = take_in(tmp_path / "s", path, GAME)
        assert "arrays of numbers" in outcome.skipped[0][1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "list"),
        ({"frames": [], "key_frames": []}, "'frames'"),
        ({"screen_frames": [1], "key_frames": []}, "1 screen_frames but 0"),
        ({"screen_frames": [np.zeros((4, 4, 3))], "key_frames": ["left"]}, "float64"),
        ({"screen_frames": [np.zeros(4, np.uint8)], "key_frames": ["left"]}, "ValueError"),
    ],
)
def test_other_contents(tmp_path, content, said):
    """What is something else says what it is."""
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    outcome, _ = take_in(tmp_path / "s", tmp_path / "a.pkl", GAME)
    assert said in outcome.skipped[0][1]


def test_torn_file(tmp_path):
    """A file cut short is left out wherever it was cut."""
    whole = saved(tmp_path / "a.pkl", [picture(0)] * 20, KEYS).read_bytes()
    for length in (0, 1, 40, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.pkl").write_bytes(whole[:length])
        outcome, found = take_in(tmp_path / "s", tmp_path / "a.pkl", GAME)
        assert not found
        assert len(outcome.skipped) == 1

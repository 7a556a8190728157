"""Minari (written by its own library), D4RL and CS:GO files."""

import json

import numpy as np
import pytest
from foreign import number, numbers, picture, profile, take_in

from tray_agent.importing.formats.csgo import MOUSE_X, MOUSE_Y, SIZE

h5py = pytest.importorskip("h5py")

GAME = profile(20, keys=("left", "right", "up", "space"), controls={"pad": {"axes": ["PadLX"]}})


def minari_dataset(folder, monkeypatch, action_space, actions, **more):
    """A dataset of two episodes, by the library itself."""
    minari = pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer

    spaces = pytest.importorskip("gymnasium").spaces
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
    pixels = np.array([picture(i) for i in range(len(actions) + 1)])
    buffers = [
        EpisodeBuffer(
            id=n, observations=pixels, actions=actions, rewards=[0.0] * len(actions),
            terminations=[False] * len(actions), truncations=[False] * (len(actions) - 1) + [True],
        )
        for n in range(2)
    ]  # fmt: skip
    minari.create_dataset_from_buffers(
        "game/test-v0", buffers, action_space=action_space,
        observation_space=spaces.Box(0, 255, pixels.shape[1:], np.uint8),
        author="x", author_email="x@example.com", code_permalink="https://example.com", algorithm_name="x",
        eval_env=None, description="x", **more,
    )  # fmt: skip
    return folder / "game" / "test-v0"


@pytest.mark.filterwarnings("ignore")
def test_minari_discrete(tmp_path, monkeypatch):
    """Numbered actions are mapped by hand; the last observation, which has no action, is left out."""
    from gymnasium.spaces import Discrete

    root = minari_dataset(tmp_path / "d", monkeypatch, Discrete(3), np.arange(12) % 3)
    outcome, (one, _) = take_in(tmp_path / "s", root, GAME, own_names={"0": "", "1": "left", "2": "right+space"})
    assert [name for name, _ in outcome.imported] == ["game/test-v0 episode_0", "game/test-v0 episode_1"]
    assert [number(p) for p in one.frames(0, 12)] == pytest.approx(list(range(12)), abs=1)  # JPEG
    assert one.ticks.actions[:3, :4].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 1]]


@pytest.mark.filterwarnings("ignore")
def test_minari_box_and_raw_pictures(tmp_path, monkeypatch):
    """Vectors are named after their place; pictures may be stored as they are."""
    from gymnasium.spaces import Box

    actions = np.array([[i / 10, 0] for i in range(10)], np.float32)
    root = minari_dataset(tmp_path / "d", monkeypatch, Box(-1, 1, (2,), np.float32), actions, jpeg_encoding=False)
    _, (one, _) = take_in(tmp_path / "s", root, GAME, own_names={"action.0": "PadLX"})
    assert np.array_equal(one.ticks.actions[:, 4], actions[:, 0])
    assert (one.frames(3, 4)[0] == picture(3)).all()


def flat(path, observations, actions, **more):
    """A file in D4RL's layout."""
    with h5py.File(path, "w") as file:
        for name, values in {"observations": observations, "actions": actions, **more}.items():
            file[name] = values
    return path


def test_d4rl(tmp_path):
    """Rows are cut into stretches where one is terminal or timed out."""
    pixels, actions = np.array([picture(i) for i in range(20)]), np.ones((20, 1), np.float32)
    ends = np.arange(20) == 11
    path = flat(tmp_path / "a.hdf5", pixels, actions, terminals=ends, timeouts=np.zeros(20, bool))
    _, (one, two) = take_in(tmp_path / "s", path, GAME, own_names={"action": "space"})
    assert numbers(one) == list(range(12))
    assert numbers(two) == list(range(12, 20))


def test_observations_that_are_no_pictures(tmp_path):
    """State vectors have nothing to see: refused with the reason."""
    path = flat(tmp_path / "a.hdf5", np.zeros((20, 17), np.float32), np.ones((20, 1)))
    outcome, _ = take_in(tmp_path / "s", path, GAME)
    assert "no pictures" in outcome.skipped[0][1]


def atari_metadata(folder, actions):
    """A Minari dataset of an ALE game, written to its layout."""
    (folder / "data").mkdir(parents=True)
    space = {"type": "Discrete", "dtype": "int64", "start": 0, "n": 4}
    spec = {"id": "ALE/Breakout-v5", "kwargs": {"game": "breakout"}}
    metadata = {"dataset_id": "atari/x", "action_space": json.dumps(space), "env_spec": json.dumps(spec)}
    (folder / "data" / "metadata.json").write_text(json.dumps(metadata))
    with h5py.File(folder / "data" / "main_data.hdf5", "w") as file:
        group = file.create_group("episode_0")
        group["observations"] = np.array([picture(i) for i in range(len(actions) + 1)])
        group["actions"], group["rewards"] = actions, np.zeros(len(actions))
    return folder


def test_minari_atari_actions_have_their_names(tmp_path):
    """Breakout's four actions are nothing, FIRE, RIGHT, LEFT: arrows and Space, without a --map."""
    _, (one,) = take_in(tmp_path / "s", atari_metadata(tmp_path / "d", np.arange(12) % 4), GAME)
    assert one.ticks.actions[:4, :4].tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0]]


def csgo_file(path, rows):
    """A file of Pearce and Zhu's layout: rows are (held, mouse x, mouse y)."""
    with h5py.File(path, "w") as file:
        for i, (held, x, y) in enumerate(rows):
            target = np.zeros(SIZE)
            target[list(held)] = 1
            target[13 + MOUSE_X.index(x)] = target[13 + len(MOUSE_X) + MOUSE_Y.index(y)] = 1
            file[f"frame_{i}_x"] = picture(i)[..., ::-1]
            file[f"frame_{i}_xaux"], file[f"frame_{i}_helperarr"] = np.zeros(54), np.zeros(2)
            file[f"frame_{i}_y"] = target
    return path


def test_csgo(tmp_path):
    """Keys, buttons and the mouse's counts; red and blue are put right."""
    mouse = {"mouse": {"buttons": ["MouseLeft"], "motion": True}}
    game = profile(16, keys=("w", "space", "r"), controls=mouse)
    rows = [((0, 11), -20, 4), ((4,), 0, 0), ((10, 12), 1000, -200)] * 4
    outcome, (one,) = take_in(tmp_path / "s", csgo_file(tmp_path / "hdf5_dm_1.hdf5", rows), game)
    assert outcome.imported[0][1].ticks == 12
    assert numbers(one) == list(range(12))
    want = [[1, 0, 0, 1, -20, 4], [0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 1000, -200]]
    assert one.ticks.actions[:3].tolist() == want
    assert outcome.lost["right click"][0] == 4


def test_damaged_hdf5(tmp_path):
    """A file cut short is left out, the others are read; a folder of them is still recognised."""
    whole = csgo_file(tmp_path / "b.hdf5", [((0,), 0, 0)] * 8).read_bytes()
    (tmp_path / "a.hdf5").write_bytes(whole[: len(whole) // 2])
    outcome, _ = take_in(tmp_path / "s", tmp_path, profile(16, keys=("w",)))
    assert [name for name, _ in outcome.imported] == ["b.hdf5"]
    assert [name for name, _ in outcome.skipped] == ["a.hdf5"]

"""LeRobotDataset v3, written to its published layout, and by lerobot itself where it is installed."""

import json

import cv2
import numpy as np
import pytest
from foreign import SIZE, numbers, picture, profile, take_in, write_mp4

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

GAME = profile(20, keys=("left", "space"), controls={"pad": {"axes": ["PadLX"]}})
NAMES = ["left", "space", "stick"]
CAMERA = "observation.images.screen"
LENGTHS = (12, 8)


def dataset(root, *, in_video=True, names=NAMES, version="v3.0"):
    """Two episodes that share one table, and one video if there is one."""
    rows, episodes, begin = [], [], 0
    for number, length in enumerate(LENGTHS):
        for i in range(length):
            row = {"action": [float(i % 2), float(number), i / 10], "timestamp": i / 20, "frame_index": i,
                   "episode_index": number, "index": begin + i, "task_index": 0}  # fmt: skip
            if not in_video:
                coded = cv2.imencode(".png", picture(begin + i)[..., ::-1])[1].tobytes()
                row[CAMERA] = {"bytes": coded, "path": f"frame-{i:06d}.png"}
            rows.append(row)
        episode = {"episode_index": number, "tasks": ["play"], "length": length, "data/chunk_index": 0,
                   "data/file_index": 0, "dataset_from_index": begin, "dataset_to_index": begin + length,
                   "stats/action/min": [0.0], "meta/episodes/chunk_index": 0}  # fmt: skip
        if in_video:
            episode |= {f"videos/{CAMERA}/chunk_index": 0, f"videos/{CAMERA}/file_index": 0,
                        f"videos/{CAMERA}/from_timestamp": begin / 20,
                        f"videos/{CAMERA}/to_timestamp": (begin + length) / 20}  # fmt: skip
        episodes.append(episode)
        begin += length
    save(root / "data" / "chunk-000" / "file-000.parquet", rows)
    save(root / "meta" / "episodes" / "chunk-000" / "file-000.parquet", episodes)
    if in_video:
        (root / "videos" / CAMERA / "chunk-000").mkdir(parents=True)
        write_mp4(root / "videos" / CAMERA / "chunk-000" / "file-000.mp4", begin)
    features = {
        "observation.state": {"dtype": "float32", "shape": [3], "names": None},
        CAMERA: {"dtype": "video" if in_video else "image", "shape": [SIZE[1], SIZE[0], 3], "names": None},
        "action": {"dtype": "float32", "shape": [3], "names": names},
    }
    info = {"codebase_version": version, "fps": 20, "features": features, "total_episodes": 2,
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"}  # fmt: skip
    (root / "meta" / "info.json").write_text(json.dumps(info))
    return root


def save(path, rows):
    """A table, a row group each ten rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=10)


@pytest.mark.parametrize("in_video", [True, False])
def test_episodes(tmp_path, in_video):
    """Each episode has its own pictures and actions, though they share files."""
    root = dataset(tmp_path / "d", in_video=in_video)
    outcome, (one, two) = take_in(tmp_path / "s", root, GAME, own_names={"stick": "PadLX"})
    assert [name for name, _ in outcome.imported] == ["d episode 0", "d episode 1"]
    assert numbers(one) == list(range(12))
    assert numbers(two) == list(range(12, 20))
    want = np.array([[i % 2, 1, i / 10] for i in range(8)], np.float32)
    assert np.array_equal(two.ticks.actions, want)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("in_video", [True, False])
def test_written_by_lerobot_itself(tmp_path, in_video):
    """As the package's own writer leaves it: AV1 in one file for both episodes, or pictures in the tables."""
    reason = "lerobot is not installed (installer/formats.txt; .ci/run tests with it)"
    module = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason=reason)
    features = {
        CAMERA: {"dtype": "video" if in_video else "image", "shape": (SIZE[1], SIZE[0], 3),
                 "names": ["height", "width", "channels"]},
        "action": {"dtype": "float32", "shape": (3,), "names": NAMES},
    }  # fmt: skip
    root = tmp_path / "d"
    made = module.LeRobotDataset.create("local/d", 20, features, root=root, use_videos=in_video)
    for number, first, length in ((0, 0, LENGTHS[0]), (1, *LENGTHS)):
        for i in range(length):
            action = np.array([i % 2, number, i / 10], np.float32)
            made.add_frame({CAMERA: picture(first + i), "action": action, "task": "play"})
        made.save_episode()
    made.finalize()
    assert bool([*root.rglob("*.mp4")]) == in_video
    outcome, (one, two) = take_in(tmp_path / "s", root, GAME, own_names={"stick": "PadLX"})
    assert [name for name, _ in outcome.imported] == ["d episode 0", "d episode 1"]
    assert numbers(one) == list(range(12))
    assert numbers(two) == list(range(12, 20))
    assert np.array_equal(two.ticks.actions, np.array([[i % 2, 1, i / 10] for i in range(8)], np.float32))


def test_unnamed_actions(tmp_path):
    """Numbers without names are called after their column."""
    root = dataset(tmp_path / "d", names=None)
    outcome, (one, _) = take_in(tmp_path / "s", root, GAME, own_names={"action.0": "left"})
    assert one.ticks.actions[:, 0].tolist() == [i % 2 for i in range(12)]
    assert set(outcome.lost) == {"action.1", "action.2"}


def test_names_in_groups(tmp_path):
    """Names may come as {"motors": [...]}."""
    _, (one, _) = take_in(tmp_path / "s", dataset(tmp_path / "d", names={"motors": NAMES}), GAME)
    assert one.ticks.actions[:, 0].tolist() == [i % 2 for i in range(12)]


def test_older_version_is_named(tmp_path):
    """Version 2 has another layout: it is told how to convert it."""
    outcome, _ = take_in(tmp_path / "s", dataset(tmp_path / "d", version="v2.1"), GAME)
    assert "v2.1" in outcome.skipped[0][1]
    assert "convert_dataset_v21_to_v30" in outcome.skipped[0][1]


def test_short_video(tmp_path):
    """An episode whose video ends too soon is left out, the other one stays."""
    root = dataset(tmp_path / "d")
    write_mp4(root / "videos" / CAMERA / "chunk-000" / "file-000.mp4", 15)
    outcome, _ = take_in(tmp_path / "s", root, GAME)
    assert [name for name, _ in outcome.imported] == ["d episode 0"]
    assert "video ends after 3 of 8" in outcome.skipped[0][1]

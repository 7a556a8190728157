"""Each format, opened by its own library and compared with what the product's reader says of the session."""

import base64
import csv
import io
import json

import av
import numpy as np
import pytest
from PIL import Image
from recorded import HEARING, SPEC, near, picture, record

from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.exporting.registry import FORMATS
from tray_agent.exporting.run import run_export


def export(tmp_path, name, lengths=(9, 6), spec=SPEC):
    """The exported folder, and readers of the sessions."""
    readers = [record(tmp_path / "s" / "g" / f"s{i}", length, spec) for i, length in enumerate(lengths)]
    exported = run_export([one.folder for one in readers], FORMATS[name], tmp_path / "out", lambda *_: None)
    assert exported.ticks == sum(lengths)
    return tmp_path / "out", readers


def pictures(path):
    """(times, pictures) of a video."""
    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return [t for t, _ in frames], np.stack([one for _, one in frames])


def test_mp4(tmp_path):
    """Pictures, times and actions; each pixel is 2x2, and an odd height fits."""
    out, readers = export(tmp_path, "mp4")
    for number, reader in enumerate(readers):
        times, shown = pictures(out / f"episode_{number:06d}.mp4")
        assert np.allclose(times, np.arange(len(reader)) / 20, atol=1e-4)
        assert shown.shape[1:3] == (70, 96)
        assert near(shown[:, ::2, ::2], reader.frames(0, len(reader)))
        with (out / f"episode_{number:06d}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        actions = np.array([[float(row[name]) for name in SPEC.controls.names] for row in rows], np.float32)
        assert np.array_equal(actions, reader.ticks.actions)
        assert [int(row["t_ns"]) for row in rows] == reader.ticks.t_ns.tolist()
        assert [(row["learn"], row["gap"]) for row in rows[:2]] == [("1", "1"), ("1", "0")]


def test_mp4_has_the_sound(tmp_path):
    """The tone is there, as long as it was, at its place."""
    out, _ = export(tmp_path, "mp4", (20,), HEARING)
    with av.open(str(out / "episode_000000.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        heard = [(frame.time, frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    sound = np.concatenate([samples for _, samples in heard])
    assert abs(len(sound) - AUDIO_RATE_HZ) <= 2 * 1024
    loudest = np.argmax(np.abs(np.fft.rfft(sound[4000:12000]))) * AUDIO_RATE_HZ / 8000
    assert loudest == pytest.approx(440, abs=4)


def test_lerobot_tables(tmp_path):
    """Tables, videos, statistics and episodes as LeRobot v3 lays them out."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    out, readers = export(tmp_path, "lerobot", spec=HEARING)
    info = json.loads((out / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["total_episodes"], info["total_frames"]) == ("v3.0", 2, 15)
    assert info["features"]["action"]["names"] == list(SPEC.controls.names)
    episodes = parquet.read_table(out / "meta" / "episodes").to_pylist()
    begin = 0
    for row, reader in zip(episodes, readers, strict=True):
        place = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
        table = parquet.read_table(out / info["data_path"].format(**place)).to_pydict()
        assert np.array_equal(np.array(table["action"], np.float32), reader.ticks.actions)
        assert np.allclose(np.array(table["observation.audio"]), reader.ticks.audio.reshape(len(reader), -1))
        assert table["index"] == list(range(begin, begin + len(reader)))
        key = "observation.images.screen"
        _, shown = pictures(out / info["video_path"].format(video_key=key, **place))
        assert near(shown, reader.frames(0, len(reader)), 2.0)
        begin += len(reader)
    assert [row["dataset_to_index"] for row in episodes] == [9, 15]
    stats = json.loads((out / "meta" / "stats.json").read_text())
    actions = np.concatenate([reader.ticks.actions for reader in readers])
    seen = np.concatenate([reader.frames(0, len(reader)) for reader in readers]) / 255
    assert np.allclose(stats["action"]["mean"], actions.mean(axis=0))
    assert np.allclose(stats["action"]["std"], actions.std(axis=0), atol=1e-6)
    assert np.allclose(np.ravel(stats[key]["mean"]), seen.mean(axis=(0, 1, 2)))
    assert np.allclose(np.ravel(stats[key]["std"]), seen.std(axis=(0, 1, 2)))
    assert np.allclose(np.ravel(stats[key]["max"]), seen.max(axis=(0, 1, 2)))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
def test_lerobot_itself_loads_it(tmp_path, decoder):
    """The lerobot package opens the dataset and hands out pictures and actions."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    reason = "lerobot is not installed (installer/formats.txt; .ci/run tests with it)"
    module = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason=reason)
    out, readers = export(tmp_path, "lerobot")
    dataset = module.LeRobotDataset("local/g", root=out, video_backend=decoder)
    assert (len(dataset), dataset.num_episodes) == (15, 2)
    for index, tick, reader in ((0, 0, readers[0]), (8, 8, readers[0]), (9, 0, readers[1]), (14, 5, readers[1])):
        item = dataset[index]
        assert np.array_equal(item["action"].numpy(), reader.ticks.actions[tick])
        assert item["task"] == "g"
        assert int(item["t_ns"]) == reader.ticks.t_ns[tick]
        shown = item["observation.images.screen"].numpy().transpose(1, 2, 0) * 255
        assert near(shown, picture(tick), 2.0)


def test_minari_tables(tmp_path):
    """One group an episode, one observation more than actions."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    out, readers = export(tmp_path, "minari")
    with h5py.File(out / "data" / "main_data.hdf5") as file:
        assert len(file) == 2
        for number, reader in enumerate(readers):
            episode = file[f"episode_{number}"]
            n = len(reader)
            assert np.array_equal(episode["observations"][:n], reader.frames(0, n))
            assert np.array_equal(episode["actions"][:], reader.ticks.actions)
            assert episode["observations"].shape[0] == n + 1
            assert episode["truncations"][:].tolist() == [False] * (n - 1) + [True]


@pytest.mark.parametrize("spec", [SPEC, HEARING])
def test_minari_itself_loads_it(tmp_path, spec):
    """The minari package opens the dataset; what it says is in the spaces it says."""
    pytest.importorskip("h5py", reason="h5py is not installed")
    minari = pytest.importorskip("minari", reason="minari is not installed")
    out, readers = export(tmp_path, "minari", spec=spec)
    dataset = minari.MinariDataset(out / "data")
    assert (dataset.total_episodes, dataset.total_steps) == (2, 15)
    for episode, reader in zip(dataset.iterate_episodes(), readers, strict=True):
        n = len(reader)
        pixels = episode.observations["pixels"] if spec.audio else episode.observations
        assert np.array_equal(pixels[:n], reader.frames(0, n))
        assert np.array_equal(episode.actions, reader.ticks.actions)
        assert dataset.action_space.contains(episode.actions[0])
        first = {k: v[0] for k, v in episode.observations.items()} if spec.audio else pixels[0]
        assert dataset.observation_space.contains(first)
        assert np.array_equal(episode.infos["t_ns"][:n], reader.ticks.t_ns)


def test_mcap(tmp_path):
    """The mcap package reads all channels in order of time; pictures and sound are the same to the bit."""
    pytest.importorskip("mcap", reason="mcap is not installed")
    from mcap.reader import make_reader

    out, (reader,) = export(tmp_path, "mcap", (8,), HEARING)
    found: dict[str, list] = {}
    with (out / "episode_000000.mcap").open("rb") as file:
        for schema, channel, message in make_reader(file).iter_messages():
            found.setdefault(channel.topic, []).append((message.log_time, json.loads(message.data)))
            assert json.loads(schema.data)["title"] == schema.name
    info = reader.info
    assert [t for t, _ in found["/actions"]] == [info.wall_ns + t - info.start_ns for t in reader.ticks.t_ns.tolist()]
    actions = [[one["controls"][name] for name in SPEC.controls.names] for _, one in found["/actions"]]
    assert np.array_equal(np.array(actions, np.float32), reader.ticks.actions)
    assert found["/actions"][0][1]["flags"] == ["learn", "gap"]
    for row, (_, one) in enumerate(found["/screen"]):
        shown = np.array(Image.open(io.BytesIO(base64.b64decode(one["data"]))))
        assert np.array_equal(shown, reader.frames(row, row + 1)[0])
    coded = b"".join(base64.b64decode(one["data"]) for _, one in found["/sound"])
    assert np.allclose(np.frombuffer(coded, "<i2") / 32767, reader.sound(), atol=1e-4)
    assert len(found["/events"]) == len(reader.events) == 8
    assert np.allclose([one["steps"] for _, one in found["/heard"]], reader.ticks.audio)
    assert found["/session"][0][1]["game"] == "g"

"""Pictures and sound in shared memory."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.platforms.env.shared_frames import FrameReader, FrameWriter
from tray_agent.platforms.env.shared_sound import SoundReader, SoundWriter

WRITE_FOR_EVER = """
import sys, numpy as np
from pathlib import Path
from tray_agent.platforms.env.shared_frames import FrameWriter
writer = FrameWriter(Path(sys.argv[1]), 64, 48)
writer.start()
picture = np.zeros((48, 64, 3), np.uint8)
for number in range(1, 10**9):
    picture[:] = number % 251
    writer.publish(number, picture)
    if number == 1:
        print("ready", flush=True)
"""


def assert_whole(reader: FrameReader, seconds: float, seen: list[int]) -> None:
    """Read for a while: each picture is of one colour, the one that its number says."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            frame = reader.read()
        except BlockingIOError:
            continue
        assert frame is not None
        assert frame.pixels.min() == frame.pixels.max() == frame.t_ns % 251
        seen.append(frame.t_ns)


def test_no_torn_picture_from_another_process(tmp_path: Path) -> None:
    """A process publishes as fast as it can; two reading threads get whole pictures only, never an older one."""
    path = tmp_path / "frames"
    writer = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)], stdout=subprocess.PIPE)
    seen: list[list[int]] = [[], []]
    errors: list[BaseException] = []

    def read(mine: list[int]) -> None:
        reader = FrameReader(path)
        reader.start()
        try:
            assert_whole(reader, 1.0, mine)
        except AssertionError as error:
            errors.append(error)
        finally:
            reader.close()

    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        threads = [threading.Thread(target=read, args=(mine,)) for mine in seen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        writer.kill()
        writer.communicate()
    assert errors == []
    for mine in seen:
        assert len(set(mine)) > 20
        assert mine == sorted(mine)


@settings(max_examples=25, deadline=None)
@given(sizes=st.tuples(st.integers(1, 70), st.integers(1, 50)), numbers=st.lists(st.integers(0, 255), max_size=20))
def test_newest_picture_is_read_whole(
    tmp_path_factory: pytest.TempPathFactory, sizes: tuple[int, int], numbers: list[int]
) -> None:
    """For any size, what was published last is what is read, with its time."""
    path = tmp_path_factory.mktemp("frames") / "file"
    writer, reader = FrameWriter(path, *sizes), FrameReader(path)
    writer.start()
    reader.start()
    try:
        assert reader.read() is None
        for t_ns, number in enumerate(numbers):
            picture = np.full((sizes[1], sizes[0], 3), number, np.uint8)
            writer.publish(t_ns, picture)
            frame = reader.read()
            assert frame is not None
            assert frame.t_ns == t_ns
            assert np.array_equal(frame.pixels, picture)
    finally:
        writer.close()
        reader.close()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """A reader does not take any file for pictures or sound."""
    path = tmp_path / "other"
    path.write_bytes(b"x" * 500)
    with pytest.raises(ValueError, match="no pictures"):
        FrameReader(path).start()
    with pytest.raises(ValueError, match="no sound"):
        SoundReader(path).start()


def test_files_are_the_users_alone_and_go_with_the_writer(tmp_path: Path) -> None:
    """Mode 0600 while it lives, no file afterwards, and readers are told."""
    frames, sound = FrameWriter(tmp_path / "f", 8, 8), SoundWriter(tmp_path / "s")
    frames.start()
    sound.start()
    reader = FrameReader(tmp_path / "f")
    reader.start()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    frames.close()
    sound.close()
    frames.close()
    assert reader.closed
    reader.close()
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=25, deadline=None)
@given(pieces=st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=20))
def test_sound_arrives_whole_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bool]]
) -> None:
    """However writing and reading alternate, every sample after the start arrives once, at its time."""
    path = tmp_path_factory.mktemp("sound") / "file"
    writer, reader = SoundWriter(path), SoundReader(path)
    writer.start()
    writer.publish(0, np.full(100, -1, np.float32))
    reader.start()
    written, heard = 0, []
    try:
        for size, read_now in pieces:
            samples = np.arange(written, written + size, dtype=np.float32)
            written += size
            writer.publish(written * 1_000_000_000 // AUDIO_RATE_HZ, samples)
            heard += reader.read() if read_now else []
        heard += reader.read()
    finally:
        writer.close()
        reader.close()
    samples = np.concatenate([np.zeros(0), *(chunk.samples for chunk in heard)])
    assert np.array_equal(samples, np.arange(written))
    for chunk in heard:
        assert abs(chunk.t_ns - float(chunk.samples[0]) * 1e9 / AUDIO_RATE_HZ) < 2


def test_overwritten_sound_is_marked(tmp_path: Path) -> None:
    """Who reads too late gets marked silence for what was lost, then the newest eight seconds."""
    writer, reader = SoundWriter(tmp_path / "s"), SoundReader(tmp_path / "s")
    writer.start()
    reader.start()
    try:
        for second in range(10):
            writer.publish((second + 1) * 1_000_000_000, np.full(AUDIO_RATE_HZ, 0.5, np.float32))
        gap, rest = reader.read()
    finally:
        writer.close()
        reader.close()
    assert gap.gap
    assert gap.samples.size == 2 * AUDIO_RATE_HZ
    assert not gap.samples.any()
    assert rest.samples.size == 8 * AUDIO_RATE_HZ
    assert rest.t_ns == 2_000_000_000

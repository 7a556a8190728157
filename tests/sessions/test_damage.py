"""Sessions that were cut off or damaged, and disks that are full."""

import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from session_data import SILENT, SPEC, VECTOR, pixels, sample

from tray_agent.core.clock import ManualClock
from tray_agent.core.events import InputEvent
from tray_agent.core.media import AudioChunk
from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.ticks import HEADER_BYTES, TickCodec
from tray_agent.sessions.writer import SessionWriter


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished session of 30 ticks, with all files, and the length of each."""
    folder = tmp_path_factory.mktemp("whole") / "s"
    writer = SessionWriter(folder, SPEC, "game", VECTOR, clock=ManualClock(), threaded=False)
    writer.start()
    for tick in range(30):
        writer.add(sample(tick))
        writer.add_events([InputEvent(tick, "button", "KeyW", 1.0)])
        writer.add_audio([AudioChunk(tick * 50_000_000, np.full(800, 0.5, np.float32))])
    writer.mark(0, 3, TickFlag.STRAYED)
    assert writer.close()
    return folder


def _cut(whole, tmp_path, name, length):
    folder = tmp_path / "cut"
    if not folder.exists():
        shutil.copytree(whole, folder)
    else:
        shutil.copy(whole / name, folder / name)
    os.truncate(folder / name, length)
    return folder


def test_ticks_cut_at_every_byte(tmp_path):
    """Wherever ticks.bin ends, exactly the whole records before that are read, bit for bit."""
    codec = TickCodec(SILENT)
    data = codec.header() + b"".join(codec.record(sample(i, spec=SILENT), 1) for i in range(6))
    size = codec.dtype.itemsize
    path = tmp_path / "ticks.bin"
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        table = codec.read(path)
        assert table.tick.tolist() == list(range(max(0, length - HEADER_BYTES) // size))
        assert all(np.array_equal(table.actions[i], sample(i).action) for i in range(len(table)))


def test_any_wrong_byte_in_ticks_is_noticed(tmp_path):
    """One changed byte anywhere costs that record and those behind it, or is an error in the header; nothing else."""
    codec = TickCodec(SILENT)
    data = codec.header() + b"".join(codec.record(sample(i, spec=SILENT), 1) for i in range(4))
    path = tmp_path / "ticks.bin"
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        if position < HEADER_BYTES:
            with pytest.raises(SessionError, match="damaged"):
                codec.read(path)
        else:
            assert len(codec.read(path)) == (position - HEADER_BYTES) // codec.dtype.itemsize


def test_ticks_read_on_where_they_stopped(tmp_path):
    """Reading with skip gives what was appended since, also after an unfinished record was completed."""
    codec = TickCodec(SILENT)
    records = [codec.record(sample(i, spec=SILENT), 1) for i in range(5)]
    path = tmp_path / "ticks.bin"
    path.write_bytes(codec.header() + b"".join(records[:3]) + records[3][:10])
    first = codec.read(path)
    path.write_bytes(codec.header() + b"".join(records))
    joined = first.followed_by(codec.read(path, skip=len(first)))
    assert joined.tick.tolist() == [0, 1, 2, 3, 4]
    assert joined.followed_by(codec.empty()) is joined


@pytest.mark.parametrize("name", ["video.mkv", "ticks.bin", "events.jsonl", "marks.jsonl", "sound.mkv"])
def test_cut_anywhere_opens(whole, tmp_path, name):
    """Cut at forty places each file still opens, with exact pixels for what is left; a later cut leaves no less."""
    size = (whole / name).stat().st_size
    places = sorted({0, 1, size - 1, *random.Random(name).sample(range(size), min(40, size))})
    lengths = []
    for length in places:
        session = SessionReader(_cut(whole, tmp_path, name, length))
        lengths.append((len(session), len(session.events), len(session.sound())))
        for got in session.samples():
            assert np.array_equal(got.pixels, pixels(got.tick))
    for column in zip(*lengths, strict=True):
        assert list(column) == sorted(column)
    if name in {"video.mkv", "ticks.bin"}:
        assert lengths[0][0] == 0
        assert lengths[-1][0] == 29


@pytest.mark.parametrize("name", ["video.mkv", "ticks.bin", "events.jsonl", "marks.jsonl", "sound.mkv"])
def test_missing_file_opens(whole, tmp_path, name):
    """A session without one of its files opens; without frames or records it has no ticks."""
    folder = tmp_path / "s"
    shutil.copytree(whole, folder)
    (folder / name).unlink()
    session = SessionReader(folder)
    assert len(session) == (0 if name in {"video.mkv", "ticks.bin"} else 30)


def test_garbage_instead_of_video(whole, tmp_path):
    """Random bytes as video never hang, crash or come out as pictures: no frames, or one SessionError."""
    folder = tmp_path / "s"
    shutil.copytree(whole, folder)
    good = (folder / "video.mkv").read_bytes()
    rng, refused = random.Random(1), []
    for _ in range(30):
        data = bytearray(good)
        where = rng.randrange(len(data))
        data[where : where + 400] = rng.randbytes(len(data[where : where + 400]))
        (folder / "video.mkv").write_bytes(bytes(data))
        session = SessionReader(folder)
        try:
            frames = session.frames(0, len(session))
        except SessionError as error:
            refused.append(str(error))
        else:
            assert len(frames) <= 30
    assert all("can't be decoded" in text for text in refused)
    (folder / "video.mkv").write_bytes(rng.randbytes(5000))
    assert len(SessionReader(folder)) <= 30


@pytest.mark.parametrize(("name", "text"), [("events.jsonl", "[1]\n"), ("marks.jsonl", '["a","b",{}]\n')])
def test_wrong_rows(whole, tmp_path, name, text):
    """Rows that are JSON but make no sense are one SessionError that names the file."""
    folder = tmp_path / "s"
    shutil.copytree(whole, folder)
    (folder / name).write_text(text)
    with pytest.raises(SessionError, match=name):
        _ = SessionReader(folder).events


@pytest.mark.parametrize("threaded", [True, False])
def test_disk_full(small_disk, threaded):
    """A full disk ends the writing with one SessionError; nothing is raised at the capture, what is there is exact."""
    told = []
    folder = small_disk / "g" / "s"
    writer = SessionWriter(folder, SPEC, "game", VECTOR, clock=ManualClock(), threaded=threaded, on_failure=told.append)
    writer.start()
    for tick in range(600):  # 600 x 5 kB do not fit
        writer.add(sample(tick))
        writer.add_events([InputEvent(tick, "button", "KeyW", 1.0)])
        writer.add_audio([AudioChunk(tick * 20_000_000, pixels(tick).ravel()[:320].astype(np.float32) / 255)])
    assert writer.close(30)
    assert isinstance(writer.failure, SessionError)
    assert "No space left" in str(writer.failure)
    assert str(folder) in str(writer.failure)
    assert told == [writer.failure]
    session = SessionReader(folder)
    assert session.info.closed is None
    assert 100 < len(session) < 600
    assert all(np.array_equal(s.pixels, pixels(s.tick)) for s in session.samples())


def test_disk_full_from_the_start(small_disk):
    """On a disk that is full already start says so, and leaves no open session."""
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(b"x" * (4 << 20))
    writer = SessionWriter(small_disk / "g" / "s", SPEC, "game", VECTOR)
    with pytest.raises(SessionError, match="No space left"):
        writer.start()
    assert writer.close()


_LIMITED = """
import sys
from pathlib import Path
from session_data import SPEC, VECTOR, sample
from tray_agent.sessions.writer import SessionWriter
writer = SessionWriter(Path(sys.argv[1]), SPEC, "game", VECTOR, threaded=False)
writer.start()
for tick in range(200):
    writer.add(sample(tick))
writer.close()
print(writer.failure)
"""


@pytest.mark.skipif(os.name == "nt", reason="no file size limits on Windows")
def test_quota_reached(tmp_path):
    """A quota on file size (no root needed) is told as what it is, and what fitted stays readable."""
    folder = tmp_path / "s"
    env = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _LIMITED, str(folder)],
        env=env,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
        timeout=60,
    )
    assert "File too large" in done.stdout
    assert "Exception ignored" not in done.stderr
    session = SessionReader(folder)
    assert 10 < len(session) < 100
    assert all(np.array_equal(s.pixels, pixels(s.tick)) for s in session.samples())


def test_folder_that_can_not_be_made(tmp_path):
    """A data folder that is a file is one clear SessionError."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(SessionError, match="can't be written"):
        SessionWriter(tmp_path / "file" / "g" / "s", SPEC, "game", VECTOR).start()

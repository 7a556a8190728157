"""write_atomic: old or new, never between."""

import signal
import stat
import subprocess
import sys
import time

import pytest

from tray_agent.runtime.atomic_file import write_atomic


def test_writes_text_and_bytes_for_the_user_only(tmp_path):
    """Content arrives whole with mode 0600, and no temporary file is left."""
    path = tmp_path / "f"
    write_atomic(path, "grüße\n")
    assert path.read_bytes() == "grüße\n".encode()
    write_atomic(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_disk_full_keeps_the_old_file(small_disk):
    """On a full disk there is one OSError, the old content stands, and no rubbish is left."""
    path = small_disk / "f"
    write_atomic(path, b"old")
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"x" * (8 << 20))
    assert path.read_bytes() == b"old"
    assert list(small_disk.iterdir()) == [path]


def test_missing_folder(tmp_path):
    """A folder that is not there is an OSError that names it."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_atomic(tmp_path / "nowhere" / "f", b"")


_KILLED = """
import sys
from pathlib import Path
from tray_agent.runtime.atomic_file import write_atomic
path, i = Path(sys.argv[1]), 0
while True:
    write_atomic(path, str(i) * 50_000)
    i = (i + 1) % 10
    if i == 3: print("go", flush=True)
"""


def test_kill_9_leaves_one_whole_version(tmp_path):
    """A writer killed at a random moment leaves one complete version each time."""
    path = tmp_path / "f"
    for attempt in range(5):
        with subprocess.Popen([sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            deadline = time.monotonic() + attempt * 0.0037
            while time.monotonic() < deadline:
                pass
            child.send_signal(signal.SIGKILL)
            child.wait()
        text = path.read_text()
        assert len(text) == 50_000
        assert len(set(text)) == 1

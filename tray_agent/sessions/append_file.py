"""A file that only grows, every write of which has reached the system when the call returns (survives kill -9)."""

import json
import os
from pathlib import Path
from typing import Any


class AppendFile:
    """A new file of mode 0600. One thread."""

    def __init__(self, path: Path) -> None:
        """Create the file. Raises OSError, also when it exists already."""
        binary = getattr(os, "O_BINARY", 0)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | binary, 0o600)
        self._open = True
        self.size = 0

    def write(self, data: bytes) -> int:
        """Append all of `data`. Raises OSError (disk full, ...); a part of it may then stand in the file."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._fd, left) :]
        self.size += len(data)
        return len(data)

    def write_lines(self, rows: list[Any]) -> None:
        """Append rows as JSON lines, in one write."""
        self.write("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode())

    def close(self, sync: bool = True) -> None:
        """Close, by default after fsync; idempotent. Raises OSError."""
        if not self._open:
            return
        self._open = False
        try:
            if sync:
                os.fsync(self._fd)
        finally:
            os.close(self._fd)


def shorten(path: Path, size: int) -> int:
    """Cut the file to `size` bytes if it is longer, and put it on the disk; bytes cut off. Raises OSError."""
    with path.open("r+b") as file:
        length = file.seek(0, os.SEEK_END)
        if length > size:
            file.truncate(size)
        os.fsync(file.fileno())
    return max(0, length - size)


def whole_lines(path: Path) -> int:
    """Bytes of a JSON-lines file up to the first line that is broken or unfinished. Raises OSError."""
    size = 0
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            json.loads(line)
        except ValueError:
            break
        size += len(line) + 1
    return size


def read_lines(path: Path) -> list[Any]:
    """All rows of a JSON-lines file up to the first that is broken or unfinished; none when there is no file."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows

"""Rows of features on disk that outlive the process: one .npy file that grows (numpy).

Order of writing: rows behind the last one counted, fsync, then the header with the new count in one write. A kill at
any moment leaves a valid file that has the new rows or has not; numpy pads the header so that it never grows
(numpy.lib.format, "growth axis").
"""

import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float16]


class FeatureFile:
    """Float16 rows of one width. One thread, one process.

    Args:
        path: of the file; made, with its folder, by the first `append`. One that does not fit is made anew.
        width: numbers in a row.
    """

    def __init__(self, path: Path, width: int) -> None:
        self._path = path
        self._width = width
        self._header = len(_header(0, width))
        self._map: Rows | None = None
        self.count = self._usable_rows()
        """Rows held."""

    def append(self, rows: Rows) -> None:
        """Add rows, shape (n, width).

        Raises:
            OSError: the disk is full or not writable; the file holds what it held before.
        """
        if not len(rows):
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(fd, "r+b") as file:
            if self.count == 0:
                file.truncate(0)
                file.write(_header(0, self._width))
            file.seek(self._header + self.count * self._width * 2)
            file.write(np.ascontiguousarray(rows, np.float16).tobytes())
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            file.write(_header(self.count + len(rows), self._width))
        self.count += len(rows)
        self._map = None

    def read(self, places: npt.NDArray[np.int64]) -> Rows:
        """Rows at these places, each below `count`, shape (n, width)."""
        if self._map is None:
            self._map = np.load(self._path, mmap_mode="r")
        return np.asarray(self._map[places])

    def _usable_rows(self) -> int:
        try:
            held = np.load(self._path, mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return 0
        fits = held.dtype == np.float16 and held.ndim == 2 and held.shape[1] == self._width
        return len(held) if fits else 0


def _header(count: int, width: int) -> bytes:
    buffer = io.BytesIO()
    description = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float16)), "fortran_order": False,
                   "shape": (count, width)}  # fmt: skip
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()

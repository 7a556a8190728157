"""Pictures in shared memory: one writing process, any number of readers, never a torn picture (no threads).

A memory-mapped file: a header of eight int64 (magic, width, height, slots, pid of the writer, newest number, closed,
0), then slots of three int64 (number before, t_ns, number after) and the pixels. The writer marks a slot as being
written before it touches the pixels and as whole after; a reader that finds the slot changed after its copy takes the
newest one instead.
"""

import contextlib
import mmap
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Frame, Pixels

_MAGIC = 0x54414652414D4531
_SLOTS = 8
_HEADER = 64
_SLOT_HEADER = 24
_BUSY = -1
_TRIES = 100
Words = npt.NDArray[np.int64]


class _Layout:
    """Views of the parts of the mapped file."""

    def __init__(self, memory: mmap.mmap, width: int, height: int, slots: int) -> None:
        size = slot_bytes(width, height)
        starts = [_HEADER + i * size for i in range(slots)]
        self.header: Words = np.frombuffer(memory, np.int64, 8)
        self.marks: list[Words] = [np.frombuffer(memory, np.int64, 3, start) for start in starts]
        self.pixels: list[Pixels] = [
            np.frombuffer(memory, np.uint8, width * height * 3, start + _SLOT_HEADER).reshape(height, width, 3)
            for start in starts
        ]


def slot_bytes(width: int, height: int) -> int:
    """Size of a slot, a multiple of 8 so that the numbers stay aligned."""
    return -(-(_SLOT_HEADER + width * height * 3) // 8) * 8


class FrameWriter:
    """The game's side."""

    def __init__(self, path: Path, width: int, height: int) -> None:
        self._path = path
        self._size = (width, height)
        self._memory: mmap.mmap | None = None
        self._layout: _Layout | None = None
        self._number = 0

    def start(self) -> None:
        """Make the file, readable by its user only. Raises OSError."""
        self._path.unlink(missing_ok=True)
        width, height = self._size
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.ftruncate(descriptor, _HEADER + _SLOTS * slot_bytes(width, height))
            self._memory = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)
        self._layout = _Layout(self._memory, width, height, _SLOTS)
        self._layout.header[1:8] = (width, height, _SLOTS, os.getpid(), 0, 0, 0)
        self._layout.header[0] = _MAGIC

    def publish(self, t_ns: int, pixels: Pixels) -> None:
        """Show a picture of shape (height, width, 3)."""
        if self._layout is None:
            raise RuntimeError("start() has not been called")
        self._number += 1
        slot = self._number % _SLOTS
        mark = self._layout.marks[slot]
        mark[0] = _BUSY
        self._layout.pixels[slot][:] = pixels
        mark[1] = t_ns
        mark[2] = self._number
        mark[0] = self._number
        self._layout.header[5] = self._number

    def close(self) -> None:
        """Tell the readers that there will be no more; remove the file; idempotent."""
        layout, self._layout = self._layout, None
        if layout is not None:
            layout.header[6] = 1
            del layout
            _unmap(self._memory)
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class FrameReader:
    """A client's side. Not thread-safe: one owner."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory: mmap.mmap | None = None
        self._layout: _Layout | None = None

    def start(self) -> None:
        """Map the file.

        Raises:
            OSError: there is none.
            ValueError: it is not (yet) a file of pictures.
        """
        with self._path.open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, width, height, slots = (int(word) for word in np.frombuffer(self._memory, np.int64, 4))
        if magic != _MAGIC or len(self._memory) != _HEADER + slots * slot_bytes(width, height):
            raise ValueError(f"{self._path} holds no pictures")
        self._layout = _Layout(self._memory, width, height, slots)

    @property
    def writer_pid(self) -> int:
        """Process that writes."""
        return int(self._words()[4])

    @property
    def closed(self) -> bool:
        """Whether the writer has said that there will be no more."""
        return bool(self._words()[6])

    @property
    def newest(self) -> int:
        """Number of the newest picture, from 1; 0 before the first."""
        return int(self._words()[5])

    def read(self) -> Frame | None:
        """A copy of the newest picture at native size, None before the first.

        Raises:
            BlockingIOError: the writer overwrote each try; it writes faster than this process can copy.
        """
        if self._layout is None:
            raise RuntimeError("start() has not been called")
        for _ in range(_TRIES):
            number = self.newest
            if number == 0:
                return None
            slot = number % len(self._layout.marks)
            mark = self._layout.marks[slot]
            if mark[0] != number:
                continue
            t_ns = int(mark[1])
            pixels = self._layout.pixels[slot].copy()
            if mark[0] == number == mark[2]:
                return Frame(t_ns, pixels)
        raise BlockingIOError(f"{self._path} is written faster than it can be read")

    def _words(self) -> Words:
        if self._layout is None:
            raise RuntimeError("start() has not been called")
        return self._layout.header

    def close(self) -> None:
        """Unmap; idempotent."""
        self._layout = None
        _unmap(self._memory)
        self._memory = None


def _unmap(memory: mmap.mmap | None) -> None:
    # a view of it may still be held by someone; the mapping then goes with the last view
    with contextlib.suppress(BufferError):
        if memory is not None:
            memory.close()

"""Sound in shared memory: one writing process, any number of readers (no threads).

A memory-mapped file: a header of eight int64 (magic, capacity, change counter, samples written, t_ns of the end,
closed, 0, 0), then a ring of `capacity` float32 samples. The change counter is odd while the writer is at work; a
reader that finds it changed after its copy tries again.
"""

import contextlib
import mmap
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk, Samples

_MAGIC = 0x5441534F554E4431
_CAPACITY = 8 * AUDIO_RATE_HZ
_HEADER = 64
_TRIES = 100
_MOST_GAP = 4 * AUDIO_RATE_HZ


class SoundWriter:
    """The game's side."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory: mmap.mmap | None = None
        self._header: npt.NDArray[np.int64] | None = None
        self._ring: Samples = np.zeros(0, np.float32)

    def start(self) -> None:
        """Make the file, readable by its user only. Raises OSError."""
        self._path.unlink(missing_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.ftruncate(descriptor, _HEADER + 4 * _CAPACITY)
            self._memory = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)
        self._ring = np.frombuffer(self._memory, np.float32, _CAPACITY, _HEADER)
        self._header = np.frombuffer(self._memory, np.int64, 8)
        self._header[1] = _CAPACITY
        self._header[0] = _MAGIC

    def publish(self, end_ns: int, samples: Samples) -> None:
        """Append samples, shape (n,), n below 8 seconds; the last one ends at `end_ns`."""
        if self._header is None:
            raise RuntimeError("start() has not been called")
        written = int(self._header[3])
        self._header[2] += 1
        self._ring[(written + np.arange(samples.size)) % _CAPACITY] = samples
        self._header[3] = written + samples.size
        self._header[4] = end_ns
        self._header[2] += 1

    def close(self) -> None:
        """Tell the readers; remove the file; idempotent."""
        header, self._header = self._header, None
        if header is not None:
            header[5] = 1
        self._ring = np.zeros(0, np.float32)
        del header
        with contextlib.suppress(BufferError):
            if self._memory is not None:
                self._memory.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class SoundReader:
    """A client's side; begins with what is written after `start`. Not thread-safe: one owner."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory: mmap.mmap | None = None
        self._header: npt.NDArray[np.int64] = np.zeros(8, np.int64)
        self._ring: Samples = np.zeros(0, np.float32)
        self._taken = 0

    def start(self) -> None:
        """Map the file. Raises OSError when there is none, ValueError when it holds no sound."""
        with self._path.open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._header = np.frombuffer(self._memory, np.int64, 8)
        if self._header[0] != _MAGIC:
            raise ValueError(f"{self._path} holds no sound")
        self._ring = np.frombuffer(self._memory, np.float32, int(self._header[1]), _HEADER)
        self._taken = int(self._header[3])

    @property
    def closed(self) -> bool:
        """Whether the writer has said that there will be no more."""
        return bool(self._header[5])

    def read(self) -> list[AudioChunk]:
        """All since the last call; what was overwritten meanwhile comes as marked silence (4 s at most)."""
        for _ in range(_TRIES):
            counter, written, end_ns = (int(word) for word in self._header[2:5])
            if counter % 2:
                continue
            first = max(self._taken, written - self._ring.size)
            samples = self._ring[np.arange(first, written) % max(self._ring.size, 1)]
            if self._header[2] == counter:
                lost, self._taken = first - self._taken, written
                return _chunks(lost, samples, end_ns)
        return []  # the writer is quicker than this reader just now; the next call gets it

    def close(self) -> None:
        """Unmap; idempotent."""
        self._header, self._ring = np.zeros(8, np.int64), np.zeros(0, np.float32)
        memory, self._memory = self._memory, None
        with contextlib.suppress(BufferError):
            if memory is not None:
                memory.close()


def _chunks(lost: int, samples: Samples, end_ns: int) -> list[AudioChunk]:
    start_ns = end_ns - samples.size * 1_000_000_000 // AUDIO_RATE_HZ
    chunks = [AudioChunk(start_ns, samples)] if samples.size else []
    if lost:
        silence = np.zeros(min(lost, _MOST_GAP), np.float32)
        gap_ns = start_ns - silence.size * 1_000_000_000 // AUDIO_RATE_HZ
        chunks.insert(0, AudioChunk(gap_ns, silence, gap=True))
    return chunks

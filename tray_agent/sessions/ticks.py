"""`ticks.bin`: a header and fixed-size records, each with a checksum. No threads; the caller's runs it."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickSample
from tray_agent.errors import SessionError

MAGIC = b"TATICKS\x01"
_HEADER = struct.Struct("<8sIIIII")  # magic, record size, action size, audio steps, audio bands, CRC32 of the rest
HEADER_BYTES = _HEADER.size
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class TickTable:
    """All ticks of a session but their pixels; row i belongs to frame i.

    Attributes:
        tick: number given by the watcher, int64 (n,); jumps where ticks were dropped.
        t_ns: int64 (n,).
        flags: TickFlag bits with marks applied, uint32 (n,).
        actions: float32 (n, controls).
        audio: float32 (n, steps, bands); zeros when the game has no audio.
    """

    tick: npt.NDArray[np.int64]
    t_ns: npt.NDArray[np.int64]
    flags: npt.NDArray[np.uint32]
    actions: npt.NDArray[np.float32]
    audio: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.tick)

    def first(self, n: int) -> "TickTable":
        """The first `n` rows (views)."""
        return TickTable(self.tick[:n], self.t_ns[:n], self.flags[:n], self.actions[:n], self.audio[:n])

    def followed_by(self, more: "TickTable") -> "TickTable":
        """These rows and then those of `more`."""
        if not len(more):
            return self
        names = ("tick", "t_ns", "flags", "actions", "audio")
        return TickTable(*(np.concatenate([getattr(self, name), getattr(more, name)]) for name in names))


class TickCodec:
    """Turns ticks of one spec into records and back."""

    def __init__(self, spec: PolicySpec) -> None:
        self._spec = spec
        self._audio = spec.audio_shape if spec.audio else (0, 0)
        self.dtype = np.dtype(
            [
                ("tick", "<i8"),
                ("t_ns", "<i8"),
                ("flags", "<u4"),
                ("action", "<f4", (spec.controls.size,)),
                ("audio", "<f2", self._audio),
                ("crc", "<u4"),
            ]
        )

    def header(self) -> bytes:
        """First bytes of the file."""
        sizes = (self.dtype.itemsize, self._spec.controls.size, *self._audio)
        body = _HEADER.pack(MAGIC, *sizes, 0)[: -_CRC.size]
        return body + _CRC.pack(zlib.crc32(body))

    def record(self, sample: TickSample, flags: int) -> bytes:
        """One tick."""
        row = np.zeros((), self.dtype)
        row["tick"], row["t_ns"], row["flags"] = sample.tick, sample.t_ns, flags
        row["action"] = sample.action
        if self._spec.audio:
            row["audio"] = sample.audio
        body = row.tobytes()[: -_CRC.size]
        return body + _CRC.pack(zlib.crc32(body))

    def empty(self) -> TickTable:
        """A table without rows."""
        return self._table(np.zeros(0, self.dtype))

    def read(self, path: Path, skip: int = 0) -> TickTable:
        """All whole records after the first `skip`, up to the first damaged one; none when the file is too short.

        Raises:
            OSError: the file can't be read.
            SessionError: the header is that of another format or spec.
        """
        if not path.exists():
            return self.empty()
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
            if len(head) < HEADER_BYTES:
                return self.empty()
            if head != self.header():
                raise SessionError(f"{path} does not fit the session's controls; the session is damaged")
            file.seek(HEADER_BYTES + skip * self.dtype.itemsize)
            data = file.read()
        rows = np.frombuffer(data, self.dtype, len(data) // self.dtype.itemsize)
        return self._table(rows[: self._intact(data, len(rows))])

    def glance(self, path: Path) -> tuple[int, int | None]:
        """How many whole records the file seems to hold, by its size, and `t_ns` of the last; (0, None) without any.

        Raises:
            OSError: the file can't be read.
        """
        size = self.dtype.itemsize
        count = max(0, path.stat().st_size - HEADER_BYTES) // size if path.exists() else 0
        if not count:
            return 0, None
        with path.open("rb") as file:
            file.seek(HEADER_BYTES + (count - 1) * size)
            row = np.frombuffer(file.read(size), self.dtype)
        return count, int(row["t_ns"][0])

    def _intact(self, data: bytes, count: int) -> int:
        """How many records from the front have the right checksum."""
        size, view = self.dtype.itemsize, memoryview(data)
        for i in range(count):
            record = view[i * size : (i + 1) * size]
            if zlib.crc32(record[: -_CRC.size]) != _CRC.unpack(record[-_CRC.size :])[0]:
                return i
        return count

    def _table(self, rows: npt.NDArray[np.void]) -> TickTable:
        shape = (len(rows), *self._spec.audio_shape)
        audio = rows["audio"].astype(np.float32) if self._spec.audio else np.zeros(shape, np.float32)
        return TickTable(
            tick=rows["tick"].astype(np.int64),
            t_ns=rows["t_ns"].astype(np.int64),
            flags=rows["flags"].astype(np.uint32),
            actions=rows["action"].astype(np.float32),
            audio=audio.reshape(shape),
        )

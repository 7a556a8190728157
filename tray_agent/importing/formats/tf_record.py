"""TFRecord files and the tf.train.Example in them, without TensorFlow.

A record is its length (uint64), a checksum of that, the bytes, a checksum of those. An Example is a protocol buffer:
Example.features = 1, Features.feature = 1 (key = 1, value = 2), Feature.bytes_list = 1, .float_list = 2,
.int64_list = 3, and in each of them value = 1 (tensorflow/core/example/{example,feature}.proto).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tray_agent.errors import ImportFailed

_LENGTH, _CRC = struct.Struct("<Q"), struct.Struct("<I")
_BYTES, _FLOATS, _INTEGERS = 1, 2, 3
_VARINT, _FIXED64, _SIZED, _FIXED32 = 0, 1, 2, 5
_CASTAGNOLI = 0x82F63B78


def records(path: Path) -> Iterator[memoryview]:
    """The records of a file.

    Raises:
        ImportFailed: it is no TFRecord, or is cut off.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        while head := file.read(_LENGTH.size + _CRC.size):
            if len(head) < _LENGTH.size + _CRC.size or _CRC.unpack(head[8:])[0] != masked_crc(head[:8]):
                raise ImportFailed(f"{path.name} is no TFRecord file, or is damaged")
            (size,) = _LENGTH.unpack(head[:8])
            data = file.read(size + _CRC.size)
            if len(data) < size + _CRC.size:
                raise ImportFailed(f"{path.name} is cut off")
            yield memoryview(data)[:size]


def masked_crc(data: bytes) -> int:
    """CRC-32C, turned and moved as TFRecord wants it (tensorflow/core/lib/hash/crc32c.h)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@dataclass(frozen=True)
class Feature:
    """One feature of an Example, decoded when asked for.

    Attributes:
        kind: which of the three lists it is; 0 when empty.
        data: the list's bytes.
    """

    kind: int
    data: memoryview

    @property
    def is_bytes(self) -> bool:
        """Whether it is a list of byte strings."""
        return self.kind == _BYTES

    @property
    def is_integers(self) -> bool:
        """Whether it is a list of whole numbers."""
        return self.kind == _INTEGERS

    def texts(self) -> list[memoryview]:
        """A list of byte strings."""
        return [value for number, value in _fields(self.data) if number == 1 and isinstance(value, memoryview)]

    def numbers(self) -> npt.NDArray[np.float64]:
        """A list of numbers, shape (n,)."""
        parts = [value for number, value in _fields(self.data) if number == 1]
        if self.kind == _FLOATS:
            raw = b"".join(bytes(part) for part in parts if isinstance(part, memoryview))
            return np.frombuffer(raw, "<f4").astype(np.float64)
        found: list[int] = []
        for part in parts:
            found += [part] if isinstance(part, int) else _varints(part)
        return np.array([one - (1 << 64) if one >> 63 else one for one in found], np.float64)


def example(record: memoryview) -> dict[str, Feature]:
    """The features of a tf.train.Example by name.

    Raises:
        ImportFailed: the record is none.
    """
    found = {}
    try:
        for features in _sub(record, 1):
            for entry in _sub(features, 1):
                parts = dict(_fields(entry))
                name, value = parts[1], parts.get(2, memoryview(b""))
                if isinstance(name, memoryview) and isinstance(value, memoryview):
                    lists = [(number, data) for number, data in _fields(value) if isinstance(data, memoryview)]
                    found[str(name, "utf-8")] = Feature(*(lists[-1] if lists else (0, memoryview(b""))))
    except (LookupError, ValueError) as error:
        raise ImportFailed(f"a record is no tf.train.Example ({error})") from error
    return found


def _sub(data: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, value in _fields(data):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Fields of a protocol buffer message: number, and its bytes or whole number."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == _SIZED:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(data):
            raise ValueError("cut off")
        yield key >> 3, data[at : at + size]
        at += size


def _varints(data: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at

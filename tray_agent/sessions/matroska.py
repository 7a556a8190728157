"""Finds the blocks of a Matroska file that may still be growing or was cut off. No threads; the caller's runs it.

Only what our own writer makes needs to be understood: one track, no lacing, no compression. Unlike a media library's
seeking, this needs no index at the end of the file (which a crash leaves out), and it can go on where it stopped.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_ENTERED = {0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0xA0}  # Segment, Cluster, Tracks, TrackEntry, BlockGroup
_CODEC_PRIVATE = 0x63A2
_SIMPLE_BLOCK = 0xA3
_BLOCK_HEAD = 4  # track number (one byte), relative time (two), flags (one)
_KEYFRAME = 0x80
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Block:
    """Where one packet lies in the file."""

    offset: int
    size: int
    keyframe: bool


class BlockIndex:
    """Blocks of the file at `path`, in order. One thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self.blocks: list[Block] = []
        self.codec_private = b""

    def extend(self) -> None:
        """Take in what was written since the last call; an unfinished or damaged rest is left alone."""
        try:
            fd = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            return
        with os.fdopen(fd, "rb", buffering=_READ) as file:
            end = os.fstat(file.fileno()).st_size
            file.seek(self._position)
            while self._position < end:
                ident, size, body = _head(file.read(12), self._position)
                if ident in _ENTERED:
                    self._position = body
                elif size < 0 or body + size > end:
                    break
                else:
                    file.seek(body)
                    self._take(ident, size, body, file.read(size if ident == _CODEC_PRIVATE else _BLOCK_HEAD))
                    self._position = body + size
                file.seek(self._position)

    def _take(self, ident: int, size: int, body: int, data: bytes) -> None:
        if ident == _CODEC_PRIVATE:
            self.codec_private = data
        elif ident == _SIMPLE_BLOCK and size > _BLOCK_HEAD:
            self.blocks.append(Block(body + _BLOCK_HEAD, size - _BLOCK_HEAD, bool(data[3] & _KEYFRAME)))


def _head(data: bytes, position: int) -> tuple[int, int, int]:
    """Id, size (-1: unknown, unfinished or damaged) and offset of the body of the element that begins with `data`."""
    id_length = 9 - data[0].bit_length() if data else 9
    if id_length > 4 or len(data) <= id_length:
        return 0, -1, position
    size_length = 9 - data[id_length].bit_length()
    if size_length > 8 or len(data) < id_length + size_length:
        return 0, -1, position
    ident = int.from_bytes(data[:id_length], "big")
    bits = 7 * size_length
    size = int.from_bytes(data[id_length : id_length + size_length], "big") & ((1 << bits) - 1)
    return ident, (-1 if size == (1 << bits) - 1 else size), position + id_length + size_length

"""`video.mkv`: one frame a tick, coded as `coding` says. All runs on the caller's thread, single-threaded.

The file is never gone back into. A lossless frame is a Matroska cluster of its own, so a kill loses at most the frame
that the muxer still holds; others share a cluster of a quarter of a second, for a cluster's head takes 20 bytes and
such a frame may take 50.
"""

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels, VideoQuality
from tray_agent.core.planes import PLANES
from tray_agent.errors import SessionError
from tray_agent.sessions.append_file import AppendFile
from tray_agent.sessions.coding import CODINGS, describe_colours, frame_of, put_pixels, put_planes
from tray_agent.sessions.matroska import BlockIndex

_MS = Fraction(1, 1000)
_QUALITY_TAG = "QUALITY"
_Put = Callable[[av.VideoFrame, npt.NDArray[np.uint8]], None]
"""Writes a decoded frame into its place."""


@dataclass(frozen=True, slots=True)
class CodedFrame:
    """A frame as it lies on the disk.

    Attributes:
        data: the packet.
        keyframe: it can be decoded without those before it.
    """

    data: bytes
    keyframe: bool


def quality_of(container: av.container.InputContainer) -> VideoQuality:
    """How closely an opened `video.mkv` keeps its pictures."""
    found = next((name for name in CODINGS if name == container.metadata.get(_QUALITY_TAG)), None)
    return found or "lossless"  # from before there was another


def _open(file: AppendFile, quality: VideoQuality) -> av.container.OutputContainer:
    """A container that never seeks back and hands every cluster to the system at once."""
    cluster_ms = CODINGS[quality].cluster_ms
    options = {"live": "1", "flush_packets": "1", "cluster_time_limit": str(cluster_ms)}
    container = av.open(file, "w", format="matroska", options=options)
    container.metadata[_QUALITY_TAG] = quality
    return container


class VideoWriter:
    """Appends pictures. One thread."""

    def __init__(self, path: Path, width: int, height: int, rate_hz: float, quality: VideoQuality = "lossless") -> None:
        """Create the file. Raises OSError."""
        self._rate_hz = rate_hz
        self._coding = coding = CODINGS[quality]
        self.file = AppendFile(path)
        self._container = _open(self.file, quality)
        rate = Fraction(rate_hz).limit_denominator(1000)
        options = coding.options | {"g": str(max(1, int(rate_hz * coding.keyframe_s)))}
        self._stream = self._container.add_stream(coding.encoder, rate=rate, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, coding.pix_fmt
        context = self._stream.codec_context
        context.thread_count = 1
        context.time_base = _MS
        describe_colours(context, coding)
        self._open = True
        self.count = 0

    def add(self, pixels: Pixels) -> None:
        """Append one frame (h, w, 3). Raises OSError."""
        frame = frame_of(pixels, self._coding)
        frame.pts = round(self.count * 1000 / self._rate_hz)
        frame.time_base = _MS
        self._container.mux(self._stream.encode(frame))
        self.count += 1

    def close(self) -> None:
        """Write what the encoder holds and close; idempotent. Raises OSError."""
        if not self._open:
            return
        self._open = False
        try:
            if self.count:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        finally:
            self.file.close()


class VideoCopier:
    """Appends frames of another `video.mkv`, as they are. One thread."""

    def __init__(self, path: Path, source: Path, rate_hz: float, quality: VideoQuality) -> None:
        """Create the file; the frames will be those of `source`, which has that quality. Raises OSError."""
        self._rate_hz = rate_hz
        with av.open(str(source)) as container:
            self.file = AppendFile(path)
            self._container = _open(self.file, quality)
            self._stream = self._container.add_stream_from_template(container.streams.video[0])
        self._open = True
        self.count = 0

    def add(self, frame: CodedFrame) -> None:
        """Append one frame; the first must be a keyframe. Raises OSError."""
        packet = av.Packet(frame.data)
        packet.stream, packet.time_base = self._stream, _MS
        packet.pts = packet.dts = round(self.count * 1000 / self._rate_hz)
        packet.is_keyframe = frame.keyframe
        self._container.mux_one(packet)
        self.count += 1

    def close(self) -> None:
        """Close; idempotent. Raises OSError."""
        if not self._open:
            return
        self._open = False
        try:
            self._container.close()
        finally:
            self.file.close()


class VideoReader:
    """Random access to the frames of a finished, growing or cut-off file. One thread; holds no file open."""

    def __init__(self, path: Path, width: int, height: int) -> None:
        self._path = path
        self._shape = (height, width, 3)
        self._index = BlockIndex(path)
        self._keyframes: list[int] = []
        self._seen = 0
        self._decoder: av.VideoCodecContext | None = None
        self.refresh()

    def __len__(self) -> int:
        return len(self._index.blocks)

    def refresh(self) -> None:
        """Notice frames written since."""
        self._index.extend()
        blocks = self._index.blocks
        self._keyframes += [i for i in range(self._seen, len(blocks)) if blocks[i].keyframe]
        self._seen = len(blocks)

    def read(self, start: int, stop: int) -> Pixels:
        """Frames start..stop-1, uint8 (n, h, w, 3).

        Raises:
            IndexError: not that many frames.
            SessionError: a frame can't be decoded.
        """
        return self._read(start, stop, self._shape, put_pixels)

    def planes(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """What the network sees of them, uint8 (n, 3, h, w): as it was coded, which is far quicker where that is so.

        Raises:
            IndexError, SessionError: see `read`.
        """
        height, width, _ = self._shape
        return self._read(start, stop, (PLANES, height, width), put_planes)

    def _read(self, start: int, stop: int, shape: tuple[int, int, int], put: _Put) -> npt.NDArray[np.uint8]:
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"frames {start}..{stop} of a session with {len(self)}")
        out = np.empty((stop - start, *shape), np.uint8)
        if start == stop:
            return out
        try:
            self._decode(start, stop, out, put)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SessionError(f"{self._path}: frames {start}..{stop} can't be decoded ({error})") from error
        return out

    def coded(self, start: int, stop: int) -> Iterator[CodedFrame]:
        """Frames start..stop-1 as they lie on the disk.

        Raises:
            SessionError: they can't be read.
        """
        try:
            with self._path.open("rb") as file:
                for block in self._index.blocks[start:stop]:
                    file.seek(block.offset)
                    yield CodedFrame(file.read(block.size), block.keyframe)
        except OSError as error:
            raise SessionError(f"{self._path} can't be read ({error.strerror or error})") from error

    def keyframe_from(self, number: int) -> int | None:
        """The first frame from that one on that can be decoded without those before it."""
        at = bisect.bisect_left(self._keyframes, number)
        return self._keyframes[at] if at < len(self._keyframes) else None

    def end_of(self, count: int) -> int:
        """Where in the file the first `count` frames end, bytes; 0 for none."""
        if not count:
            return 0
        last = self._index.blocks[count - 1]
        return last.offset + last.size

    def intact(self, stop: int) -> int:
        """How many of the first `stop` frames are left without those at the end that end in zeros. Raises OSError.

        A power cut leaves zeros where the system had not yet put what was written on the disk. No whole frame ends in
        one: the last byte of an H.264 NAL unit is never 0 (ITU-T H.264, 7.4.1).
        """
        if not stop:
            return 0
        with self._path.open("rb") as file:
            while stop:
                file.seek(self.end_of(stop) - 1)
                if file.read(1) != b"\0":
                    break
                stop -= 1
        return stop

    def _decode(self, start: int, stop: int, out: npt.NDArray[np.uint8], put: _Put) -> None:
        keyframe = bisect.bisect_right(self._keyframes, start) - 1
        first = self._keyframes[keyframe] if keyframe >= 0 else 0
        decoder = self._fresh_decoder()
        got = first
        with self._path.open("rb") as file:
            for i in range(first, stop):
                block = self._index.blocks[i]
                file.seek(block.offset)
                for picture in decoder.decode(av.Packet(file.read(block.size))):
                    if got >= start:
                        put(picture, out[got - start])
                    got += 1
        for picture in decoder.decode(None):
            if got >= start:
                put(picture, out[got - start])
            got += 1
        if got != stop:
            raise ValueError(f"{got - first} of {stop - first} frames came out")

    def _fresh_decoder(self) -> av.VideoCodecContext:
        if self._decoder is None:
            decoder = av.VideoCodecContext.create("h264", "r")
            decoder.extradata = self._index.codec_private
            decoder.thread_count = 1
            self._decoder = decoder
        self._decoder.flush_buffers()
        return self._decoder

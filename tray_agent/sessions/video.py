"""`video.mkv`: one lossless RGB frame a tick. Encoding and decoding run on the caller's thread, single-threaded.

Every frame is a Matroska cluster of its own, and the file is never gone back into, so a kill loses at most the frame
that the muxer still holds: one tick.
"""

import bisect
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels
from tray_agent.errors import SessionError
from tray_agent.sessions.append_file import AppendFile
from tray_agent.sessions.matroska import BlockIndex

GROW_ONLY = {"live": "1", "flush_packets": "1", "cluster_time_limit": "1"}
"""Muxer options: never seek back, hand every cluster to the system at once, one packet a cluster."""

_GBR = (1, 2, 0)  # the planes' places in RGB


class VideoWriter:
    """Appends frames. One thread."""

    def __init__(self, path: Path, width: int, height: int, rate_hz: float) -> None:
        """Create the file. Raises OSError."""
        self._rate_hz = rate_hz
        self.file = AppendFile(path)
        self._container = av.open(self.file, "w", format="matroska", options=GROW_ONLY)
        rate = Fraction(rate_hz).limit_denominator(1000)
        group = str(max(1, int(rate_hz / 2)))  # a keyframe every half second, for quick random access
        options = {"qp": "0", "preset": "ultrafast", "tune": "zerolatency", "g": group}
        self._stream = self._container.add_stream("libx264rgb", rate=rate, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "rgb24"
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.time_base = Fraction(1, 1000)
        self._open = True
        self.count = 0

    def add(self, pixels: Pixels) -> None:
        """Append one frame (h, w, 3). Raises OSError."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts = round(self.count * 1000 / self._rate_hz)
        frame.time_base = Fraction(1, 1000)
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


class VideoReader:
    """Random access to the frames of a finished, growing or cut-off file; holds no file open.

    Several threads may `read` at the same time, as long as none calls `refresh` meanwhile.
    """

    def __init__(self, path: Path, width: int, height: int) -> None:
        self._path = path
        self._shape = (height, width, 3)
        self._index = BlockIndex(path)
        self._keyframes: list[int] = []
        self._seen = 0
        self._idle: list[av.VideoCodecContext] = []  # decoders that nobody uses; as many as ever read at once
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
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"frames {start}..{stop} of a session with {len(self)}")
        out: Pixels = np.empty((stop - start, *self._shape), np.uint8)
        if start == stop:
            return out
        try:
            self._decode(start, stop, out)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SessionError(f"{self._path}: frames {start}..{stop} can't be decoded ({error})") from error
        return out

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

    def _decode(self, start: int, stop: int, out: Pixels) -> None:
        keyframe = bisect.bisect_right(self._keyframes, start) - 1
        first = self._keyframes[keyframe] if keyframe >= 0 else 0
        decoder = self._fresh_decoder()
        got = first
        with self._path.open("rb") as file:
            for i in range(first, stop):
                block = self._index.blocks[i]
                file.seek(block.offset)
                for picture in decoder.decode(av.Packet(file.read(block.size))):
                    got = self._place(picture, got, start, out)
        for picture in decoder.decode(None):
            got = self._place(picture, got, start, out)
        if got != stop:
            raise ValueError(f"{got - first} of {stop - first} frames came out")
        self._idle.append(decoder)

    @staticmethod
    def _place(picture: av.VideoFrame, number: int, start: int, out: npt.NDArray[np.uint8]) -> int:
        if number >= start:
            pixels = out[number - start]
            for channel, plane in zip(_GBR, picture.planes, strict=True):  # in place: PyAV's own way makes a copy more
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
                pixels[..., channel] = rows[:, : plane.width]
        return number + 1

    def _fresh_decoder(self) -> av.VideoCodecContext:
        """One that is the caller's own until it is put back."""
        try:
            decoder = self._idle.pop()
        except IndexError:
            decoder = av.VideoCodecContext.create("h264", "r")
            decoder.extradata = self._index.codec_private
            decoder.thread_count = 1
        decoder.flush_buffers()
        return decoder

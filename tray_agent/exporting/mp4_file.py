"""One MP4 with H.264 pictures, and AAC sound if there is any. Encoding runs on the caller's thread."""

import contextlib
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np

from tray_agent.core.media import AUDIO_RATE_HZ, Pixels, Samples

_CLOCK_HZ = 90_000


class Mp4File:
    """Writes pictures at the times given. A context manager; every method raises OSError or av.FFmpegError."""

    def __init__(
        self, path: Path, width: int, height: int, rate_hz: float, *,
        pix_fmt: str = "yuv420p", crf: int = 16, group: int = 10, sound: bool = False,
    ) -> None:  # fmt: skip
        """Store.

        Args:
            path: of the file; written over.
            width, height: of the pictures; even numbers where `pix_fmt` halves the colours.
            rate_hz: pictures a second, for players.
            pix_fmt: how colours are kept: "yuv420p" every player reads, "yuv444p" keeps each pixel's own.
            crf: quality, 0 (lossless, nearly) to 51.
            group: pictures from one that stands for itself to the next.
            sound: whether sound will come.
        """
        self._path = path
        self._size = (width, height)
        self._rate = Fraction(rate_hz).limit_denominator(1000)
        self._pix_fmt = pix_fmt
        self._options = {
            "preset": "veryfast",
            "crf": str(crf),
            "g": str(group),
            "bf": "0",
        }  # no B-frames: seeking is exact everywhere
        self._with_sound = sound
        self._last = -1
        self._samples: int | None = None

    def __enter__(self) -> Self:
        self._container = av.open(str(self._path), "w", format="mp4", options={"movflags": "faststart"})
        self._video = self._container.add_stream("libx264", rate=self._rate, options=self._options)
        self._video.width, self._video.height = self._size
        self._video.pix_fmt = self._pix_fmt
        self._video.codec_context.time_base = Fraction(1, _CLOCK_HZ)
        self._video.codec_context.thread_count = 1
        if self._with_sound:
            self._audio = self._container.add_stream("aac", rate=AUDIO_RATE_HZ)
            self._audio.codec_context.layout = "mono"
            self._audio.codec_context.bit_rate = 64_000
        return self

    def add(self, pixels: Pixels, t_s: float) -> None:
        """One picture (height, width, 3) that is shown from `t_s` on; times must not fall."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        self._last = max(self._last + 1, round(t_s * _CLOCK_HZ))
        frame.pts, frame.time_base = self._last, Fraction(1, _CLOCK_HZ)
        self._mux(self._video.encode(frame))

    def add_sound(self, samples: Samples, t_s: float) -> None:
        """Mono sound at AUDIO_RATE_HZ; `t_s` counts for the first piece, the others follow it without a hole."""
        if self._samples is None:
            self._samples = round(t_s * AUDIO_RATE_HZ)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = AUDIO_RATE_HZ, Fraction(1, AUDIO_RATE_HZ), self._samples
        self._container.mux(self._audio.encode(frame))
        self._samples += len(samples)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with contextlib.suppress(OSError, av.FFmpegError, ValueError):  # it is thrown away; the first error counts
                self._container.close()
            return
        if self._last >= 0:
            self._mux(self._video.encode(None))
        if self._samples is not None:
            self._container.mux(self._audio.encode(None))
        self._container.close()

    def _mux(self, packets: "list[av.Packet[Any]]") -> None:
        for packet in packets:
            if not packet.duration:  # the last picture would last no time at all
                packet.duration = round(_CLOCK_HZ / self._rate)
            self._container.mux(packet)

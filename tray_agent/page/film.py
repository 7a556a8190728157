"""A session's pictures and sound as an MP4 that browsers play (PyAV; runs on the caller's thread)."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import IO

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from tray_agent.core.media import AUDIO_RATE_HZ, Pixels, Samples
from tray_agent.page.timeline import UNITS_PER_S, Timeline
from tray_agent.sessions.reader import SessionReader

Tell = Callable[[str, float], None]
"""Progress: what is done, and which share of it (0..1)."""

_WIDTH = 320
_BLOCK = 4  # pixels enlarged to multiples of the codec's smallest block cost almost nothing
_KEYFRAME_S = 2.0
_CRF = 24
_CRF_PER_DOUBLING = 6
_PRESET = "veryfast"
_SOUND_BPS = 32_000
_SOUND_FRAME = 1024
_CHUNK = 64
_BT709 = 1  # the same number for primaries, transfer and matrix (ITU-T H.273)
_LIMITED = 1


def enlargement(width: int) -> int:
    """By how much frames of that width are enlarged: 1, or the smallest multiple of 4 that gives 320 pixels."""
    return 1 if width >= _WIDTH else -(-_WIDTH // (_BLOCK * width)) * _BLOCK


def quantiser(factor: int) -> int:
    """x264's constant rate factor: a pixel spread over more of the film's pixels needs each of them less exactly.

    It keeps pages of 28x28 pictures smaller than their lossless film, and those still come out closer than larger ones:
    40.5 dB a source pixel at factor 12 (`doom-health`), against 37..42 dB at factor 4.
    """
    return _CRF + round(_CRF_PER_DOUBLING * math.log2(max(1.0, factor / _BLOCK)))


def write_film(file: IO[bytes], reader: SessionReader, line: Timeline, sound: Samples, tell: Tell) -> None:
    """Write one frame a tick at its shown time, and the sound beside it.

    Args:
        file: open for writing and seeking.
        reader: of a session that is not empty.
        line: shown time of its ticks.
        sound: of the shown time; empty for none.
        tell: progress.

    Raises:
        OSError, av.FFmpegError: it could not be written.
        SessionError: frames can't be decoded.
    """
    count = len(line.at)
    with av.open(file, "w", format="mp4") as container:
        video = _video_stream(container, reader)
        audio = _Sound(container, sound) if len(sound) else None
        for start in range(0, count, _CHUNK):
            tell("film", start / count)
            for row, pixels in enumerate(reader.frames(start, min(start + _CHUNK, count)), start):
                if audio is not None:
                    audio.write_until(int(line.at[row]))
                container.mux(video.encode(_frame(pixels, int(line.at[row]))))
        if audio is not None:
            audio.write_until(line.end)
            audio.finish()
        container.mux(video.encode(None))


def _video_stream(container: av.container.OutputContainer, reader: SessionReader) -> av.VideoStream:
    spec = reader.spec
    factor = enlargement(spec.frame_width)
    rate = Fraction(spec.rate_hz).limit_denominator(1000)
    options = {"crf": str(quantiser(factor)), "preset": _PRESET}
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height = (-(-side * factor // 2) * 2 for side in (spec.frame_width, spec.frame_height))
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, UNITS_PER_S)
    context.gop_size = max(1, round(_KEYFRAME_S * spec.rate_hz))
    context.max_b_frames = 0  # shown times are then exactly those written, without an edit list
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED
    return stream


def _frame(pixels: Pixels, at: int) -> av.VideoFrame:
    height, width = pixels.shape[:2]
    factor = enlargement(width)
    large = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    if (height * factor) % 2 or (width * factor) % 2:  # halved colour needs even sides
        large = np.pad(large, ((0, height * factor % 2), (0, width * factor % 2), (0, 0)), mode="edge")
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(large), format="rgb24")
    frame = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
    frame.pts, frame.time_base = at, Fraction(1, UNITS_PER_S)
    return frame


class _Sound:
    """The sound track, fed alongside the pictures so that a browser finds both in one place."""

    def __init__(self, container: av.container.OutputContainer, samples: Samples) -> None:
        self._container = container
        self._samples = samples
        self._stream = container.add_stream("aac", rate=AUDIO_RATE_HZ)
        self._stream.codec_context.layout = "mono"
        self._stream.codec_context.format = "fltp"
        self._stream.codec_context.bit_rate = _SOUND_BPS
        self._done = 0

    def write_until(self, units: int) -> None:
        """Encode what belongs to the shown time before `units`, in whole frames of the codec."""
        due = units * AUDIO_RATE_HZ // UNITS_PER_S
        while self._done + _SOUND_FRAME <= due:
            self._write(self._samples[self._done : self._done + _SOUND_FRAME])

    def finish(self) -> None:
        """Encode the rest."""
        if self._done < len(self._samples):
            rest = self._samples[self._done :]
            self._write(np.pad(rest, (0, max(0, _SOUND_FRAME - len(rest)))))
        self._container.mux(self._stream.encode(None))

    def _write(self, samples: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = AUDIO_RATE_HZ, Fraction(1, AUDIO_RATE_HZ), self._done
        self._container.mux(self._stream.encode(frame))
        self._done += len(samples)

"""How pictures are coded in `video.mkv` at each quality, and their way from RGB to the codec's planes and back (PyAV).

Lossless pictures stay RGB. The others become luma and two colour differences (ITU-R BT.601, full range) at full
resolution: a thing two pixels wide has no colour left where colours are halved. Why these numbers, and why no hardware
encoder: decisions/0015-lossy-video.md.
"""

from dataclasses import dataclass
from typing import Literal

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from tray_agent.core.media import Pixels, VideoQuality

_RGB = "rgb24"
_YUV = "yuv444p"
_GBR = (1, 2, 0)  # where the planes of a frame go in RGB
_Y_CB_CR = (0, 2, 1)  # and in what OpenCV calls YCrCb
_BT601 = 5  # the matrix in ITU-T H.273
_EXACT = (
    Interpolation.POINT
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)
"""The same numbers on every processor."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How one quality is coded.

    Attributes:
        encoder: name in FFmpeg.
        pix_fmt: what it takes.
        options: of the encoder.
        keyframe_s: seconds from one frame that stands for itself to the next.
        cluster_ms: frames of so long are written together.
    """

    encoder: Literal["libx264", "libx264rgb"]
    pix_fmt: str
    options: dict[str, str]
    keyframe_s: float
    cluster_ms: int


def _lossy(crf: int) -> Coding:
    # zerolatency: no B-frames and no looking ahead, so that frame i is packet i and none waits. psnr: bits go where the
    # error is, not where people look. The deblocking filter smears walls and balls one pixel wide; keyframes at every
    # change of scene cost a quarter more and help nobody who reads windows.
    options = {
        "crf": str(crf), "preset": "medium", "tune": "psnr,zerolatency", "x264-params": "no-deblock=1:scenecut=0",
    }  # fmt: skip
    return Coding("libx264", _YUV, options, keyframe_s=2.0, cluster_ms=250)


CODINGS: dict[VideoQuality, Coding] = {
    "lossless": Coding(
        "libx264rgb", _RGB, {"qp": "0", "preset": "ultrafast", "tune": "zerolatency"}, keyframe_s=0.5, cluster_ms=1
    ),
    "high": _lossy(26),
    "small": _lossy(30),
}


def describe_colours(context: av.VideoCodecContext, coding: Coding) -> None:
    """Tell players which colours the planes mean."""
    if coding.pix_fmt != _RGB:
        context.color_range, context.colorspace = ColorRange.JPEG, _BT601


class Converter:
    """From RGB to the codec's planes. One thread."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def to_frame(self, pixels: Pixels, pix_fmt: str) -> av.VideoFrame:
        """C-contiguous RGB (h, w, 3) as the encoder takes it."""
        frame = av.VideoFrame.from_ndarray(pixels, format=_RGB)
        if pix_fmt == _RGB:
            return frame
        return self._reformatter.reformat(
            frame, format=pix_fmt, dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG,
            interpolation=_EXACT,
        )  # fmt: skip


def put_pixels(frame: av.VideoFrame, out: Pixels) -> None:
    """A decoded frame as RGB into `out`, uint8 (h, w, 3), C-contiguous. Any thread.

    OpenCV's whole-number conversion differs from FFmpeg's exact one by one grey level, in a twentieth of all values at
    most, and takes less than half of its time.
    """
    is_rgb = frame.format.is_rgb
    target = out if is_rgb else np.empty_like(out)
    for channel, plane in zip(_GBR if is_rgb else _Y_CB_CR, frame.planes, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
        target[..., channel] = rows[:, : plane.width]
    if not is_rgb:
        cv2.cvtColor(target, cv2.COLOR_YCrCb2RGB, dst=out)

"""How pictures are coded in `video.mkv` at each quality, and their way from RGB to the codec's planes and back (PyAV).

Lossless pictures stay RGB. Of the others the planes that the network sees are coded, at full resolution: a thing two
pixels wide has no colour left where colours are halved. Why these numbers, and why no hardware encoder:
decisions/0015-lossy-video.md.
"""

from dataclasses import dataclass
from typing import Literal

import av
import numpy as np
from av.video.reformatter import ColorRange

from tray_agent.core import planes
from tray_agent.core.media import Pixels, VideoQuality

_RGB = "rgb24"
_YUV = "yuv444p"
_BT601 = 5  # the matrix in ITU-T H.273
_Y_CB_CR = (0, 2, 1)  # where the codec's planes stand in ours


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
    # change of scene cost a quarter more and help nobody who reads windows. A colour difference that is a level off
    # matters to the network more than luma does, for differences vary less.
    ours = "no-deblock=1:scenecut=0:chroma-qp-offset=-12"
    options = {"crf": str(crf), "preset": "medium", "tune": "psnr,zerolatency", "x264-params": ours}
    return Coding("libx264", _YUV, options, keyframe_s=2.0, cluster_ms=250)


CODINGS: dict[VideoQuality, Coding] = {
    "lossless": Coding(
        "libx264rgb", _RGB, {"qp": "0", "preset": "ultrafast", "tune": "zerolatency"}, keyframe_s=0.5, cluster_ms=1
    ),
    "high": _lossy(26),
    "small": _lossy(30),
}


def describe_colours(context: av.VideoCodecContext, coding: Coding) -> None:
    """Tell players about which colours the planes mean: our differences are smaller, so players show paler ones."""
    if coding.pix_fmt != _RGB:
        context.color_range, context.colorspace = ColorRange.JPEG, _BT601


def frame_of(pixels: Pixels, coding: Coding) -> av.VideoFrame:
    """RGB (h, w, 3) as the encoder takes it."""
    if coding.pix_fmt == _RGB:
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=_RGB)
    return av.VideoFrame.from_ndarray(planes.planes_of(pixels)[_Y_CB_CR, ...], format=coding.pix_fmt)


def put_planes(frame: av.VideoFrame, out: planes.Planes) -> None:
    """Write the planes that the network sees of a decoded frame into `out`, uint8 (3, h, w)."""
    if frame.format.is_rgb:
        out[:] = planes.planes_of(frame.to_ndarray().astype(np.uint8, copy=False))
        return
    for place, plane in zip(_Y_CB_CR, frame.planes, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
        out[place] = rows[:, : plane.width]


def put_pixels(frame: av.VideoFrame, out: Pixels) -> None:
    """Write a decoded frame as RGB into `out`, uint8 (h, w, 3), C-contiguous."""
    if frame.format.is_rgb:  # planar GBR comes out as RGB, without a conversion pass
        out[:] = frame.to_ndarray()
    else:
        planes.put_pixels(frame.to_ndarray()[_Y_CB_CR, ...].astype(np.uint8, copy=False), out)

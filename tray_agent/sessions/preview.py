"""A short clip of a session, for people to look at (av; the caller's thread)."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tray_agent.core.media import Pixels
from tray_agent.errors import SessionError
from tray_agent.sessions.reader import SessionReader

SECONDS = 8.0
_WIDTH = 320


def preview(folder: Path) -> bytes:
    """The session's last seconds as an MP4 (H.264), each pixel drawn as a square so that small frames can be seen.

    Raises:
        SessionError: it can't be read, or has no frame.
    """
    reader = SessionReader(folder)
    frames = reader.frames(max(0, len(reader) - int(SECONDS * reader.spec.rate_hz)), len(reader))
    if not len(frames):
        raise SessionError(f"session {folder} has no frame to show; record some play, or share without --preview")
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(reader.spec.rate_hz).limit_denominator(1000))
        first = _enlarged(frames[0])
        stream.height, stream.width, stream.pix_fmt = first.shape[0], first.shape[1], "yuv420p"
        stream.codec_context.thread_count = 1
        for pixels in frames:
            picture = av.VideoFrame.from_ndarray(_enlarged(pixels), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return written.getvalue()


def _enlarged(pixels: Pixels) -> Pixels:
    times = 2 * max(1, _WIDTH // (2 * pixels.shape[1]))  # even, as the codec wants width and height
    return np.ascontiguousarray(pixels.repeat(times, 0).repeat(times, 1))

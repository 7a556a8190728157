"""Pictures and sound out of a video file, one after the other. Decoding runs on the caller's thread."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk, Pixels


def pictures(path: Path, from_s: float = 0.0) -> Iterator[tuple[float, Pixels]]:
    """Pictures in order of time: (seconds in the file, RGB).

    Args:
        path: of the video.
        from_s: pictures before are left out (half a millisecond of rounding is forgiven).

    Raises:
        OSError, av.FFmpegError: it can't be read.
        ValueError: it has no pictures.
    """
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError(f"{path.name} holds no pictures")
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if from_s > 0 and stream.time_base is not None:
            container.seek(int(from_s / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            if frame.time is not None and frame.time >= from_s - 0.0005:
                yield frame.time, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def sound(path: Path, offset_ns: int = 0) -> Iterator[AudioChunk]:
    """The file's first sound track as chunks; none where there is none.

    Args:
        path: of the video.
        offset_ns: time of the file's beginning in the recording.

    Raises:
        OSError, av.FFmpegError: it can't be read.
    """
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=AUDIO_RATE_HZ)
        start_ns, count = None, 0
        for frame in container.decode(stream):
            if start_ns is None:
                start_ns = offset_ns + int((frame.time or 0.0) * 1e9)
            for part in resampler.resample(frame):
                samples = part.to_ndarray().reshape(-1).astype(np.float32)
                yield AudioChunk(start_ns + count * 1_000_000_000 // AUDIO_RATE_HZ, samples)
                count += len(samples)

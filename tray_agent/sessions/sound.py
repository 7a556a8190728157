"""`sound.mkv`: the game's sound as FLAC, mono 16 kHz 16 bit, without holes. Runs on the caller's thread.

Sample i belongs to the moment start + i / 16 kHz: what is missing is written as silence, what comes twice is cut.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk, Samples
from tray_agent.sessions.append_file import AppendFile

_TOLERANCE = AUDIO_RATE_HZ // 50  # 20 ms: less is jitter of the time stamps, not a hole
_PIECE = AUDIO_RATE_HZ  # longest array given to the encoder at once
_ENCODER = {"compression_level": "2", "frame_size": str(AUDIO_RATE_HZ // 10)}
_MUXER = {"live": "1", "flush_packets": "1", "cluster_time_limit": "200"}


class SoundWriter:
    """Appends sound. One thread."""

    def __init__(self, path: Path, start_ns: int) -> None:
        """Create the file; `start_ns` is the time of sample 0. Raises OSError."""
        self._start_ns = start_ns
        self.file = AppendFile(path)
        self._container = av.open(self.file, "w", format="matroska", options=_MUXER)
        self._stream = self._container.add_stream("flac", rate=AUDIO_RATE_HZ, options=_ENCODER)
        self._stream.codec_context.layout = "mono"
        self._stream.codec_context.format = "s16"
        self._written = 0
        self._open = True

    def add(self, chunk: AudioChunk) -> None:
        """Append one chunk at its time. Raises OSError."""
        due = round((chunk.t_ns - self._start_ns) * AUDIO_RATE_HZ / 1e9)
        samples, shift = chunk.samples, due - self._written
        if shift > _TOLERANCE:
            self._silence(shift)
        elif shift < -_TOLERANCE:
            samples = samples[-shift:]
        self._encode(np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16))

    def close(self) -> None:
        """Write what the encoder holds and close; idempotent. Raises OSError."""
        if not self._open:
            return
        self._open = False
        try:
            if self._written:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        finally:
            self.file.close()

    def _silence(self, count: int) -> None:
        for first in range(0, count, _PIECE):
            self._encode(np.zeros(min(_PIECE, count - first), np.int16))

    def _encode(self, samples: npt.NDArray[np.int16]) -> None:
        if not len(samples):
            return
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = AUDIO_RATE_HZ, Fraction(1, AUDIO_RATE_HZ), self._written
        self._container.mux(self._stream.encode(frame))
        self._written += len(samples)


def read_sound(path: Path) -> Samples:
    """All samples that can be read, float32 (n,); none when there is no sound or nothing whole was written yet."""
    parts = list(sound_pieces(path))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def sound_pieces(path: Path) -> Iterator[Samples]:
    """The same in pieces of about 0.1 s, one after the other, for sessions whose sound is too long for the memory."""
    if not path.exists():
        return
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(audio=0):
                yield frame.to_ndarray()[0].astype(np.float32) / 32767
    except (av.FFmpegError, IndexError):
        return  # cut off by a crash: what came before it stands

"""A session's pictures, or pictures made of them, as MP4 at the session's own times, with its sound beside them."""

from pathlib import Path
from types import TracebackType
from typing import Self

from tray_agent.core.media import AUDIO_RATE_HZ, Pixels
from tray_agent.exporting.mp4_file import Mp4File
from tray_agent.sessions.reader import SessionReader


class SessionVideo:
    """Writes one picture a tick. A context manager; every method raises OSError, av.FFmpegError or SessionError.

    Time 0 is that of the first picture or of the first sound, whichever is earlier.
    """

    def __init__(self, path: Path, reader: SessionReader, width: int, height: int) -> None:
        """Read the first of the sound.

        Args:
            path: of the file; written over.
            reader: a session with at least one tick.
            width, height: of the pictures, even numbers.
        """
        self._times = reader.ticks.t_ns
        self._pieces = reader.sound_pieces()
        self._piece = next(self._pieces, None)
        start_ns, first_ns = reader.info.start_ns, int(self._times[0])
        self._origin_ns = first_ns if self._piece is None else min(start_ns, first_ns)
        self._heard_s = (start_ns - self._origin_ns) / 1e9
        self._file = Mp4File(path, width, height, reader.spec.rate_hz, sound=self._piece is not None)

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def add(self, row: int, picture: Pixels) -> None:
        """The picture of that tick; rows must rise."""
        t_s = (int(self._times[row]) - self._origin_ns) / 1e9
        self._sound_until(t_s)
        self._file.add(picture, t_s)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._sound_until(float("inf"))
        self._file.__exit__(kind, error, trace)

    def _sound_until(self, t_s: float) -> None:
        """A player wants sound and pictures of the same moment near each other in the file."""
        while self._piece is not None and self._heard_s < t_s:
            self._file.add_sound(self._piece, self._heard_s)
            self._heard_s += len(self._piece) / AUDIO_RATE_HZ
            self._piece = next(self._pieces, None)

"""The last few frames, in a recording and at play (numpy, OpenCV's grey conversion)."""

from collections import deque

import cv2
import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def grey(frames: Bytes) -> Bytes:
    """RGB (n, H, W, 3) -> luma by ITU-R BT.601, uint8 (n, H, W), as the Atari wrappers do it."""
    out = np.empty(frames.shape[:3], np.uint8)
    for i, frame in enumerate(frames):
        cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY, dst=out[i])
    return out


class Windows:
    """Which rows of a recording are the last `length` frames up to a row, oldest first.

    Where there are too few, the first of the stretch is repeated.
    """

    def __init__(self, n: int, starts: list[int], length: int) -> None:
        marks = np.zeros(n, np.int64)
        marks[starts] = starts
        self._first = np.maximum.accumulate(marks)
        self._back = np.arange(length - 1, -1, -1)

    def rows(self, of: Integers) -> Integers:
        """Rows (n,) -> their windows (n, length)."""
        rows: Integers = np.maximum(of[:, None] - self._back, self._first[of][:, None])
        return rows


class RecentFrames:
    """The same at play."""

    def __init__(self, length: int) -> None:
        self._frames: deque[Bytes] = deque(maxlen=length)
        self._length = length

    def reset(self) -> None:
        """Forget all."""
        self._frames.clear()

    def push(self, frame: Bytes) -> Bytes:
        """Take a copy of a frame of any shape; the window up to it, (length, *shape)."""
        frame = frame.copy()
        if not self._frames:
            self._frames.extend([frame] * (self._length - 1))
        self._frames.append(frame)
        return np.stack(self._frames)


def grey_frame(pixels: Pixels) -> Bytes:
    """One frame: RGB (H, W, 3) -> luma (H, W)."""
    luma: Bytes = grey(pixels[None])[0]
    return luma

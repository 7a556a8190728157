"""Pictures of the screen on macOS through mss (never run on a Mac).

mss uses a call that Apple obsoleted with macOS 15: there it may fail, or show the desktop without windows.
"""

from typing import Any

import mss
import numpy as np

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.media import Frame
from tray_agent.core.reduce import reduce
from tray_agent.errors import CaptureLost, PlatformUnavailable

_REMEDY = "Allow this program under System Settings, Privacy & Security, Screen Recording, then start it again."
_KEYS = ("left", "top", "width", "height")


class DarwinScreenSource:
    """ScreenSource port; `grab` belongs to one thread. Regions are in points, as macOS counts.

    Args:
        frame_size: (width, height) of the frames.
        clock: gives the frames' time.
    """

    def __init__(self, frame_size: tuple[int, int], clock: Clock | None = None) -> None:
        self._frame_size = frame_size
        self._clock: Clock = clock or MonotonicClock()
        self._mss: Any = None
        self._region: tuple[int, int, int, int] | None = None

    def start(self) -> None:
        """Raises PlatformUnavailable."""
        try:
            self._mss = mss.MSS()
        except Exception as error:
            raise PlatformUnavailable(f"mss can't capture the screen: {error}", _REMEDY) from error

    def grab(self) -> Frame:
        """Raises CaptureLost."""
        if self._mss is None:
            raise CaptureLost("the screen is not being captured: the source is not started")
        region = self._region
        try:
            wanted = self._mss.monitors[0] if region is None else dict(zip(_KEYS, region, strict=True))
            shot = self._mss.grab(wanted)
        except Exception as error:
            raise CaptureLost(f"the screen could not be copied: {error}. {_REMEDY}") from error
        t_ns = self._clock.now_ns()
        pixels = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
        return Frame(t_ns, reduce(pixels, self._frame_size))

    def set_region(self, rect: tuple[int, int, int, int] | None) -> None:
        self._region = rect

    def close(self) -> None:
        if self._mss is not None:
            self._mss.close()
            self._mss = None

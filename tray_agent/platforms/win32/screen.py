"""Pictures of the screen on Windows: Desktop Duplication through dxcam, GDI through mss where that fails.

ScreenSource port; used by one thread, the one that called `start()`.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import mss
import numpy as np
import numpy.typing as npt

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.media import Frame, Pixels
from tray_agent.errors import CaptureLost, PlatformUnavailable

Rect = tuple[int, int, int, int]
RawPixels = npt.NDArray[np.uint8]
"""BGRX, shape (height, width, 4), uint8."""


class GdiGrabber:
    """Copies through mss. Sees every monitor; games in exclusive fullscreen may come out black."""

    def __init__(self) -> None:
        self._mss: Any = None

    def start(self) -> None:
        """Raises PlatformUnavailable."""
        try:
            self._mss = mss.MSS()
        except Exception as error:
            raise PlatformUnavailable(f"mss can't capture the screen: {error}", "Sign in at the screen.") from error

    def grab(self, rect: Rect | None) -> RawPixels:
        """Pixels of `rect`, or of all monitors. Raises CaptureLost."""
        try:
            wanted = self._mss.monitors[0] if rect is None else dict(zip(_MSS_KEYS, rect, strict=True))
            shot = self._mss.grab(wanted)
        except Exception as error:
            raise CaptureLost(f"the screen could not be copied: {error}") from error
        return np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)

    def close(self) -> None:
        if self._mss is not None:
            self._mss.close()
            self._mss = None


_MSS_KEYS = ("left", "top", "width", "height")


class DuplicationGrabber:
    """Copies through dxcam, from the primary monitor (whose corner is the desktop's origin)."""

    def __init__(self) -> None:
        self._camera: Any = None

    def start(self) -> None:
        """Raises PlatformUnavailable."""
        try:
            import dxcam

            self._camera = dxcam.create(output_color="BGRA")
        except Exception as error:
            # On laptops with two graphics chips duplication only works from the one that drives the screen.
            remedy = "In Windows' graphics settings choose power saving for Python, or go on with the slower capture."
            raise PlatformUnavailable(f"dxcam can't duplicate the screen: {error}", remedy) from error

    def grab(self, rect: Rect | None) -> RawPixels | None:
        """Pixels of `rect`; None when it is not all on the primary monitor, or nothing was drawn yet.

        Raises CaptureLost.
        """
        region = (0, 0, self._camera.width, self._camera.height) if rect is None else _corners(rect)
        if min(region) < 0 or region[2] > self._camera.width or region[3] > self._camera.height:
            return None
        try:
            found = self._camera.grab(region=region, copy=False, new_frame_only=False)
        except Exception as error:
            raise CaptureLost(f"desktop duplication broke: {error}") from error
        return None if found is None else np.asarray(found, np.uint8)

    def close(self) -> None:
        if self._camera is not None:
            with contextlib.suppress(Exception):
                self._camera.release()
            self._camera = None


def _corners(rect: Rect) -> Rect:
    left, top, width, height = rect
    return left, top, left + width, top + height


class Win32ScreenSource:
    """ScreenSource port.

    Args:
        size: (width, height) of the frames.
        reduce: makes RGB of that size, shape (height, width, 3), of BGRX pixels.
        region: (left, top, width, height) in physical pixels, None for the whole screen.
        prefer_duplication: False to use GDI only.
    """

    def __init__(
        self,
        size: tuple[int, int],
        reduce: Callable[[RawPixels, tuple[int, int]], Pixels],
        region: Rect | None = None,
        clock: Clock | None = None,
        prefer_duplication: bool = True,
    ) -> None:
        self._size = size
        self._reduce = reduce
        self._region = region
        self._clock: Clock = clock or MonotonicClock()
        self._duplication = DuplicationGrabber() if prefer_duplication else None
        self._gdi = GdiGrabber()
        self.why_slow = "" if prefer_duplication else "desktop duplication is switched off"

    def start(self) -> None:
        """Raises PlatformUnavailable. `why_slow` tells afterwards why GDI is used, "" where it is not."""
        self._gdi.start()
        if self._duplication is None:
            return
        try:
            self._duplication.start()
        except PlatformUnavailable as error:
            self._give_up_duplication(str(error))

    def grab(self) -> Frame:
        """Raises CaptureLost."""
        t_ns = self._clock.now_ns()
        return Frame(t_ns, self._reduce(self._pixels(), self._size))

    def _pixels(self) -> RawPixels:
        if self._duplication is not None:
            try:
                if (found := self._duplication.grab(self._region)) is not None:
                    return found
            except CaptureLost as error:
                self._give_up_duplication(str(error))
        return self._gdi.grab(self._region)

    def _give_up_duplication(self, why: str) -> None:
        if self._duplication is not None:
            self._duplication.close()
        self._duplication = None
        self.why_slow = why

    def set_region(self, rect: Rect | None) -> None:
        self._region = rect

    def close(self) -> None:
        if self._duplication is not None:
            self._duplication.close()
        self._gdi.close()

"""Pictures of the screen on Windows: Desktop Duplication through dxcam, GDI through mss where that fails.

ScreenSource port; used by one thread, the one that called `start()`; only `set_region` may come from another.
"""

import contextlib
from typing import Any

import mss
import numpy as np

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.media import Frame
from tray_agent.core.reduce import RawPixels, reduce
from tray_agent.errors import CaptureLost, PlatformUnavailable

Rect = tuple[int, int, int, int]
_MSS_KEYS = ("left", "top", "width", "height")


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
        """Pixels of `rect`, black where there is no screen, or of all monitors. Raises CaptureLost."""
        if self._mss is None:
            raise CaptureLost("the screen is not being captured: the source is not started")
        whole = self._mss.monitors[0]
        desktop = (whole["left"], whole["top"], whole["width"], whole["height"])
        wanted = rect or desktop
        inside = _common(wanted, desktop)
        if inside is None:
            raise CaptureLost(f"the region {wanted} is not on the screen, which is {desktop}")
        pixels = self._copy(inside)
        return pixels if inside == wanted else _on_black(pixels, inside, wanted)

    def _copy(self, rect: Rect) -> RawPixels:
        try:
            shot = self._mss.grab(dict(zip(_MSS_KEYS, rect, strict=True)))
        except Exception as error:
            raise CaptureLost(f"the screen could not be copied: {error}") from error
        return np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)

    def close(self) -> None:
        if self._mss is not None:
            self._mss.close()
            self._mss = None


def _common(rect: Rect, desktop: Rect) -> Rect | None:
    left, top = max(rect[0], desktop[0]), max(rect[1], desktop[1])
    right, bottom = (min(a, b) for a, b in zip(_corners(rect)[2:], _corners(desktop)[2:], strict=True))
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _on_black(pixels: RawPixels, inside: Rect, wanted: Rect) -> RawPixels:
    canvas = np.zeros((wanted[3], wanted[2], 4), np.uint8)
    x, y = inside[0] - wanted[0], inside[1] - wanted[1]
    canvas[y : y + inside[3], x : x + inside[2]] = pixels
    return canvas


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
    """Pictures of a region of the screen, reduced to `frame_size`.

    Args:
        frame_size: (width, height) of the frames.
        clock: gives the frames' time.
        prefer_duplication: False to use GDI only.
    """

    def __init__(
        self, frame_size: tuple[int, int], clock: Clock | None = None, prefer_duplication: bool = True
    ) -> None:
        self._frame_size = frame_size
        self._clock: Clock = clock or MonotonicClock()
        self._prefer_duplication = prefer_duplication
        self._duplication: DuplicationGrabber | None = None
        self._gdi = GdiGrabber()
        self._region: Rect | None = None
        self.fallback_reason = ""
        """Why GDI is used instead of desktop duplication; "" when it is not."""

    def start(self) -> None:
        """Raises PlatformUnavailable."""
        self._gdi.start()
        self.fallback_reason = "" if self._prefer_duplication else "desktop duplication is switched off"
        if not self._prefer_duplication:
            return
        self._duplication = DuplicationGrabber()
        try:
            self._duplication.start()
        except PlatformUnavailable as error:
            self._give_up_duplication(str(error))

    def grab(self) -> Frame:
        """The picture as it is now. Raises CaptureLost."""
        pixels = self._pixels(self._region)
        t_ns = self._clock.now_ns()
        return Frame(t_ns, reduce(pixels, self._frame_size))

    def _pixels(self, region: Rect | None) -> RawPixels:
        if self._duplication is not None:
            try:
                if (found := self._duplication.grab(region)) is not None:
                    return found
            except CaptureLost as error:
                self._give_up_duplication(str(error))
        return self._gdi.grab(region)

    def _give_up_duplication(self, why: str) -> None:
        if self._duplication is not None:
            self._duplication.close()
        self._duplication = None
        self.fallback_reason = why

    def set_region(self, rect: Rect | None) -> None:
        """Capture (left, top, width, height) in physical pixels from now on; None for the whole screen."""
        self._region = rect

    def close(self) -> None:
        if self._duplication is not None:
            self._duplication.close()
            self._duplication = None
        self._gdi.close()

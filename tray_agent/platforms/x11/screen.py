"""ScreenSource on X11: grabs one region through shared memory and reduces it. Used by the thread that calls `grab`.

`set_region` may be called by another thread; it takes effect at the next grab.
"""

import contextlib
from typing import Protocol

import mss
import mss.exception
import numpy as np

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.media import Frame, Pixels
from tray_agent.core.reduce import RawPixels, bands, halvings, reduce
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.platforms.x11.xcb_halver import Rect
from tray_agent.platforms.x11.xcb_shm import XcbShm


class Grabber(Protocol):
    """Raw pictures of a screen."""

    def start(self) -> None: ...

    def size(self) -> tuple[int, int]:
        """(width, height) of the screen now. Raises CaptureLost."""
        ...

    def grab(self, rect: Rect) -> RawPixels | None:
        """BGRX of a rectangle within the screen; None when it is not within it. Raises CaptureLost."""
        ...

    def close(self) -> None: ...


class MssGrabber:
    """The same through mss: for servers without shared memory, such as remote ones."""

    def __init__(self, display_name: str | None) -> None:
        self._name = display_name
        self._mss: mss.MSS | None = None

    def start(self) -> None:
        """Connect. Raises PlatformUnavailable."""
        try:
            self._mss = mss.MSS(display=self._name) if self._name is not None else mss.MSS()
        except (mss.exception.ScreenShotError, OSError) as failure:
            raise PlatformUnavailable(
                f"mss can't capture the X display: {failure}", "Set DISPLAY to a running X server"
            ) from failure

    def size(self) -> tuple[int, int]:
        whole = self._started().monitors[0]
        return int(whole["width"]), int(whole["height"])

    def grab(self, rect: Rect) -> RawPixels | None:
        left, top, width, height = rect
        area = {"left": left, "top": top, "width": width, "height": height}
        try:
            shot = self._started().grab(area)
        except (mss.exception.ScreenShotError, OSError, AssertionError) as failure:  # the last one: a dead server
            raise CaptureLost(f"the X display that was captured has gone: {failure}") from failure
        return np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)

    def _started(self) -> mss.MSS:
        if self._mss is None:
            raise CaptureLost("the screen is not being captured: the source is not started")
        return self._mss

    def close(self) -> None:
        found, self._mss = self._mss, None
        if found is not None:
            with contextlib.suppress(
                mss.exception.ScreenShotError
            ):  # it disconnects first, then tells of a dead server
                found.close()


class X11ScreenSource:
    """Pictures of a region of the screen, reduced to `frame_size`.

    Args:
        frame_size: (width, height) of the frames.
        display_name: None for $DISPLAY.
        clock: gives the frames' time.
        grabber: None to choose: shared memory, else mss.
    """

    def __init__(
        self,
        frame_size: tuple[int, int],
        display_name: str | None = None,
        clock: Clock | None = None,
        grabber: Grabber | None = None,
    ) -> None:
        self._frame_size = frame_size
        self._name = display_name
        self._clock = clock or MonotonicClock()
        self._given = grabber
        self._grabber: Grabber | None = None
        self._region: Rect | None = None
        self.fallback_reason = ""
        """Why mss is used instead of shared memory; "" when it is not."""

    def start(self) -> None:
        """Connect. Raises PlatformUnavailable."""
        self.fallback_reason = ""
        self._grabber = self._given or self._choose()
        if self._given is not None:
            self._given.start()
        self._screen = self._grabber.size()

    def _choose(self) -> Grabber:
        quick = XcbShm(self._name)
        try:
            quick.start()
        except PlatformUnavailable as failure:
            slow = MssGrabber(self._name)
            slow.start()
            self.fallback_reason = str(failure)
            return slow
        return quick

    def set_region(self, rect: Rect | None) -> None:
        """Capture (left, top, width, height) in screen pixels from now on; None for the whole screen.

        What lies outside of the screen comes out black.
        """
        self._region = rect

    def grab(self) -> Frame:
        """The picture as it is now.

        Raises:
            CaptureLost: the display has gone, or the region lies wholly outside of the screen.
        """
        if self._grabber is None:
            raise CaptureLost("the screen is not being captured: the source is not started")
        return self._grab(self._grabber)

    def _grab(self, grabber: Grabber) -> Frame:
        region = self._region
        for _ in range(3):  # the screen may change its size between asking and grabbing
            self._screen = grabber.size()
            wanted = region or (0, 0, *self._screen)
            inside = _clip(wanted, self._screen)
            pixels = None
            if inside == wanted:
                pixels = self._whole(grabber, wanted)
            elif inside is not None and (part := grabber.grab(inside)) is not None:
                pixels = reduce(_on_black(part, inside, wanted), self._frame_size)
            if pixels is not None:
                return Frame(self._clock.now_ns(), pixels)
        raise CaptureLost(f"the region {region} is not on the screen, which has {self._screen} pixels")

    def _whole(self, grabber: Grabber, rect: Rect) -> Pixels | None:
        """The frame of a rectangle that is all on the screen; None when it is no longer."""
        if isinstance(grabber, XcbShm) and grabber.halves and halvings(rect[2:], self._frame_size):
            half = grabber.grab_halved(rect)
            return None if half is None else reduce(half, self._frame_size)
        return self._in_bands(grabber, rect)

    def _in_bands(self, grabber: Grabber, rect: Rect) -> Pixels | None:
        """Grab and reduce band by band: each is still in the cache when it is reduced."""
        left, top, width, height = rect
        frame_width, frame_height = self._frame_size
        count = bands(width, height, frame_height)
        rows, frame_rows = height // count, frame_height // count
        frame = np.empty((frame_height, frame_width, 3), np.uint8)
        for band in range(count):
            pixels = grabber.grab((left, top + band * rows, width, rows))
            if pixels is None:
                return None
            frame[band * frame_rows : (band + 1) * frame_rows] = reduce(pixels, (frame_width, frame_rows))
        return frame

    def close(self) -> None:
        """Disconnect; idempotent."""
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            grabber.close()


def _clip(rect: Rect, screen: tuple[int, int]) -> Rect | None:
    """The part of `rect` that is on the screen, None when nothing is."""
    left, top = max(0, rect[0]), max(0, rect[1])
    right, bottom = min(screen[0], rect[0] + rect[2]), min(screen[1], rect[1] + rect[3])
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _on_black(pixels: RawPixels, inside: Rect, wanted: Rect) -> RawPixels:
    canvas = np.zeros((wanted[3], wanted[2], 4), np.uint8)
    x, y = inside[0] - wanted[0], inside[1] - wanted[1]
    canvas[y : y + inside[3], x : x + inside[2]] = pixels
    return canvas

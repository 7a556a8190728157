"""A thin binding of libxcb's shared-memory grab (MIT-SHM 1.2), by ctypes.

XCB, not Xlib: when the server goes, Xlib ends the process, XCB returns an error. The shared memory is an anonymous
file that the kernel frees with its last user, so nothing is left behind by kill -9.
Used by one thread at a time.
"""

import mmap
import os
import sys
from ctypes import byref, c_int, c_void_p

import numpy as np

from tray_agent.core.reduce import RawPixels
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.platforms.x11.xcb import FALLBACK, Functions, Screen
from tray_agent.platforms.x11.xcb_halver import Halver, Rect, open_halver

_Z_PIXMAP = 2
_ALL_PLANES = 0xFFFFFFFF

__all__ = ["Rect", "XcbShm"]


class XcbShm:
    """Grabs rectangles of the root window into one piece of memory shared with the server."""

    def __init__(self, display_name: str | None) -> None:
        self._name = display_name
        self._connection: int | None = None
        self._halver: Halver | None = None
        self._memory: mmap.mmap | None = None
        self._segment = 0
        self._capacity = 0

    def start(self) -> None:
        """Connect and see that everything needed is there.

        Raises:
            PlatformUnavailable: libraries, display, MIT-SHM 1.2 or 24-bit colour are missing.
        """
        self._c = Functions()
        number = c_int(0)
        name = self._name.encode() if self._name is not None else None
        self._connection = self._c.xcb_connect(name, byref(number))
        try:
            self._check(number.value)
        except BaseException:
            self.close()
            raise

    def _check(self, screen_number: int) -> None:
        c = self._c
        where = self._name if self._name is not None else os.environ.get("DISPLAY", "")
        if c.xcb_connection_has_error(self._connection):
            raise PlatformUnavailable(f"The X display {where!r} can't be opened", "Set DISPLAY to a running X server")
        screen = self._screen(screen_number)
        self._root = int(screen.root)
        if screen.depth not in (24, 32):
            raise PlatformUnavailable(f"The X display {where!r} has {screen.depth}-bit colour", "Set it to 24 bits")
        extension = c.xcb_get_extension_data(self._connection, c.shm_id)
        if not extension or not extension.contents.present:
            raise PlatformUnavailable(f"The X display {where!r} lacks MIT-SHM", FALLBACK)
        version = c.xcb_shm_query_version_reply(self._connection, c.xcb_shm_query_version(self._connection), None)
        found = (version.contents.major, version.contents.minor) if version else (0, 0)
        c.free(version)
        if found < (1, 2):
            raise PlatformUnavailable(f"The X display {where!r} has MIT-SHM {found}, 1.2 is needed", FALLBACK)
        self._reserve(screen.width * screen.height * 4)
        self._halver = open_halver(c, self._connection or 0, self._root, int(screen.depth))

    def _screen(self, number: int) -> Screen:
        iterator = self._c.xcb_setup_roots_iterator(self._c.xcb_get_setup(self._connection))
        for _ in range(min(number, iterator.rem - 1)):
            self._c.xcb_screen_next(byref(iterator))
        return iterator.data.contents  # type: ignore[no-any-return]  # ctypes

    def _reserve(self, size: int) -> None:
        """Share at least `size` bytes with the server."""
        self._release_memory()
        descriptor = _memory_file()
        try:
            os.ftruncate(descriptor, size)
            self._memory = mmap.mmap(descriptor, size)
            self._segment = self._c.xcb_generate_id(self._connection)
            # libxcb closes the descriptor that it sends.
            cookie = self._c.xcb_shm_attach_fd_checked(self._connection, self._segment, os.dup(descriptor), 0)
        finally:
            os.close(descriptor)
        error = self._c.xcb_request_check(self._connection, cookie)
        self._c.free(error)
        if error:
            self._segment = 0
            raise PlatformUnavailable("The X server refused shared memory (it may run on another machine)", FALLBACK)
        self._capacity = size

    def size(self) -> tuple[int, int]:
        """(width, height) of the screen now. Raises CaptureLost."""
        c = self._c
        reply = c.xcb_get_geometry_reply(self._connection, c.xcb_get_geometry(self._connection, self._root), None)
        if not reply:
            raise CaptureLost("the X display that was captured has gone")
        found = (int(reply.contents.width), int(reply.contents.height))
        c.free(reply)
        return found

    @property
    def halves(self) -> bool:
        """Whether `grab_halved` works on this server."""
        return self._halver is not None

    def grab_halved(self, rect: Rect) -> RawPixels | None:
        """As `grab`, but averaged over every 2 x 2 pixels by the server: shape (height / 2, width / 2, 4).

        Raises:
            CaptureLost: the display has gone.
        """
        if self._halver is None:
            return None
        half = self._halver.draw(rect)
        return self._grab(half, (0, 0, rect[2] // 2, rect[3] // 2))

    def grab(self, rect: Rect) -> RawPixels | None:
        """The picture in `rect` (left, top, width, height), BGRX, shape (height, width, 4).

        It is a view of the shared memory: the next grab overwrites it.

        Returns:
            None when `rect` is not (any more) within the screen.

        Raises:
            CaptureLost: the display has gone.
        """
        return self._grab(self._root, rect)

    def _grab(self, drawable: int, rect: Rect) -> RawPixels | None:
        left, top, width, height = rect
        if width * height * 4 > self._capacity:
            self._reserve(width * height * 4)
        c = self._c
        cookie = c.xcb_shm_get_image(
            self._connection, drawable, left, top, width, height, _ALL_PLANES, _Z_PIXMAP, self._segment, 0
        )
        error = c_void_p(None)
        reply = c.xcb_shm_get_image_reply(self._connection, cookie, byref(error))
        c.free(reply)
        c.free(error)
        if not reply:
            if c.xcb_connection_has_error(self._connection):
                raise CaptureLost("the X display that was captured has gone")
            return None
        assert self._memory is not None  # noqa: S101  # reserved in start()
        flat = np.frombuffer(self._memory, np.uint8, width * height * 4)
        return flat.reshape(height, width, 4)

    def _release_memory(self) -> None:
        if self._segment:
            self._c.xcb_shm_detach(self._connection, self._segment)
        self._segment = 0
        # Not closed by hand: arrays of earlier grabs may still look into it, and go with it.
        self._memory = None

    def close(self) -> None:
        """Disconnect; idempotent."""
        if self._connection is not None:
            self._release_memory()
            self._c.xcb_disconnect(self._connection)
        self._connection = None
        self._halver = None


def _memory_file() -> int:
    """Descriptor of an empty file that is in no folder. Raises OSError."""
    if sys.platform == "linux":
        return os.memfd_create("tray-agent-capture", os.MFD_CLOEXEC)
    raise OSError("memory can be shared with the X server on Linux only")

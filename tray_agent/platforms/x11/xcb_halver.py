"""Halving a part of the screen within the X server, by the RENDER extension. Used by the thread that captures.

Sampling with a bilinear filter exactly between four pixels gives each a quarter: the mean of 2 x 2. A quarter of the
bytes cross over to us, and where a graphics card draws, it does the work.
"""

import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_int16, c_int32, c_uint8, c_uint16, c_uint32, c_void_p

from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.x11.xcb import Cookie, Functions, Signatures

Rect = tuple[int, int, int, int]
"""(left, top, width, height) in screen pixels."""

_DIRECT = 1
_SOURCE = 1  # the operator that replaces
_SUBWINDOW_MODE, _INCLUDE_INFERIORS = 1 << 8, 1
_ONE = 1 << 16  # 1.0 in 16.16 fixed point


class _Format(Structure):
    _fields_ = (
        ("id", c_uint32), ("type", c_uint8), ("depth", c_uint8), ("pad", c_uint16), ("shifts_masks", c_uint16 * 8),
        ("colormap", c_uint32),
    )  # fmt: skip


class _Transform(Structure):
    _fields_ = (("matrix", c_int32 * 9),)


class _Extension(Structure):
    _fields_ = (("name", c_char_p), ("global_id", c_int))


_SIGNATURES: Signatures = {
    "xcb_render_query_pict_formats": (Cookie, [c_void_p]),
    "xcb_render_query_pict_formats_reply": (c_void_p, [c_void_p, Cookie, c_void_p]),
    "xcb_render_query_pict_formats_formats": (POINTER(_Format), [c_void_p]),
    "xcb_render_query_pict_formats_formats_length": (c_int, [c_void_p]),
    "xcb_render_create_picture_checked": (Cookie, [c_void_p, c_uint32, c_uint32, c_uint32, c_uint32, c_void_p]),
    "xcb_render_free_picture": (Cookie, [c_void_p, c_uint32]),
    "xcb_render_set_picture_transform": (Cookie, [c_void_p, c_uint32, _Transform]),
    "xcb_render_set_picture_filter_checked": (Cookie, [c_void_p, c_uint32, c_uint16, c_char_p, c_uint32, c_void_p]),
    "xcb_render_composite": (
        Cookie,
        [c_void_p, c_uint8, c_uint32, c_uint32, c_uint32, *[c_int16] * 6, c_uint16, c_uint16],
    ),
}
_XRGB = (16, 0xFF, 8, 0xFF, 0, 0xFF)


class Halver:
    """Draws halves of parts of the root window into a pixmap of its own. Made by `open_halver`."""

    def __init__(self, functions: Functions, connection: int, root: int, depth: int, picture_format: int) -> None:
        self._c = functions
        self._connection = connection
        self._root = root
        self._depth = depth
        self._format = picture_format
        self._pixmap = self._target = 0
        self._rect: Rect | None = None
        self._screen = functions.xcb_generate_id(connection)

    def start(self) -> None:
        """Make a picture of the screen. Raises PlatformUnavailable."""
        c, values = self._c, c_uint32(_INCLUDE_INFERIORS)
        self._must(
            c.xcb_render_create_picture_checked(
                self._connection, self._screen, self._root, self._format, _SUBWINDOW_MODE, byref(values)
            )
        )
        self._must(c.xcb_render_set_picture_filter_checked(self._connection, self._screen, 8, b"bilinear", 0, None))

    def draw(self, rect: Rect) -> int:
        """Draw the half of `rect` (of even width and height); returns the pixmap that it is in."""
        if rect != self._rect:
            self._aim(rect)
        width, height = rect[2] // 2, rect[3] // 2
        self._c.xcb_render_composite(
            self._connection, _SOURCE, self._screen, 0, self._target, 0, 0, 0, 0, 0, 0, width, height
        )
        return self._pixmap

    def _aim(self, rect: Rect) -> None:
        c, left, top, width, height = self._c, *rect
        matrix = (2 * _ONE, 0, left * _ONE, 0, 2 * _ONE, top * _ONE, 0, 0, _ONE)
        c.xcb_render_set_picture_transform(self._connection, self._screen, _Transform((c_int32 * 9)(*matrix)))
        if self._pixmap:
            c.xcb_render_free_picture(self._connection, self._target)
            c.xcb_free_pixmap(self._connection, self._pixmap)
        self._pixmap = c.xcb_generate_id(self._connection)
        self._target = c.xcb_generate_id(self._connection)
        c.xcb_create_pixmap(self._connection, self._depth, self._pixmap, self._root, width // 2, height // 2)
        self._must(
            c.xcb_render_create_picture_checked(self._connection, self._target, self._pixmap, self._format, 0, None)
        )
        self._rect = rect

    def _must(self, cookie: Cookie) -> None:
        error = self._c.xcb_request_check(self._connection, cookie)
        self._c.free(error)
        if error:
            raise PlatformUnavailable("The X server refused to scale pictures")


def open_halver(functions: Functions, connection: int, root: int, depth: int) -> Halver | None:
    """A halver on this connection, None where the server or a library has no RENDER."""
    try:
        library = functions.load("xcb-render", _SIGNATURES)
        extension_id = ctypes.addressof(_Extension.in_dll(library, "xcb_render_id"))
        extension = functions.xcb_get_extension_data(connection, extension_id)
        if not extension or not extension.contents.present:
            return None
        picture_format = _find_format(functions, connection, depth)
        if not picture_format:
            return None
        halver = Halver(functions, connection, root, depth, picture_format)
        halver.start()
    except PlatformUnavailable:
        return None
    return halver


def _find_format(functions: Functions, connection: int, depth: int) -> int:
    """Id of the server's format of 8-bit RGB at `depth`, 0 when there is none."""
    cookie = functions.xcb_render_query_pict_formats(connection)
    reply = functions.xcb_render_query_pict_formats_reply(connection, cookie, None)
    if not reply:
        return 0
    formats = functions.xcb_render_query_pict_formats_formats(reply)
    found = 0
    for i in range(functions.xcb_render_query_pict_formats_formats_length(reply)):
        one = formats[i]
        if one.type == _DIRECT and one.depth == depth and tuple(one.shifts_masks[:6]) == _XRGB:
            found = int(one.id)
            break
    functions.free(reply)
    return found

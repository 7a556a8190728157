"""What is needed of libxcb, by ctypes: structures, signatures, and the functions looked up. Owns no connection."""

import ctypes
import ctypes.util
from ctypes import POINTER, Structure, c_char_p, c_int, c_int16, c_uint8, c_uint16, c_uint32, c_void_p
from typing import Any

from tray_agent.errors import PlatformUnavailable

FALLBACK = "Capture falls back to mss"


class Screen(Structure):
    _fields_ = (
        ("root", c_uint32), ("colormap", c_uint32), ("white", c_uint32), ("black", c_uint32),
        ("masks", c_uint32), ("width", c_uint16), ("height", c_uint16), ("width_mm", c_uint16),
        ("height_mm", c_uint16), ("min_maps", c_uint16), ("max_maps", c_uint16), ("visual", c_uint32),
        ("backing", c_uint8), ("save_unders", c_uint8), ("depth", c_uint8), ("depths", c_uint8),
    )  # fmt: skip


class ScreenIterator(Structure):
    _fields_ = (("data", POINTER(Screen)), ("rem", c_int), ("index", c_int))


class Cookie(Structure):
    _fields_ = (("sequence", c_uint32),)


class Extension(Structure):
    _fields_ = (("name", c_char_p), ("global_id", c_int))


class ExtensionReply(Structure):
    _fields_ = (
        ("response", c_uint8), ("pad", c_uint8), ("sequence", c_uint16), ("length", c_uint32), ("present", c_uint8),
    )  # fmt: skip


class VersionReply(Structure):
    _fields_ = (
        ("response", c_uint8), ("pixmaps", c_uint8), ("sequence", c_uint16), ("length", c_uint32),
        ("major", c_uint16), ("minor", c_uint16),
    )  # fmt: skip


class GeometryReply(Structure):
    _fields_ = (
        ("response", c_uint8), ("depth", c_uint8), ("sequence", c_uint16), ("length", c_uint32), ("root", c_uint32),
        ("x", c_int16), ("y", c_int16), ("width", c_uint16), ("height", c_uint16),
    )  # fmt: skip


Signatures = dict[str, tuple[Any, list[Any]]]
"""Function name -> (result type, argument types)."""

SIGNATURES: dict[str, Signatures] = {
    "xcb": {
        "xcb_connect": (c_void_p, [c_char_p, POINTER(c_int)]),
        "xcb_connection_has_error": (c_int, [c_void_p]),
        "xcb_disconnect": (None, [c_void_p]),
        "xcb_get_setup": (c_void_p, [c_void_p]),
        "xcb_setup_roots_iterator": (ScreenIterator, [c_void_p]),
        "xcb_screen_next": (None, [POINTER(ScreenIterator)]),
        "xcb_generate_id": (c_uint32, [c_void_p]),
        "xcb_get_extension_data": (POINTER(ExtensionReply), [c_void_p, c_void_p]),
        "xcb_request_check": (c_void_p, [c_void_p, Cookie]),
        "xcb_create_pixmap": (Cookie, [c_void_p, c_uint8, c_uint32, c_uint32, c_uint16, c_uint16]),
        "xcb_free_pixmap": (Cookie, [c_void_p, c_uint32]),
        "xcb_get_geometry": (Cookie, [c_void_p, c_uint32]),
        "xcb_get_geometry_reply": (POINTER(GeometryReply), [c_void_p, Cookie, c_void_p]),
    },
    "xcb-shm": {
        "xcb_shm_query_version": (Cookie, [c_void_p]),
        "xcb_shm_query_version_reply": (POINTER(VersionReply), [c_void_p, Cookie, c_void_p]),
        "xcb_shm_attach_fd_checked": (Cookie, [c_void_p, c_uint32, c_int, c_uint8]),
        "xcb_shm_detach": (Cookie, [c_void_p, c_uint32]),
        "xcb_shm_get_image": (
            Cookie,
            [c_void_p, c_uint32, c_int16, c_int16, c_uint16, c_uint16, c_uint32, c_uint8, c_uint32, c_uint32],
        ),
        "xcb_shm_get_image_reply": (c_void_p, [c_void_p, Cookie, POINTER(c_void_p)]),
    },
}


class Functions:
    """C functions of libxcb and its extensions, looked up once per connection."""

    def __init__(self) -> None:
        for library, functions in SIGNATURES.items():
            handle = self.load(library, functions)
        self.shm_id = ctypes.addressof(Extension.in_dll(handle, "xcb_shm_id"))
        self.free = ctypes.CDLL(None).free
        self.free.restype, self.free.argtypes = None, [c_void_p]

    def load(self, library: str, functions: Signatures) -> ctypes.CDLL:
        """Make the functions of one more library attributes of this object. Raises PlatformUnavailable."""
        path = ctypes.util.find_library(library)
        if path is None:
            raise PlatformUnavailable(f"lib{library} is not installed", FALLBACK)
        handle = ctypes.CDLL(path)
        for name, (result, arguments) in functions.items():
            function = getattr(handle, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        return handle

    def __getattr__(self, name: str) -> Any:  # the functions set above
        raise AttributeError(name)

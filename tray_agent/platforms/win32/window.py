"""The window in front, in physical pixels, and whether Windows lets us press keys in it (standard library only).

No state of its own but the calls; usable from any one thread.
"""

import ctypes
import re

from tray_agent.core.events import WindowInfo
from tray_agent.platforms.win32 import structs
from tray_agent.platforms.win32.api import Api, Caller, NativeCaller

_TITLE_CHARS, _PATH_CHARS = 512, 1024
_INTEGRITY_AUTHORITY = bytes((1, 1, 0, 0, 0, 0, 0, 16))
_SID_OFFSET = 16
_U32 = 0xFFFF_FFFF


def use_physical_pixels(api: Api) -> None:
    """Have Windows give this process true pixels on every monitor; must come before windows and captures are made."""
    mode = structs.DPI_AWARENESS_CONTEXT_PER_MONITOR_AWARE_V2
    if not api.boolean("user32.SetProcessDpiAwarenessContext", mode):
        # Already decided by a manifest or a library: then at least this thread.
        api.caller.call("user32.SetThreadDpiAwarenessContext", mode)


def active_window(api: Api) -> WindowInfo | None:
    """The window in front, None when there is none (locked, switching)."""
    handle = api.foreground()
    if not handle:
        return None
    pid = window_pid(api, handle)
    return WindowInfo(handle, process_name(api, pid), _title(api, handle), _client_rect(api, handle), pid)


def window_pid(api: Api, handle: int) -> int:
    """Process that owns a window, 0 when the window is gone."""
    pid = (ctypes.c_uint32 * 1)()
    api.caller.call("user32.GetWindowThreadProcessId", handle, pid)
    return pid[0]


def _title(api: Api, handle: int) -> str:
    buffer = (ctypes.c_uint16 * _TITLE_CHARS)()
    # Asks no other program, so one that hangs can't hold the guard up.
    length = api.caller.call("user32.InternalGetWindowText", handle, buffer, _TITLE_CHARS) & _U32
    return _utf16(buffer, length)


def _utf16(buffer: ctypes.Array[ctypes.c_uint16], length: int) -> str:
    return bytes(buffer)[: 2 * length].decode("utf-16-le", errors="replace")


def _client_rect(api: Api, handle: int) -> tuple[int, int, int, int]:
    rect, origin = structs.RECT(), structs.POINT()
    api.caller.call("user32.GetClientRect", handle, rect)
    api.caller.call("user32.ClientToScreen", handle, origin)
    return int(origin.x), int(origin.y), int(rect.right), int(rect.bottom)


def process_name(api: Api, pid: int) -> str:
    """Name of a process's program without folder and ".exe", "" when Windows does not tell."""
    process = api.caller.call("kernel32.OpenProcess", structs.PROCESS_QUERY_LIMITED_INFORMATION, 0, pid)
    if not process:
        return ""
    buffer, size = (ctypes.c_uint16 * _PATH_CHARS)(), (ctypes.c_uint32 * 1)(_PATH_CHARS)
    ok = api.boolean("kernel32.QueryFullProcessImageNameW", process, 0, buffer, size)
    api.close_handle(process)
    path = _utf16(buffer, size[0]) if ok else ""
    return re.sub(r"\.exe$", "", path.rpartition("\\")[2], flags=re.IGNORECASE)


def integrity_level(api: Api, pid: int) -> int | None:
    """Integrity level of a process (0x2000 usual, 0x3000 administrator), None when Windows does not tell."""
    process = api.caller.call("kernel32.OpenProcess", structs.PROCESS_QUERY_LIMITED_INFORMATION, 0, pid)
    if not process:
        return None
    token = (ctypes.c_uint64 * 1)()
    opened = api.boolean("advapi32.OpenProcessToken", process, structs.TOKEN_QUERY, token)
    api.close_handle(process)
    if not opened:
        return None
    label, length = (ctypes.c_char * 64)(), (ctypes.c_uint32 * 1)()
    known = api.boolean("advapi32.GetTokenInformation", token[0], structs.TOKEN_INTEGRITY_LEVEL, label, 64, length)
    api.close_handle(token[0])
    return _level_of(bytes(label)) if known else None


def _level_of(label: bytes) -> int | None:
    """TOKEN_MANDATORY_LABEL: pointer and attributes, and right behind them the SID S-1-16-level."""
    end = _SID_OFFSET + len(_INTEGRITY_AUTHORITY)
    if label[_SID_OFFSET:end] != _INTEGRITY_AUTHORITY:
        return None
    return int.from_bytes(label[end : end + 4], "little")


def why_unreachable(api: Api, handle: int) -> str:
    """Why Windows would silently drop our keys for this window (it runs with more rights than we), or ""."""
    pid = window_pid(api, handle)
    ours, theirs = integrity_level(api, api.caller.call("kernel32.GetCurrentProcessId")), integrity_level(api, pid)
    if ours is None or (theirs is not None and theirs <= ours):
        return ""
    if theirs is None:
        return f"Windows does not tell the rights of process {pid}; it may run as administrator or be protected"
    return f"{process_name(api, pid)!r} runs as administrator and this program does not"


class Win32WindowProbe:
    """WindowProbe port."""

    def __init__(self, caller: Caller | None = None) -> None:
        self._api = Api(caller or NativeCaller())

    def start(self) -> None:
        """Raises PlatformUnavailable."""
        self._api.caller.start()
        use_physical_pixels(self._api)

    def active(self) -> WindowInfo | None:
        return active_window(self._api)

    def close(self) -> None:
        """Nothing is held."""

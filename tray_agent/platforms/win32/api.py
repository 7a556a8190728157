"""The only door to Windows: calls by name with integers and buffers (standard library only).

`NativeCaller` performs them in this process; it touches `ctypes.WinDLL` in `start()` only. A caller is an object, so
that the tests can drive the same backends through Wine's real user32 from another system. Used by whichever one
thread owns the object: Windows ties message windows, hotkeys and their queue to the thread that made them.
"""

import ctypes
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.win32 import structs

Argument = int | ctypes.Structure | ctypes.Array[Any] | None
_U32, _U64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF


class Caller(Protocol):
    """Performs Windows calls."""

    def start(self) -> None:
        """Make calls possible. Raises PlatformUnavailable."""
        ...

    def call(self, function: str, *args: Argument) -> int:
        """Call "dll.Function"; structures and arrays go by reference and are filled in. Returns the raw 64 bits."""
        ...

    def last_error(self) -> int:
        """Error code of the latest call."""
        ...

    def handle_of(self, fd: int) -> int:
        """OS handle behind a C file descriptor. Raises OSError."""
        ...


class NativeCaller:
    """Calls in this process. Needs 64-bit Windows."""

    def __init__(self) -> None:
        self._dlls: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}

    def start(self) -> None:
        if ctypes.sizeof(ctypes.c_void_p) != 8:
            raise PlatformUnavailable("this Python is 32-bit", "Install 64-bit Python.")
        if sys.platform == "win32":
            for name in ("user32", "kernel32", "advapi32"):
                self._dlls[name] = ctypes.WinDLL(name, use_last_error=True)
        else:
            raise PlatformUnavailable("the Windows backend was started on " + sys.platform)

    def call(self, function: str, *args: Argument) -> int:
        entry = self._functions.get(function)
        if entry is None:
            dll, _, name = function.partition(".")
            entry = getattr(self._dlls[dll], name)
            entry.restype = ctypes.c_uint64
            self._functions[function] = entry
        return int(entry(*(_native(a) for a in args)))

    def last_error(self) -> int:
        return int(getattr(ctypes, "get_last_error", int)())

    def handle_of(self, fd: int) -> int:
        if sys.platform == "win32":
            import msvcrt

            return msvcrt.get_osfhandle(fd)
        raise OSError("file descriptors have handles on Windows only")


def _native(argument: Argument) -> Any:
    """As a 64-bit register: in that calling convention narrower parameters are its low part."""
    if argument is None or isinstance(argument, int):
        return ctypes.c_uint64((argument or 0) & _U64)
    return ctypes.byref(argument)


def text(value: str) -> ctypes.Array[Any]:
    """UTF-16 string with its end mark, as an argument."""
    raw = value.encode("utf-16-le") + b"\0\0"
    return (ctypes.c_char * len(raw)).from_buffer_copy(raw)


class Api:
    """The calls for input, messages, hotkeys and waiting, with their return values made sense of."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def boolean(self, function: str, *args: Argument) -> bool:
        """Call something that returns BOOL."""
        return self.caller.call(function, *args) & _U32 != 0

    def send_input(self, inputs: Sequence[structs.INPUT]) -> None:
        """Inject events, in order, as one uninterrupted batch.

        Raises OSError: Windows took none or not all (another program blocks input, or no desktop is shown).
        """
        if not inputs:
            return
        array = (structs.INPUT * len(inputs))(*inputs)
        size = ctypes.sizeof(structs.INPUT)
        sent = self.caller.call("user32.SendInput", len(inputs), array, size) & _U32
        if sent != len(inputs):
            raise OSError(
                f"SendInput took {sent} of {len(inputs)} events (Windows error {self.caller.last_error()}); "
                "unlock the screen, close the administrator prompt or the program that blocks input"
            )

    def create_message_window(self) -> int:
        """Handle of an invisible window that only gets messages. Raises PlatformUnavailable."""
        # A system class needs no window procedure of ours: all messages in use are posted and read from the queue.
        window = self.caller.call(
            "user32.CreateWindowExW",
            0, text("STATIC"), text("tray-agent input"), 0, 0, 0, 0, 0, structs.HWND_MESSAGE, 0, 0, 0,
        )  # fmt: skip
        if not window:
            code = self.caller.last_error()
            raise PlatformUnavailable(f"Windows gave no message window (error {code})", "Sign out and in again.")
        return window

    def destroy_window(self, window: int) -> None:
        self.caller.call("user32.DestroyWindow", window)

    def listen_raw(self, window: int) -> None:
        """Have keyboard and mouse events of all programs posted to `window`. Raises PlatformUnavailable."""
        if not self._register_raw(structs.RIDEV_INPUTSINK, window):
            code = self.caller.last_error()
            raise PlatformUnavailable(f"Raw Input could not be registered (Windows error {code})")

    def stop_raw(self) -> None:
        self._register_raw(structs.RIDEV_REMOVE, 0)

    def _register_raw(self, flags: int, window: int) -> bool:
        page = structs.HID_USAGE_PAGE_GENERIC
        devices = (structs.RAWINPUTDEVICE * 2)(
            structs.RAWINPUTDEVICE(page, structs.HID_USAGE_KEYBOARD, flags, window),
            structs.RAWINPUTDEVICE(page, structs.HID_USAGE_MOUSE, flags, window),
        )
        size = ctypes.sizeof(structs.RAWINPUTDEVICE)
        return self.boolean("user32.RegisterRawInputDevices", devices, 2, size)

    def next_message(self) -> structs.MSG | None:
        """Oldest message of this thread's queue, None when it is empty."""
        message = structs.MSG()
        found = self.boolean("user32.PeekMessageW", message, 0, 0, 0, structs.PM_REMOVE)
        return message if found else None

    def take_raw(self, message: structs.MSG) -> structs.RAWINPUT | None:
        """Event of a WM_INPUT message, None if Windows no longer has it; frees Windows' copy."""
        raw, size = structs.RAWINPUT(), (ctypes.c_uint32 * 1)(ctypes.sizeof(structs.RAWINPUT))
        head = ctypes.sizeof(structs.RAWINPUTHEADER)
        got = self.caller.call("user32.GetRawInputData", message.lParam, structs.RID_INPUT, raw, size, head) & _U32
        self.caller.call("user32.DefWindowProcW", message.hwnd, message.message, message.wParam, message.lParam)
        return raw if head < got <= ctypes.sizeof(structs.RAWINPUT) else None

    def wait(self, timeout_ms: int, handle: int = 0) -> bool:
        """Sleep until a message comes, `handle` (if any) is signalled or the time is over; False: waiting failed."""
        handles = (ctypes.c_uint64 * 1)(handle)
        count = 1 if handle else 0
        result = self.caller.call(
            "user32.MsgWaitForMultipleObjectsEx",
            count, handles, timeout_ms, structs.QS_ALLINPUT, structs.MWMO_INPUTAVAILABLE,
        )  # fmt: skip
        return result & _U32 != structs.WAIT_FAILED

    def create_timer(self) -> int:
        """A timer finer than the 15.6 ms of plain time-outs; 0 before Windows 10 1803."""
        flags = structs.CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
        return self.caller.call("kernel32.CreateWaitableTimerExW", None, None, flags, structs.TIMER_ALL_ACCESS)

    def set_timer(self, timer: int, seconds: float) -> bool:
        due = (ctypes.c_int64 * 1)(-max(1, round(seconds * 1e7)))
        return self.boolean("kernel32.SetWaitableTimer", timer, due, 0, None, None, 0)

    def close_handle(self, handle: int) -> None:
        self.caller.call("kernel32.CloseHandle", handle)

    def register_hotkey(self, window: int, number: int, modifiers: int, virtual_key: int) -> int:
        """0, or the Windows error."""
        if self.boolean("user32.RegisterHotKey", window, number, modifiers | structs.MOD_NOREPEAT, virtual_key):
            return 0
        return self.caller.last_error() or -1

    def unregister_hotkey(self, window: int, number: int) -> None:
        self.caller.call("user32.UnregisterHotKey", window, number)

    def is_down(self, virtual_key: int) -> bool:
        """Whether a key or mouse button is down now, by whomever."""
        return self.caller.call("user32.GetAsyncKeyState", virtual_key) & 0x8000 != 0

    def virtual_key(self, code: int, extended: bool) -> int:
        """Virtual key of a scan code on the present layout, 0 when it has none."""
        wanted = code | (0xE000 if extended else 0)
        return self.caller.call("user32.MapVirtualKeyW", wanted, structs.MAPVK_VSC_TO_VK_EX) & _U32

    def metric(self, index: int) -> int:
        """GetSystemMetrics, for example the screen's width."""
        return ctypes.c_int32(self.caller.call("user32.GetSystemMetrics", index) & _U32).value

    def foreground(self) -> int:
        """Handle of the window in front, 0 when there is none (locked, switching)."""
        return self.caller.call("user32.GetForegroundWindow")

    def commands_ready(self, fd: int) -> bool:
        """Whether reading the pipe `fd` would return at once: bytes, its end, or an error to be found there."""
        try:
            handle = self.caller.handle_of(fd)
        except OSError:
            return True
        waiting = (ctypes.c_uint32 * 1)()
        ok = self.boolean("kernel32.PeekNamedPipe", handle, None, 0, None, waiting, None)
        return not ok or waiting[0] > 0

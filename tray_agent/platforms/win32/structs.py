"""Binary layout of the Win32 structures and constants in use (standard library only; 64-bit Windows).

Fixed-width types, because `c_ulong` is 8 bytes on Linux and 4 on Windows: so the layout is the same wherever this
module is imported, and the tests compare it with the real headers on any system. Handles and pointers are `c_uint64`.
"""

import ctypes
from ctypes import c_int16, c_int32, c_uint16, c_uint32, c_uint64

# SendInput
INPUT_MOUSE, INPUT_KEYBOARD = 0, 1
KEYEVENTF_EXTENDEDKEY, KEYEVENTF_KEYUP, KEYEVENTF_SCANCODE = 0x1, 0x2, 0x8
MOUSEEVENTF_MOVE = 0x1
MOUSEEVENTF_LEFTDOWN, MOUSEEVENTF_LEFTUP = 0x2, 0x4
MOUSEEVENTF_RIGHTDOWN, MOUSEEVENTF_RIGHTUP = 0x8, 0x10
MOUSEEVENTF_MIDDLEDOWN, MOUSEEVENTF_MIDDLEUP = 0x20, 0x40
MOUSEEVENTF_XDOWN, MOUSEEVENTF_XUP = 0x80, 0x100
MOUSEEVENTF_WHEEL, MOUSEEVENTF_HWHEEL = 0x800, 0x1000
XBUTTON1, XBUTTON2 = 1, 2
WHEEL_DELTA = 120

# Raw Input
RIM_TYPEMOUSE, RIM_TYPEKEYBOARD = 0, 1
RIDEV_REMOVE, RIDEV_INPUTSINK = 0x1, 0x100
RID_INPUT = 0x10000003
RI_KEY_BREAK, RI_KEY_E0, RI_KEY_E1 = 1, 2, 4
MOUSE_MOVE_ABSOLUTE, MOUSE_VIRTUAL_DESKTOP = 0x1, 0x2
RI_MOUSE_WHEEL, RI_MOUSE_HWHEEL = 0x400, 0x800
HID_USAGE_PAGE_GENERIC, HID_USAGE_MOUSE, HID_USAGE_KEYBOARD = 1, 2, 6

# Messages, hotkeys, waiting
WM_INPUT, WM_HOTKEY = 0x00FF, 0x0312
HWND_MESSAGE = -3
PM_REMOVE = 1
QS_ALLINPUT = 0x04FF
MWMO_INPUTAVAILABLE = 4
WAIT_FAILED = 0xFFFFFFFF
MOD_ALT, MOD_CONTROL, MOD_SHIFT, MOD_WIN, MOD_NOREPEAT = 0x1, 0x2, 0x4, 0x8, 0x4000
MAPVK_VSC_TO_VK_EX = 3
ERROR_ACCESS_DENIED, ERROR_HOTKEY_ALREADY_REGISTERED = 5, 1409
CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, TIMER_ALL_ACCESS = 0x2, 0x1F0003

# Windows, processes, tokens
SM_CXSCREEN, SM_CYSCREEN, SM_CXVIRTUALSCREEN, SM_CYVIRTUALSCREEN = 0, 1, 78, 79
PROCESS_QUERY_LIMITED_INFORMATION = 0x1000
TOKEN_QUERY, TOKEN_INTEGRITY_LEVEL = 0x8, 25
DPI_AWARENESS_CONTEXT_PER_MONITOR_AWARE_V2 = -4


class MOUSEINPUT(ctypes.Structure):
    """One mouse event to send."""

    _fields_ = (
        ("dx", c_int32),
        ("dy", c_int32),
        ("mouseData", c_uint32),
        ("dwFlags", c_uint32),
        ("time", c_uint32),
        ("dwExtraInfo", c_uint64),
    )


class KEYBDINPUT(ctypes.Structure):
    """One key event to send."""

    _fields_ = (
        ("wVk", c_uint16),
        ("wScan", c_uint16),
        ("dwFlags", c_uint32),
        ("time", c_uint32),
        ("dwExtraInfo", c_uint64),
    )


class INPUTUNION(ctypes.Union):
    """Body of an INPUT; its unused third member is smaller than these."""

    _fields_ = (("mi", MOUSEINPUT), ("ki", KEYBDINPUT))


class INPUT(ctypes.Structure):
    """Element of the array that SendInput takes."""

    _fields_ = (("type", c_uint32), ("u", INPUTUNION))


class RAWINPUTDEVICE(ctypes.Structure):
    """What to listen to, for RegisterRawInputDevices."""

    _fields_ = (
        ("usUsagePage", c_uint16),
        ("usUsage", c_uint16),
        ("dwFlags", c_uint32),
        ("hwndTarget", c_uint64),
    )


class RAWINPUTHEADER(ctypes.Structure):
    """Head of a raw event; `hDevice` is 0 for injected ones, and for some touchpads."""

    _fields_ = (
        ("dwType", c_uint32),
        ("dwSize", c_uint32),
        ("hDevice", c_uint64),
        ("wParam", c_uint64),
    )


class RAWMOUSE(ctypes.Structure):
    """Body of a raw mouse event."""

    _fields_ = (
        ("usFlags", c_uint16),
        ("_pad", c_uint16),
        ("usButtonFlags", c_uint16),
        ("usButtonData", c_int16),
        ("ulRawButtons", c_uint32),
        ("lLastX", c_int32),
        ("lLastY", c_int32),
        ("ulExtraInformation", c_uint32),
    )


class RAWKEYBOARD(ctypes.Structure):
    """Body of a raw key event."""

    _fields_ = (
        ("MakeCode", c_uint16),
        ("Flags", c_uint16),
        ("Reserved", c_uint16),
        ("VKey", c_uint16),
        ("Message", c_uint32),
        ("ExtraInformation", c_uint32),
    )


class RAWINPUTUNION(ctypes.Union):
    """Bodies in use (raw HID reports are not asked for)."""

    _fields_ = (("mouse", RAWMOUSE), ("keyboard", RAWKEYBOARD))


class RAWINPUT(ctypes.Structure):
    """One raw event."""

    _fields_ = (("header", RAWINPUTHEADER), ("data", RAWINPUTUNION))


class POINT(ctypes.Structure):
    """Screen position."""

    _fields_ = (("x", c_int32), ("y", c_int32))


class RECT(ctypes.Structure):
    """Rectangle; right and bottom are outside."""

    _fields_ = (("left", c_int32), ("top", c_int32), ("right", c_int32), ("bottom", c_int32))


class MSG(ctypes.Structure):
    """One message of the thread's queue."""

    _fields_ = (
        ("hwnd", c_uint64),
        ("message", c_uint32),
        ("wParam", c_uint64),
        ("lParam", c_uint64),
        ("time", c_uint32),
        ("pt", POINT),
    )

"""The window in front on X11, by EWMH, with the input focus as fallback. Used by one thread per object.

`find_active` is shared with the guard's backend; it imports nothing but the standard library and python-xlib.
"""

import socket
from pathlib import Path

from Xlib import X, Xatom, error
from Xlib.display import Display
from Xlib.ext import res
from Xlib.xobject.drawable import Window

from tray_agent.core.events import WindowInfo
from tray_agent.errors import CaptureLost
from tray_agent.platforms.x11 import connection

_DELETED = " (deleted)"


def find_active(display: Display) -> WindowInfo | None:
    """The window in front, None when there is none.

    Raises:
        ConnectionClosedError: the display has gone.
    """
    try:
        window = _active_window(display)
        return describe(display, window) if window is not None else None
    except error.XError:  # it went away while being asked
        return None


def describe(display: Display, window: Window) -> WindowInfo:
    """Process, title and client rectangle of a window.

    Raises:
        XError: the window has gone.
    """
    geometry = window.get_geometry()
    root = display.screen().root
    origin = root.translate_coords(window, 0, 0)
    pid = _pid(display, window)
    rect = (int(origin.x), int(origin.y), int(geometry.width), int(geometry.height))
    handle = int(window.id)
    return WindowInfo(handle, process_name(pid), _title(display, window), rect, pid)


def process_name(pid: int) -> str:
    """File name of the program that process `pid` runs; "" when it can't be told."""
    if pid <= 0:
        return ""
    folder = Path("/proc") / str(pid)
    try:
        return (folder / "exe").readlink().name.removesuffix(_DELETED)
    except OSError:  # another user's process: its short name is still readable
        pass
    try:
        return (folder / "comm").read_text().strip()
    except OSError:
        return ""


def _active_window(display: Display) -> Window | None:
    root = display.screen().root
    atom = display.get_atom("_NET_ACTIVE_WINDOW")
    found = root.get_full_property(atom, Xatom.WINDOW)
    if found is not None and len(found.value):
        number = int(found.value[0])
        return display.create_resource_object("window", number) if number else None
    return _focused_window(display)


def _focused_window(display: Display) -> Window | None:
    """Without a window manager: the window that has the input focus, or the one under the pointer."""
    root = display.screen().root
    focus = display.get_input_focus().focus
    if focus == X.NONE:
        return None
    if focus == X.PointerRoot or focus.id == root.id:
        child = root.query_pointer().child
        return child or None
    while (parent := focus.query_tree().parent) and parent.id != root.id:
        focus = parent
    return focus


def _title(display: Display, window: Window) -> str:
    for name, kind in (("_NET_WM_NAME", display.get_atom("UTF8_STRING")), ("WM_NAME", X.AnyPropertyType)):
        found = window.get_full_property(display.get_atom(name), kind)
        if found is not None and found.value:
            return _text(found.value)
    return ""


def _pid(display: Display, window: Window) -> int:
    """Process of a window: as the server knows it, else as the window says; 0 for another machine's."""
    if display.has_extension(res.extname) and (pid := _pid_by_server(display, window)):
        return pid
    found = window.get_full_property(display.get_atom("_NET_WM_PID"), Xatom.CARDINAL)
    if found is None or not len(found.value):
        return 0
    machine = window.get_full_property(Xatom.WM_CLIENT_MACHINE, X.AnyPropertyType)
    here = socket.gethostname()
    if machine is not None and machine.value and _text(machine.value) not in (here, "localhost"):
        return 0
    return int(found.value[0])


def _text(value: object) -> str:
    """Window properties are UTF-8 or Latin-1, whatever their type says."""
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _pid_by_server(display: Display, window: Window) -> int:
    spec = {"client": window.id, "mask": res.LocalClientPIDMask}
    try:
        reply = display.res_query_client_ids([spec])
    except error.XError:
        return 0
    return next((int(found.value[0]) for found in reply.ids if len(found.value)), 0)


class X11WindowProbe:
    """Tells which window is in front."""

    def __init__(self, display_name: str | None = None) -> None:
        self._name = display_name
        self._display: Display | None = None

    def start(self) -> None:
        """Connect. Raises PlatformUnavailable."""
        self._display = connection.open_display(self._name)

    def active(self) -> WindowInfo | None:
        """The window in front, None when there is none.

        Raises:
            CaptureLost: the display has gone.
        """
        if self._display is None:
            raise CaptureLost("the window in front is not known: the probe is not started")
        try:
            return find_active(self._display)
        except connection.LOST as failure:
            raise CaptureLost(f"the X display has gone: {failure}") from failure

    def close(self) -> None:
        """Disconnect; idempotent."""
        display, self._display = self._display, None
        connection.close(display)

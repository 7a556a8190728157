"""Finds who would show our icon: a StatusNotifier host, an XEmbed tray, or the system itself (Windows, macOS).

Owns nothing; each question opens and closes its own connection. Main thread before the icon runs, the tray's
link thread afterwards.
"""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tray_agent.errors import PlatformUnavailable

_WATCHER = "org.kde.StatusNotifierWatcher"
_BUS_TIMEOUT_MS = 1000

HostKind = Literal["status-notifier", "xembed", "native"]


@dataclass(frozen=True)
class Host:
    """Who shows icons. `identity` changes when another program takes over."""

    kind: HostKind
    identity: str


def has_display() -> bool:
    """Whether there is a graphical session to speak to at all."""
    on_x_or_wayland = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return on_x_or_wayland or sys.platform != "linux"


def has_session_bus() -> bool:
    """Whether D-Bus can be asked without starting a bus by the way."""
    if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return True
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return runtime is not None and Path(runtime, "bus").exists()


def find() -> Host | None:
    """The host that would show an icon now; None when there is none (one may come later)."""
    native = Host("native", sys.platform) if sys.platform != "linux" else None
    return native or _status_notifier() or _xembed()


def _status_notifier() -> Host | None:
    if not has_session_bus():
        return None
    try:
        from gi.repository import Gio, GLib
    except ImportError:  # without gi there is no backend that could use this host
        return None
    with contextlib.suppress(GLib.Error):
        bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)

        def ask(destination: str, path: str, method: tuple[str, str], arguments: "GLib.Variant") -> "GLib.Variant":
            return bus.call_sync(
                destination, path, *method, arguments, None, Gio.DBusCallFlags.NO_AUTO_START, _BUS_TIMEOUT_MS, None
            )

        dbus = "org.freedesktop.DBus"
        owner = ask(dbus, "/org/freedesktop/DBus", (dbus, "GetNameOwner"), GLib.Variant("(s)", (_WATCHER,)))
        wanted = GLib.Variant("(ss)", (_WATCHER, "IsStatusNotifierHostRegistered"))
        shown = ask(_WATCHER, "/StatusNotifierWatcher", ("org.freedesktop.DBus.Properties", "Get"), wanted)
        if shown.unpack()[0]:
            return Host("status-notifier", str(owner.unpack()[0]))
    return None


def _xembed() -> Host | None:
    from Xlib import X

    from tray_agent.platforms.x11 import connection

    try:
        display = connection.open_display(None)
    except PlatformUnavailable:
        return None
    try:
        selection = display.get_atom(f"_NET_SYSTEM_TRAY_S{display.get_default_screen()}")
        owner = display.get_selection_owner(selection)
    except connection.LOST:
        return None
    finally:
        connection.close(display)
    return None if owner == X.NONE else Host("xembed", f"{owner.id:#x}")

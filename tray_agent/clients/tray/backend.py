"""pystray, with the faults of its Linux backends mended. Loaded late: importing it connects to the display.

| backend | used for | mended |
|---|---|---|
| appindicator | StatusNotifier hosts | |
| gtk | XEmbed trays | |
| both of gtk | | a missing session bus or notification service, a dying tray neither end nor block them |
| xorg | XEmbed trays, without gi | its window never asked for clicks; has no menu |
"""

import contextlib
import importlib
import os
import sys
from types import ModuleType
from typing import Any

from tray_agent.clients.tray.events import tell
from tray_agent.clients.tray.hosts import HostKind, has_session_bus
from tray_agent.errors import PlatformUnavailable

_CHOICES: dict[HostKind, tuple[str, ...]] = {
    "status-notifier": ("appindicator",),
    "xembed": ("gtk", "xorg"),
    "native": ("",),
}
_NOTIFY_TIMEOUT_MS = 3000
MENU_REMEDY = (
    "Install python3-gi and gir1.2-ayatanaappindicator3-0.1 (Debian) or python3-gobject and "
    "libayatana-appindicator-gtk3 (Fedora), then run the installer again"
)


def load(kind: HostKind) -> tuple[ModuleType, str]:
    """pystray with the best backend for a host, and that backend's name.

    Raises:
        PlatformUnavailable: no backend can be loaded.
    """
    os.environ.setdefault("NO_AT_BRIDGE", "1")  # GTK would look for an accessibility bus and complain
    wanted = os.environ.get("PYSTRAY_BACKEND")
    errors = []
    for name in (wanted,) if wanted else _CHOICES[kind]:
        if name:
            os.environ["PYSTRAY_BACKEND"] = name
        try:
            _mend_notifier(name)
            pystray = importlib.import_module("pystray")
        # pystray's imports open displays: Xlib, GTK and gi raise errors of a dozen kinds
        except Exception as error:  # noqa: BLE001
            errors.append(f"{name or sys.platform}: {error}")
            for module in [m for m in sys.modules if m.startswith("pystray")]:
                del sys.modules[module]
            continue
        return pystray, pystray.Icon.__module__.rpartition("_")[2]
    raise PlatformUnavailable("No tray icon can be shown: " + "; ".join(errors), MENU_REMEDY)


class _Notifier:
    """Sends notifications without waiting for the service, which may be missing or slow."""

    def __init__(self) -> None:
        self._bus: Any = None
        if has_session_bus():
            from gi.repository import Gio, GLib

            with contextlib.suppress(GLib.Error):
                self._bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)

    def notify(self, title: str, message: str, icon: str) -> None:
        if self._bus is None:
            tell("not-notified", "there is no session bus for notifications")
            return
        from gi.repository import Gio, GLib

        name = "org.freedesktop.Notifications"
        body = GLib.Variant("(susssasa{sv}i)", ("Tray Agent", 0, icon or "", title, message, [], {}, -1))
        path = "/" + name.replace(".", "/")
        flags = Gio.DBusCallFlags.NONE
        self._bus.call(name, path, name, "Notify", body, None, flags, _NOTIFY_TIMEOUT_MS, None, self._done)

    def hide(self) -> None:
        """Notifications go by themselves."""

    @staticmethod
    def _done(bus: Any, result: Any) -> None:
        from gi.repository import GLib

        try:
            bus.call_finish(result)
        except GLib.Error as error:
            tell("not-notified", f"the notification service did not take it: {error.message}")


def _mend_notifier(name: str | None) -> None:
    """Put our notifier in the place of pystray's, whose constructor fails without a session bus."""
    if name not in {"gtk", "appindicator"}:
        return
    import gi

    for library, version in (("Gtk", "3.0"), ("Gdk", "3.0"), ("DBus", "1.0"), ("Gio", "2.0")):
        gi.require_version(library, version)
    # pystray's package can't be imported before its backend, so its submodule is put in place beforehand
    replacement = ModuleType("pystray._util.notify_dbus")
    replacement.Notifier = _Notifier  # type: ignore[attr-defined]  # a module made here
    sys.modules["pystray._util.notify_dbus"] = replacement


def mend(icon: Any, backend: str) -> None:
    """Make xorg hear left clicks, and GTK outlive a tray that dies with our window in it. Call before `icon.run`."""
    if backend == "xorg":
        from Xlib import X

        icon._window.change_attributes(event_mask=X.ExposureMask | X.StructureNotifyMask | X.ButtonPressMask)
        icon._display.flush()
    elif backend in {"gtk", "appindicator"}:
        from gi.repository import Gdk

        Gdk.error_trap_push()  # never popped: without it, an X error ends the process


def is_shown(icon: Any, backend: str) -> bool:
    """Whether a host really took the icon; pystray's own `visible` is True even without one."""
    if backend == "gtk":
        return bool(icon._status_icon.is_embedded())
    if backend == "appindicator":
        return bool(icon._appindicator.get_property("connected"))
    if backend == "xorg":
        return icon._systray_manager is not None
    return bool(icon.visible)

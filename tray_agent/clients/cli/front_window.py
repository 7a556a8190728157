"""The window probe of this system, for verbs that look at windows without a daemon. Main thread."""

import contextlib
import platform
import time
from collections.abc import Iterator

from tray_agent.core.events import WindowInfo
from tray_agent.core.ports import WindowProbe
from tray_agent.errors import PlatformUnavailable


@contextlib.contextmanager
def open_probe() -> Iterator[WindowProbe]:
    """A started probe, closed at the end.

    Raises:
        PlatformUnavailable: windows can't be seen here.
    """
    probe = _make()
    try:
        probe.start()
        yield probe
    finally:
        probe.close()


def pick(probe: WindowProbe, other: WindowInfo | None, wait_s: float = 60.0, rest_s: float = 0.5) -> WindowInfo:
    """The window the user brings to the front.

    Nothing is grabbed for it, so it works with games that hold the pointer themselves.

    Args:
        probe: started.
        other: the window that was in front when the user was asked: not that one.
        wait_s: seconds the user has.
        rest_s: seconds a window must stay in front, so that one that only flashes by is not taken.

    Raises:
        CaptureLost: the display has gone.
        PlatformUnavailable: nothing else came to the front in time.
    """
    candidate, since = other, time.monotonic()
    end = since + wait_s
    while (now := time.monotonic()) < end:
        seen = probe.active()
        if _handle(seen) != _handle(candidate):
            candidate, since = seen, now
        elif candidate is not None and _handle(candidate) != _handle(other) and now - since >= rest_s:
            return candidate
        time.sleep(0.05)
    raise PlatformUnavailable(f"no other window came to the front in {wait_s:g} s", "Give --process instead of --pick")


def _handle(window: WindowInfo | None) -> int | None:
    return None if window is None else window.handle


def _make() -> WindowProbe:
    if platform.system() == "Windows":
        from tray_agent.platforms.win32.window import Win32WindowProbe

        return Win32WindowProbe()
    if platform.system() == "Linux":
        from tray_agent.platforms.x11.window import X11WindowProbe

        return X11WindowProbe()
    raise PlatformUnavailable(
        f"windows can't be looked at from the command line on {platform.system()}", "Give --process or --title instead"
    )

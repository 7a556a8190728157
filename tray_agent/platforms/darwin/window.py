"""The window in front on macOS, from Quartz' window list (never run on a Mac).

Titles need the Screen Recording permission; without it they are "". Rectangles are in points, title bar included.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tray_agent.core.events import WindowInfo
from tray_agent.errors import PlatformUnavailable

_NORMAL_LAYER = 0
_ON_SCREEN_ONLY, _NO_DESKTOP = 1, 16


def describe_first(windows: Iterable[Mapping[str, Any]]) -> WindowInfo | None:
    """The frontmost ordinary window of Quartz' list, which runs from front to back."""
    for entry in windows:
        if entry.get("kCGWindowLayer") == _NORMAL_LAYER:
            bounds = entry.get("kCGWindowBounds") or {}
            left, top, width, height = (int(bounds.get(key, 0)) for key in ("X", "Y", "Width", "Height"))
            return WindowInfo(
                handle=int(entry.get("kCGWindowNumber", 0)),
                process=str(entry.get("kCGWindowOwnerName") or ""),
                title=str(entry.get("kCGWindowName") or ""),
                rect=(left, top, width, height),
                pid=int(entry.get("kCGWindowOwnerPID", 0)),
            )
    return None


class DarwinWindowProbe:
    """WindowProbe port."""

    def __init__(self) -> None:
        self._quartz: Any = None

    def start(self) -> None:
        """Raises PlatformUnavailable."""
        try:
            import Quartz  # type: ignore[import-not-found]  # comes with pynput, on macOS only
        except ImportError as error:
            raise PlatformUnavailable(f"Quartz does not load here: {error}", "It works on macOS only.") from error
        self._quartz = Quartz

    def active(self) -> WindowInfo | None:
        if self._quartz is None:
            return None
        return describe_first(self._quartz.CGWindowListCopyWindowInfo(_ON_SCREEN_ONLY | _NO_DESKTOP, 0) or ())

    def close(self) -> None:
        self._quartz = None

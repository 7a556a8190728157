"""The live picture of a packaged game in a window; keys pressed there are the player's (game loop's thread)."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tray_agent.core.media import Pixels
from tray_agent.errors import PlatformUnavailable

_LONGEST = 640
_REDRAW_NS = 16_000_000
_NAMED = {
    "left": "ArrowLeft", "right": "ArrowRight", "up": "ArrowUp", "down": "ArrowDown", "space": "Space",
    "return": "Enter", "tab": "Tab", "left ctrl": "ControlLeft", "right ctrl": "ControlRight",
    "left alt": "AltLeft", "right alt": "AltRight", "left shift": "ShiftLeft", "right shift": "ShiftRight",
}  # fmt: skip


class LiveWindow:
    """Shows pictures, at most 60 a second.

    Args:
        title: of the window.
        width, height: native picture; shown enlarged by a whole number.
        press: called with control and whether it went down.
        on_close: called when the user closes the window.
    """

    def __init__(
        self, title: str, width: int, height: int, press: Callable[[str, bool], None], on_close: Callable[[], None]
    ) -> None:
        self._title = title
        self._size = (width, height)
        self._press = press
        self._on_close = on_close
        self._pygame: Any = None
        self._screen: Any = None
        self._drawn_ns = 0

    def start(self) -> None:
        """Open the window. Raises PlatformUnavailable without a display."""
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise PlatformUnavailable("there is no display for the window", "Leave --window out, or set DISPLAY")
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        os.environ["SDL_VIDEO_X11_WMCLASS"] = (
            "tray-agent-env"  # pygame, imported by whoever started us, names itself here
        )
        import pygame

        try:
            pygame.display.init()
            scale = max(1, _LONGEST // max(self._size))
            self._screen = pygame.display.set_mode((self._size[0] * scale, self._size[1] * scale))
        except pygame.error as error:
            raise PlatformUnavailable(f"the window can't be opened: {error}", "Leave --window out") from error
        pygame.display.set_caption(self._title)
        self._pygame = pygame

    def show(self, pixels: Pixels) -> None:
        """Draw a picture of shape (height, width, 3) and take what was pressed."""
        if time.perf_counter_ns() - self._drawn_ns < _REDRAW_NS:
            return
        self._drawn_ns = time.perf_counter_ns()
        picture = self._pygame.surfarray.make_surface(np.swapaxes(pixels, 0, 1))
        self._pygame.transform.scale(picture, self._screen.get_size(), self._screen)
        self._pygame.display.flip()
        for event in self._pygame.event.get():
            self._take(event)

    def _take(self, event: Any) -> None:
        if event.type == self._pygame.QUIT:
            self._on_close()
        elif event.type in (self._pygame.KEYDOWN, self._pygame.KEYUP):
            control = control_of(self._pygame.key.name(event.key))
            if control:
                self._press(control, event.type == self._pygame.KEYDOWN)

    def close(self) -> None:
        """Close the window; idempotent."""
        pygame, self._pygame = self._pygame, None
        if pygame is not None:
            pygame.display.quit()


def control_of(name: str) -> str:
    """The control of a key by its name in pygame, "" for keys that no game here uses."""
    if len(name) == 1 and name.isascii() and name.isalnum():
        return f"Digit{name}" if name.isdigit() else f"Key{name.upper()}"
    return _NAMED.get(name, "")

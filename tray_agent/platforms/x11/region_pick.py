"""Picking on X11: a person clicks on a window, or drags a rectangle over a part of it. Used by one thread.

Pointer and keyboard are grabbed meanwhile: what is clicked and pressed reaches no program.
"""

import contextlib
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from Xlib import X, Xcursorfont, error
from Xlib.display import Display
from Xlib.xobject.drawable import Window

from tray_agent.core.events import WindowInfo
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.window import describe

Rect = tuple[int, int, int, int]
"""Left, top, width, height in pixels of the screen."""
_GRAB_S = 2.0
_LEAST_DRAG = 8
_EDGE = 2
_RED = 0xE03131
_MASK = X.ButtonPressMask | X.ButtonReleaseMask | X.ButtonMotionMask


@dataclass(frozen=True)
class Picked:
    """What was picked.

    Attributes:
        window: where the button went down; the whole screen for the bare desktop.
        rect: what was dragged over; None for a click.
    """

    window: WindowInfo
    rect: Rect | None


def pick(timeout_s: float, display_name: str | None = None) -> Picked | None:
    """Let the person click or drag with the first button; None after Esc or another button.

    Args:
        timeout_s: how long they have.
        display_name: of the display; $DISPLAY if left out.

    Raises:
        PlatformUnavailable: no display, another program holds mouse or keyboard, or the time is up.
        CaptureLost: the display has gone.
    """
    display = connection.open_display(display_name)
    try:
        with _grabbed(display):
            return _Hand(display).wait(time.monotonic() + timeout_s)
    except connection.LOST as failure:
        raise CaptureLost(f"the X display has gone: {failure}") from failure
    except error.XError as failure:
        raise PlatformUnavailable("The window that was clicked closed at once", "Pick again") from failure
    finally:
        connection.close(display)


@contextlib.contextmanager
def _grabbed(display: Display) -> Iterator[None]:
    root, now = display.screen().root, X.CurrentTime
    modes = (X.GrabModeAsync, X.GrabModeAsync)
    try:
        cursor = _cross(display)
        if not _soon(lambda: root.grab_pointer(False, _MASK, *modes, X.NONE, cursor, now)):
            raise PlatformUnavailable(
                "Another program holds the mouse, so that nothing can be picked",
                "Pause the game, or close that program's menu",
            )
        if not _soon(lambda: root.grab_keyboard(False, *modes, now)):
            raise PlatformUnavailable("Another program holds the keyboard, so that nothing can be picked", "End that")
        yield
    finally:
        display.ungrab_keyboard(now)
        display.ungrab_pointer(now)
        display.sync()


def _soon(grab: Callable[[], int]) -> bool:
    """Whether it could be had: where a button is just held down, the window under it has the mouse until it is up."""
    deadline = time.monotonic() + _GRAB_S
    while grab() != X.GrabSuccess:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _cross(display: Display) -> object:
    """A cursor that shows that something is to be picked; the default one where the font is missing."""
    font = display.open_font("cursor")
    if font is None:
        return X.NONE
    shape = Xcursorfont.crosshair
    return font.create_glyph_cursor(font, shape, shape + 1, (0, 0, 0), (65535, 65535, 65535))


class _Hand:
    """One click or drag."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._keymap = connection.Keymap(display)
        self._outline = _Outline(display)
        self._from: tuple[int, int] | None = None
        self._window: WindowInfo | None = None

    def wait(self, deadline: float) -> Picked | None:
        """See `pick`."""
        try:
            while True:
                event = self._next(deadline)
                if event.type == X.KeyPress and self._keymap.key_name(event.detail) == "Escape":
                    return None
                if event.type == X.ButtonPress and event.detail != 1:
                    return None
                if event.type == X.ButtonPress:
                    self._down(event)
                elif event.type == X.MotionNotify and self._from is not None:
                    self._outline.show(_between(self._from, (event.root_x, event.root_y)))
                elif event.type == X.ButtonRelease and self._from is not None and self._window is not None:
                    rect = _between(self._from, (event.root_x, event.root_y))
                    return Picked(self._window, rect if max(rect[2:]) >= _LEAST_DRAG else None)
        finally:
            self._outline.close()

    def _next(self, deadline: float) -> "_Event":
        while not self._display.pending_events():
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._display.fileno()], [], [], left)[0]:
                raise PlatformUnavailable("Nothing was picked in time", "Try again")
        event: _Event = self._display.next_event()
        return event

    def _down(self, event: "_Event") -> None:
        top = event.child
        window = _client(self._display, top) if top else self._display.screen().root
        self._window = describe(self._display, window)
        self._from = (event.root_x, event.root_y)


class _Event:
    """What python-xlib's events have; they are made at run time."""

    type: int
    detail: int
    child: Window
    root_x: int
    root_y: int


class _Outline:
    """A frame around what is being dragged over: four thin windows, which no repainting of others can spoil."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._edges: list[Window] = []

    def show(self, rect: Rect) -> None:
        """Show it there."""
        left, top, width, height = rect
        places = (
            (left, top, width, _EDGE), (left, top + height, width, _EDGE),
            (left, top, _EDGE, height), (left + width, top, _EDGE, height),
        )  # fmt: skip
        if not self._edges:
            screen = self._display.screen()
            self._edges = [
                screen.root.create_window(0, 0, 1, 1, 0, screen.root_depth, override_redirect=1, background_pixel=_RED)
                for _ in places
            ]
        for edge, (x, y, wide, high) in zip(self._edges, places, strict=True):
            edge.configure(x=x, y=y, width=max(1, wide), height=max(1, high), stack_mode=X.Above)
            edge.map()
        self._display.flush()

    def close(self) -> None:
        """Take it away."""
        for edge in self._edges:
            edge.destroy()


def _between(one: tuple[int, int], other: tuple[int, int]) -> Rect:
    left, top = min(one[0], other[0]), min(one[1], other[1])
    return left, top, abs(one[0] - other[0]), abs(one[1] - other[1])


def _client(display: Display, top: Window) -> Window:
    """The program's own window inside of the frame that a window manager put around it."""
    state = display.get_atom("WM_STATE")
    layer = [top]
    while layer:
        for window in layer:
            if window.get_full_property(state, X.AnyPropertyType) is not None:
                return window
        layer = [child for window in layer for child in window.query_tree().children]
    return top

"""The game that `bench sessions` records: `python -m tray_agent.bench.film_game SESSION RATE`.

A full-screen window on $DISPLAY that shows some pictures of a session over and over, so many a second. Prints the
window's number once it is in front; ends when it is terminated. Main thread only.
"""

import os
import select
import sys
import time
from pathlib import Path

import numpy as np
from Xlib import X, Xatom
from Xlib.display import Display
from Xlib.xobject.drawable import Pixmap, Window

from tray_agent.core.clock import MonotonicClock
from tray_agent.core.media import Pixels
from tray_agent.platforms.x11 import connection
from tray_agent.runtime.pacer import Pacer
from tray_agent.sessions.reader import SessionReader

TITLE = "film"
_PICTURES = 10
_ROWS = 24  # sent at once: a request of X11 has 256 KiB at most
_FRONT_S = 20.0


def main() -> None:
    """Show until terminated."""
    reader, rate_hz = SessionReader(Path(sys.argv[1])), float(sys.argv[2])
    display = connection.open_display(None)
    window = _full_screen(display)
    pen = window.create_gc(graphics_exposures=False)
    pictures = reader.frames(0, min(_PICTURES, len(reader)))
    pixmaps = [_uploaded(display, window, picture) for picture in pictures]
    _await_front(display)
    print(int(window.id), flush=True)
    screen = display.screen()
    size = (screen.width_in_pixels, screen.height_in_pixels)
    pacer = Pacer(MonotonicClock(), rate_hz)
    while True:
        pixmap = pixmaps[pacer.wait().index % len(pixmaps)]
        window.copy_area(pen, pixmap, 0, 0, *size, 0, 0)
        display.sync()


def _full_screen(display: Display) -> Window:
    screen = display.screen()
    size = (screen.width_in_pixels, screen.height_in_pixels)
    window = screen.root.create_window(
        0, 0, *size, 0, screen.root_depth, background_pixel=screen.black_pixel, event_mask=X.FocusChangeMask
    )
    window.set_wm_name(TITLE)
    state, full = (display.get_atom(f"_NET_WM_STATE{name}") for name in ("", "_FULLSCREEN"))
    window.change_property(state, Xatom.ATOM, 32, [full])
    window.change_property(display.get_atom("_NET_WM_PID"), Xatom.CARDINAL, 32, [os.getpid()])
    window.map()
    return window


def _uploaded(display: Display, window: Window, picture: Pixels) -> Pixmap:
    """The picture, as large as the screen, in the server's memory."""
    screen = display.screen()
    width, height, depth = screen.width_in_pixels, screen.height_in_pixels, screen.root_depth
    rows = np.arange(height) * picture.shape[0] // height
    columns = np.arange(width) * picture.shape[1] // width
    shown = np.zeros((height, width, 4), np.uint8)
    shown[..., :3] = picture[rows][:, columns, ::-1]
    pixmap = window.create_pixmap(width, height, depth)
    pen = pixmap.create_gc()
    for top in range(0, height, _ROWS):
        some = shown[top : top + _ROWS]
        pixmap.put_image(pen, 0, top, width, len(some), X.ZPixmap, depth, 0, some.tobytes())
    return pixmap


def _await_front(display: Display) -> None:
    deadline = time.monotonic() + _FRONT_S
    while True:
        while display.pending_events():
            if display.next_event().type == X.FocusIn:
                return
        if not select.select([display.fileno()], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(f"the window did not come to the front within {_FRONT_S:.0f} s")


if __name__ == "__main__":
    main()

"""A small real game for the X11 fault tests: a window whose picture changes thirty times a second.

`python blinking_window.py TITLE`; prints its window's number when it is mapped. Stopped by a signal, it freezes.
"""

import sys
import time

from Xlib.display import Display

SIZE = (320, 240)


def main() -> None:
    """Show and blink until killed."""
    display = Display()
    screen = display.screen()
    window = screen.root.create_window(40, 40, *SIZE, 0, screen.root_depth, background_pixel=0)
    window.set_wm_name(sys.argv[1])
    window.set_wm_class("blinking", "Blinking")
    window.map()
    display.sync()
    print(window.id, flush=True)
    pen = window.create_gc()
    shade = 0
    while True:
        shade = (shade + 40) % 256
        pen.change(foreground=shade << 16 | shade << 8 | (255 - shade))
        window.fill_rectangle(pen, 0, 0, 2000, 2000)
        display.sync()
        time.sleep(1 / 30)


if __name__ == "__main__":
    main()

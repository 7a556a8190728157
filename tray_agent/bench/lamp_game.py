"""The game of `bench loop`: a window that is dark or bright. `python -m tray_agent.bench.lamp_game KEY`.

Prints its window's number, then obeys lines on stdin: "light COUNT SHORTEST LONGEST" goes bright and dark COUNT times
and then prints one JSON line: a list of {"on": [changed, key down], "off": [changed, key up]} in nanoseconds of the
clock all processes share, or {"error": why}. A colour lasts until its key event came, and then a random time between
SHORTEST and LONGEST seconds, so that changes fall anywhere between two ticks. Ends when stdin closes. Main thread only.
"""

import json
import os
import random
import select
import sys
import time

from Xlib import X, Xatom
from Xlib.display import Display
from Xlib.xobject.drawable import Window

from tray_agent.core.clock import MonotonicClock
from tray_agent.core.keys import EVDEV
from tray_agent.platforms.x11 import connection

_X_OFFSET = 8  # X keycode of an evdev code
_ANSWER_S = 3.0


class LampGame:
    """One full-screen window on $DISPLAY."""

    def __init__(self, key: str) -> None:
        self._keycode = EVDEV[key] + _X_OFFSET
        self._clock = MonotonicClock()
        self._random = random.Random(1)  # noqa: S311 - any phase will do, the same ones each time
        self._display: Display | None = None

    def start(self) -> int:
        """Open the window; its number once it is shown."""
        display = self._display = connection.open_display(None)
        screen = display.screen()
        self._colours = {False: screen.black_pixel, True: screen.white_pixel}
        events = X.KeyPressMask | X.KeyReleaseMask | X.ExposureMask | X.FocusChangeMask
        size = (screen.width_in_pixels, screen.height_in_pixels)
        window = self._window = screen.root.create_window(
            0, 0, *size, 0, screen.root_depth, background_pixel=screen.black_pixel, event_mask=events
        )
        window.set_wm_name("lamp")
        state, full = (display.get_atom(f"_NET_WM_STATE{name}") for name in ("", "_FULLSCREEN"))
        window.change_property(state, Xatom.ATOM, 32, [full])
        window.change_property(display.get_atom("_NET_WM_PID"), Xatom.CARDINAL, 32, [os.getpid()])
        window.map()
        self._await(X.FocusIn, 10.0)
        return int(window.id)

    def light(self, shortest_s: float, longest_s: float) -> dict[str, tuple[int, int]]:
        """Once bright and dark again: when it was asked for, and when the key event came, ns."""
        return {name: self._change(name == "on", shortest_s, longest_s) for name in ("on", "off")}

    def _change(self, bright: bool, shortest_s: float, longest_s: float) -> tuple[int, int]:
        assert self._display is not None  # noqa: S101 - start() opened it
        time.sleep(self._random.uniform(shortest_s, longest_s))
        began_ns = self._clock.now_ns()
        self._paint(self._window, bright)
        return began_ns, self._await(X.KeyPress if bright else X.KeyRelease, _ANSWER_S)

    def _paint(self, window: Window, bright: bool) -> None:
        window.change_attributes(background_pixel=self._colours[bright])
        window.clear_area()
        window.display.flush()

    def _await(self, kind: int, timeout_s: float) -> int:
        assert self._display is not None  # noqa: S101 - start() opened it
        deadline = time.monotonic() + timeout_s
        while True:
            while self._display.pending_events():
                event = self._display.next_event()
                now_ns = self._clock.now_ns()
                if event.type == kind and (kind == X.FocusIn or event.detail == self._keycode):
                    return now_ns
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._display.fileno()], [], [], left)[0]:
                raise TimeoutError(f"no answer to event {kind} within {timeout_s:.0f} s")


def main() -> int:
    """Obey until stdin closes; 1 when nobody answered the lamp."""
    game = LampGame(sys.argv[1])
    print(game.start(), flush=True)
    for line in sys.stdin:
        _, count, shortest_s, longest_s = line.split()
        try:
            times = [game.light(float(shortest_s), float(longest_s)) for _ in range(int(count))]
        except TimeoutError as error:
            print(json.dumps({"error": str(error)}), flush=True)
            return 1
        print(json.dumps(times), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`bench capture`: what a captured frame costs, client and X server together, against a memcpy and the usual way.

The ways take turns, frame by frame, while the whole picture changes before each; runs in the caller's thread.
CPU time is read from the kernel's clocks of this process and of the server's.
"""

import argparse
import os
import socket
import statistics
import struct
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import cv2
import mss
import numpy as np
from Xlib import X
from Xlib.display import Display

from tray_agent.bench.x_server import own_x_server
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.screen import X11ScreenSource

_WARM_UP = 5
_MARGIN = 64
_SECOND = "_96x72"  # 1080p is a whole multiple of it: the usual way is at its best there
_CPU_CLOCK_OF_PROCESS = 2  # CPUCLOCK_SCHED of the kernel's clock ids

Cost = tuple[float, float]  # CPU ms of this process, of the server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--frames", type=int, default=200, help="how many frames each way captures (200)")
    parser.add_argument("--display", help="capture this local X display instead of an Xvfb of our own")
    parser.add_argument("--width", type=int, default=1920, help="of our own display (1920)")
    parser.add_argument("--height", type=int, default=1080, help="of our own display (1080)")
    parser.add_argument("--frame-width", type=int, default=112, help="of the frames that the policy sees (112)")
    parser.add_argument("--frame-height", type=int, default=63, help="of them (63)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; `metrics` holds CPU milliseconds per frame (medians) and ratios of them; names ending in 96x72 are
    for frames of that size, the default of profiles.

    Raises:
        PlatformUnavailable: no X server, or its CPU time can't be read.
    """
    with ExitStack() as stack:
        name = options.display or stack.enter_context(own_x_server(options.width, options.height))
        costs = _measure(name, options, stack)
    totals = {way: statistics.median(mine + its for mine, its in found) for way, found in costs.items()}
    metrics: dict[str, float] = {}
    for suffix in ("", _SECOND):
        metrics[f"capture_vs_memcpy{suffix}"] = round(totals[f"capture{suffix}"] / totals["memcpy"], 3)
        metrics[f"speedup_vs_mss_area{suffix}"] = round(totals[f"mss_area{suffix}"] / totals[f"capture{suffix}"], 3)
    for way, found in costs.items():
        metrics[f"{way}_ms"] = round(totals[way], 3)
        metrics[f"{way}_client_ms"] = round(statistics.median(mine for mine, _ in found), 3)
        metrics[f"{way}_server_ms"] = round(statistics.median(its for _, its in found), 3)
    metrics["frames"] = options.frames
    return {"bench": "capture", "metrics": metrics}


def _measure(name: str, options: argparse.Namespace, stack: ExitStack) -> dict[str, list[Cost]]:
    display = connection.open_display(name)
    stack.callback(connection.close, display)
    picture = _MovingPicture(display)
    size = (options.frame_width, options.frame_height)
    server_clock = _server_clock(display)
    usual = stack.enter_context(mss.MSS(display=name))
    frame = np.array(usual.grab(usual.monitors[0]))
    copy = np.empty_like(frame)
    ways: dict[str, Callable[[], object]] = {"memcpy": lambda: np.copyto(copy, frame)}
    for suffix, one in (("", size), (_SECOND, (96, 72))):
        ways[f"capture{suffix}"] = _source(name, one, stack).grab
        ways[f"mss_area{suffix}"] = _usual_way(usual, one)
    costs: dict[str, list[Cost]] = {way: [] for way in ways}
    threads = cv2.getNumThreads()
    stack.callback(cv2.setNumThreads, threads)
    cv2.setNumThreads(1)  # for all ways: more threads only add overhead to the same CPU time
    for number in range(_WARM_UP + options.frames):
        for way, act in ways.items():
            picture.move(number)
            cost = _cost(act, display, server_clock)
            if number >= _WARM_UP:
                costs[way].append(cost)
    return costs


def _source(name: str, size: tuple[int, int], stack: ExitStack) -> X11ScreenSource:
    source = X11ScreenSource(size, name)
    source.start()
    stack.callback(source.close)
    if source.fallback_reason:
        raise PlatformUnavailable(f"There is no shared memory to measure: {source.fallback_reason}")
    return source


def _usual_way(usual: mss.MSS, size: tuple[int, int]) -> Callable[[], object]:
    monitor = usual.monitors[0]
    return lambda: cv2.resize(np.asarray(usual.grab(monitor)), size, interpolation=cv2.INTER_AREA)


def _cost(act: Callable[[], object], display: Display, server_clock: int) -> Cost:
    """CPU time of one act. The server is idle before it and, by the round trip, after it."""
    server_before = _read_clock(server_clock)
    before = time.process_time_ns()
    act()
    mine = time.process_time_ns() - before
    display.sync()
    return mine / 1e6, (_read_clock(server_clock) - server_before) / 1e6


def _server_clock(display: Display) -> int:
    """Clock id of the CPU time of the process at the other end of the connection.

    Raises:
        PlatformUnavailable: the server is on another machine.
    """
    pid = _peer(display.display.socket)
    if not pid:
        raise PlatformUnavailable("The X server's CPU time can't be read", "Measure on a local display")
    clock = (~pid << 3) | _CPU_CLOCK_OF_PROCESS
    try:
        _read_clock(clock)
    except OSError as failure:
        raise PlatformUnavailable(f"The CPU time of the X server (process {pid}) can't be read: {failure}") from failure
    return clock


def _read_clock(clock: int) -> int:
    """Nanoseconds of a POSIX clock. Raises OSError."""
    if sys.platform != "win32":
        return time.clock_gettime_ns(clock)
    raise OSError("there are no such clocks on Windows")


def _peer(connected: socket.socket) -> int:
    """Process id at the other end, 0 when it is not on this machine, or the system does not tell."""
    pid = 0
    if sys.platform == "linux" and connected.family == socket.AF_UNIX:
        size = struct.calcsize("3i")
        pid = int(struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0])
    return pid


class _MovingPicture:
    """Noise that covers the whole screen and moves with every frame."""

    def __init__(self, display: Display) -> None:
        self._display = display
        screen = display.screen()
        self._size = (screen.width_in_pixels, screen.height_in_pixels)
        wide, high = self._size[0] + _MARGIN, self._size[1] + _MARGIN
        self._noise = screen.root.create_pixmap(wide, high, screen.root_depth)
        self._window = screen.root.create_window(0, 0, *self._size, 0, screen.root_depth, override_redirect=True)
        self._window.map()
        self._pen = self._window.create_gc(graphics_exposures=False)
        tile = np.frombuffer(os.urandom(wide * 16 * 4), np.uint8)
        for top in range(0, high, 16):
            rolled = np.roll(tile, top * 4).tobytes()
            self._noise.put_image(self._pen, 0, top, wide, 16, X.ZPixmap, screen.root_depth, 0, rolled)
        display.sync()

    def move(self, number: int) -> None:
        """Draw the next picture, and wait until it is there."""
        shift = number * 7 % _MARGIN
        self._window.copy_area(self._pen, self._noise, shift, _MARGIN - shift, *self._size, 0, 0)
        self._display.sync()

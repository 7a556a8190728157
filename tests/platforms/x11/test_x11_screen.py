"""Capture from real X servers: colours, regions, resizing, loss, and the fallback."""

import signal
from pathlib import Path

import numpy as np
import pytest
from x11_desktop import XServers, open_window, wait_until
from Xlib import X
from Xlib.ext import randr

from tray_agent.core.clock import MonotonicClock
from tray_agent.core.reduce import reduce
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.screen import MssGrabber, X11ScreenSource
from tray_agent.platforms.x11.xcb_shm import XcbShm

pytestmark = pytest.mark.x11
ORANGE, BLUE = 0xFF8000, 0x0000FF


def paint(name: str, *parts: tuple[int, tuple[int, int, int, int]]) -> None:
    """Fill rectangles of the root window."""
    display = connection.open_display(name)
    root = display.screen().root
    pen = root.create_gc()
    for colour, rect in parts:
        pen.change(foreground=colour)
        root.fill_rectangle(pen, *rect)
    display.sync()
    connection.close(display)


def count_open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("grabber", [XcbShm, MssGrabber])
def test_colours_and_place_are_right(flat_display: str, grabber: type[XcbShm] | type[MssGrabber]) -> None:
    """The left half is orange, the right half blue, in RGB, by shared memory and by mss alike."""
    paint(flat_display, (ORANGE, (0, 0, 400, 600)), (BLUE, (400, 0, 400, 600)))
    source = X11ScreenSource((96, 72), flat_display, grabber=grabber(flat_display))
    source.start()
    before = MonotonicClock().now_ns()
    frame = source.grab()
    assert before <= frame.t_ns <= MonotonicClock().now_ns()
    assert frame.pixels.shape == (72, 96, 3)
    assert frame.pixels.flags.c_contiguous
    assert np.array_equal(np.unique(frame.pixels[:, :48].reshape(-1, 3), axis=0), [[255, 128, 0]])
    assert np.array_equal(np.unique(frame.pixels[:, 48:].reshape(-1, 3), axis=0), [[0, 0, 255]])
    source.close()
    source.close()


def test_region_is_cut_out_and_may_change(flat_display: str) -> None:
    """Only the region is seen; None is the whole screen again."""
    paint(flat_display, (ORANGE, (0, 0, 800, 600)), (BLUE, (200, 100, 64, 48)))
    source = X11ScreenSource((16, 16), flat_display)
    source.start()
    assert source.fallback_reason == ""
    source.set_region((200, 100, 64, 48))
    assert np.array_equal(np.unique(source.grab().pixels.reshape(-1, 3), axis=0), [[0, 0, 255]])
    source.set_region(None)
    assert source.grab().pixels[0, 0].tolist() == [255, 128, 0]
    source.close()


def test_what_is_off_the_screen_is_black(flat_display: str) -> None:
    """A region that hangs over the edge keeps its shape, with black outside; one wholly outside is an error."""
    paint(flat_display, (ORANGE, (0, 0, 800, 600)))
    source = X11ScreenSource((20, 20), flat_display)
    source.start()
    source.set_region((-50, 0, 100, 100))
    pixels = source.grab().pixels
    assert pixels[:, :10].max() == 0
    assert pixels[0, 10].tolist() == [255, 128, 0]
    source.set_region((5000, 0, 100, 100))
    with pytest.raises(CaptureLost, match="not on the screen"):
        source.grab()
    source.set_region((0, 0, 100, 100))
    assert source.grab().pixels[0, 0].tolist() == [255, 128, 0]
    source.close()


def test_large_screen_in_bands_equals_one_piece(x_servers: XServers) -> None:
    """A 1080p screen, which is grabbed in bands, comes out as it is."""
    name = x_servers.xvfb(1920, 1080)
    colours = [0x200000 * i + 0x2000 * (7 - i) for i in range(8)]
    paint(name, *((c, (0, 135 * i, 1920, 135)) for i, c in enumerate(colours)))
    source = X11ScreenSource((96, 72), name)
    source.start()
    rows = source.grab().pixels[:, 0]
    assert [tuple(rows[9 * i + 4]) for i in range(8)] == [(c >> 16, c >> 8 & 255, c & 255) for c in colours]
    source.close()


def test_screen_that_changes_its_size_is_followed(x_servers: XServers) -> None:
    """After RandR makes the screen larger, the whole of it is captured; a region stays where it was."""
    name = x_servers.tigervnc(0, 640, 480)
    display = connection.open_display(name)
    source = X11ScreenSource((16, 16), name)
    source.start()
    source.grab()
    resources = randr.get_screen_resources(display.screen().root)
    crtc, config = resources.crtcs[0], resources.config_timestamp
    small = randr.get_crtc_info(display, crtc, config)
    mode = next(m for m in resources.modes if (m["width"], m["height"]) == (1024, 768))
    randr.set_screen_size(display.screen().root, 1024, 768, 300, 200)
    randr.set_crtc_config(display, crtc, config, 0, 0, mode["id"], small.rotation, small.outputs)
    display.sync()
    paint(name, (BLUE, (0, 0, 1024, 768)), (ORANGE, (640, 480, 384, 288)))
    wait_until(lambda: source.grab().pixels[15, 15].tolist() == [255, 128, 0], what="the new corner")
    assert source.grab().pixels[0, 0].tolist() == [0, 0, 255]
    source.set_region((900, 700, 16, 16))
    assert source.grab().pixels[0, 0].tolist() == [255, 128, 0]
    randr.set_crtc_config(display, crtc, resources.config_timestamp, 0, 0, small.mode, small.rotation, small.outputs)
    randr.set_screen_size(display.screen().root, 640, 480, 200, 150)
    display.sync()
    with pytest.raises(CaptureLost, match="not on the screen"):
        wait_until(lambda: not source.grab(), what="the region to be lost")
    source.close()
    connection.close(display)


@pytest.mark.parametrize("grabber", [XcbShm, MssGrabber])
def test_lost_display_is_capture_lost(
    x_servers: XServers, flat_display: str, grabber: type[XcbShm] | type[MssGrabber]
) -> None:
    """When the server is killed, grabbing raises CaptureLost, and the process lives on."""
    source = X11ScreenSource((16, 16), flat_display, grabber=grabber(flat_display))
    source.start()
    source.grab()
    server = x_servers.processes[flat_display]
    server.send_signal(signal.SIGKILL)
    server.wait()
    for _ in range(2):
        with pytest.raises(CaptureLost, match="gone"):
            source.grab()
    source.close()


def test_no_display_is_a_clear_error() -> None:
    """A display where nobody answers can't be captured, and the message says what to do."""
    with pytest.raises(PlatformUnavailable, match="DISPLAY"):
        X11ScreenSource((16, 16), ":64998").start()


def test_server_without_shared_memory_falls_back(x_servers: XServers) -> None:
    """Without MIT-SHM mss takes over, says why, and the picture is right."""
    name = x_servers.xvfb(320, 240, "-extension", "MIT-SHM")
    paint(name, (BLUE, (0, 0, 320, 240)))
    source = X11ScreenSource((16, 16), name)
    source.start()
    assert "MIT-SHM" in source.fallback_reason
    assert source.grab().pixels[3, 3].tolist() == [0, 0, 255]
    source.close()


def test_frames_outlive_later_grabs(flat_display: str) -> None:
    """A frame keeps its pixels when the next one is taken, and nothing stays open after close."""
    display = connection.open_display(flat_display)
    open_files = count_open_files()
    source = X11ScreenSource((800, 600), flat_display)
    source.start()
    window = open_window(display, rect=(0, 0, 800, 600), colour=ORANGE)
    wait_until(lambda: source.grab().pixels[300, 400].tolist() == [255, 128, 0], what="the window")
    first = source.grab()
    window.destroy()
    display.sync()
    assert source.grab().pixels[300, 400].tolist() == [0, 0, 0]
    assert first.pixels[300, 400].tolist() == [255, 128, 0]
    source.close()
    assert count_open_files() <= open_files
    connection.close(display)


@pytest.mark.parametrize("rect", [(0, 0, 1920, 1080), (31, 17, 1600, 1000)])
def test_the_servers_half_is_our_half(x_servers: XServers, rect: tuple[int, int, int, int]) -> None:
    """What the server halves equals what `reduce` would make of the whole, to one grey level, at odd places too."""
    name = x_servers.xvfb(1920, 1080)
    display = connection.open_display(name)
    root = display.screen().root
    pen = root.create_gc()
    for top in range(0, 1080, 24):
        noise = np.random.default_rng(top).integers(0, 256, (24, 1920, 4), dtype=np.uint8)
        root.put_image(pen, 0, top, 1920, 24, X.ZPixmap, 24, 0, noise.tobytes())
    display.sync()
    grabber = XcbShm(name)
    grabber.start()
    assert grabber.halves
    whole = grabber.grab(rect)
    assert whole is not None
    expected = reduce(whole.copy(), (96, 72)).astype(int)
    blocks = whole[..., :3].reshape(rect[3] // 2, 2, rect[2] // 2, 2, 3).astype(int).sum(axis=(1, 3)) / 4
    half = grabber.grab_halved(rect)
    assert half is not None
    assert half.shape == (rect[3] // 2, rect[2] // 2, 4)
    assert np.abs(half[..., :3] - blocks).max() <= 1.0
    grabber.close()
    source = X11ScreenSource((96, 72), name)
    source.start()
    source.set_region(rect)
    assert np.abs(source.grab().pixels - expected).max() <= 1
    source.close()
    connection.close(display)


def test_a_window_in_front_is_seen_through_the_server_too(x_servers: XServers) -> None:
    """The halving way sees windows, not only the bare root, and follows a region that moves."""
    name = x_servers.xvfb(1920, 1080)
    display = connection.open_display(name)
    open_window(display, rect=(0, 0, 1920, 540), colour=ORANGE)
    open_window(display, rect=(0, 540, 1920, 540), colour=BLUE)
    source = X11ScreenSource((20, 10), name)
    source.start()
    wait_until(lambda: source.grab().pixels[2, 2].tolist() == [255, 128, 0], what="the windows")
    assert source.grab().pixels[7, 2].tolist() == [0, 0, 255]
    for top in (0, 540, 100):
        source.set_region((0, top, 1000, 400))
        assert source.grab().pixels[2, 2].tolist() == ([0, 0, 255] if top == 540 else [255, 128, 0])
    source.close()
    connection.close(display)

"""The screen source: its mss path on a real (X) screen, its dxcam path against dxcam's signatures."""

import os
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from tray_agent.core.clock import ManualClock
from tray_agent.errors import CaptureLost
from tray_agent.platforms.win32.screen import Win32ScreenSource

needs_display = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("Xvfb") is None, reason="needs Xvfb for a screen to copy"
)


@pytest.fixture
def display(monkeypatch):
    """A blue X screen of 320 x 200, as $DISPLAY."""
    from Xlib.display import Display

    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "320x200x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as numbers:
        name = f":{numbers.readline().strip()}"
    monkeypatch.setenv("DISPLAY", name)
    connection = Display(name)
    root = connection.screen().root
    root.change_attributes(background_pixel=0x0000FF)
    root.clear_area()
    connection.sync()
    yield name
    connection.close()
    process.terminate()
    process.wait(10)


class _Camera:
    """Stands for dxcam's DXCamera: 320 x 200, all red; breaks after `good` grabs."""

    width, height = 320, 200

    def __init__(self, good=1000):
        self.good, self.regions, self.released = good, [], False

    def grab(self, region=None, copy=True, new_frame_only=True):
        self.regions.append(region)
        self.good -= 1
        if self.good < 0:
            raise RuntimeError("DXGI_ERROR_ACCESS_LOST")
        left, top, right, bottom = region
        return np.full((bottom - top, right - left, 4), (0, 0, 255, 255), np.uint8)

    def release(self):
        self.released = True


@pytest.fixture
def camera(monkeypatch):
    """What `dxcam.create` returns."""
    camera = _Camera()
    monkeypatch.setitem(sys.modules, "dxcam", types.SimpleNamespace(create=lambda output_color: camera))
    return camera


@needs_display
def test_without_dxcam_it_copies_through_mss(display, monkeypatch):
    """A missing dxcam is named as the reason, and pictures still come, at the asked size, stamped by the clock."""
    monkeypatch.setitem(sys.modules, "dxcam", None)
    source = Win32ScreenSource((16, 10), clock=ManualClock(42))
    source.start()
    frame = source.grab()
    assert "dxcam" in source.fallback_reason
    assert frame.pixels.shape == (10, 16, 3)
    assert frame.t_ns == 42
    assert (frame.pixels == (0, 0, 255)).all()
    source.set_region((10, 20, 64, 32))
    assert source.grab().pixels.shape == (10, 16, 3)
    source.close()
    source.close()
    with pytest.raises(CaptureLost, match="not started"):
        source.grab()


@needs_display
def test_dxcam_is_preferred_and_given_corners(display, camera):
    """Duplication gets (left, top, right, bottom) and its red wins over the screen's blue."""
    source = Win32ScreenSource((8, 8))
    source.start()
    source.set_region((10, 20, 64, 32))
    assert (source.grab().pixels == (255, 0, 0)).all()
    assert camera.regions == [(10, 20, 74, 52)]
    assert source.fallback_reason == ""
    source.close()
    assert camera.released


@needs_display
def test_off_the_primary_monitor_mss_is_used(display, camera):
    """A region that dxcam's monitor does not hold is never asked of it; what is on no screen is black."""
    source = Win32ScreenSource((8, 8))
    source.start()
    source.set_region((304, 0, 32, 32))
    pixels = source.grab().pixels
    assert (pixels[:, :4] == (0, 0, 255)).all()
    assert (pixels[:, 4:] == 0).all()
    assert camera.regions == []
    assert source.fallback_reason == ""
    source.set_region((400, 0, 32, 32))
    with pytest.raises(CaptureLost, match="not on the screen"):
        source.grab()
    source.close()


@needs_display
def test_lost_duplication_goes_on_through_mss(display, camera):
    """When duplication breaks, the same grab already succeeds through mss and the reason is kept."""
    camera.good = 1
    source = Win32ScreenSource((8, 8))
    source.start()
    assert (source.grab().pixels == (255, 0, 0)).all()
    assert (source.grab().pixels == (0, 0, 255)).all()
    assert "ACCESS_LOST" in source.fallback_reason
    assert camera.released
    source.close()

"""The window in front, on a real X server with and without a window manager."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from x11_desktop import XServers, open_window, wait_until
from Xlib import X
from Xlib.display import Display

from tray_agent.errors import CaptureLost
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.window import X11WindowProbe, process_name

pytestmark = pytest.mark.x11
ME = Path("/proc/self/exe").readlink().name


@pytest.fixture
def game(display: str) -> Iterator[Display]:
    """A program with windows."""
    with contextlib.closing(connection.open_display(display)) as found:
        yield found


@pytest.fixture
def probe(display: str) -> Iterator[X11WindowProbe]:
    found = X11WindowProbe(display)
    found.start()
    yield found
    found.close()


def test_window_in_front_under_a_window_manager(window_manager: str, game: Display, probe: X11WindowProbe) -> None:
    """Handle, process, title, pid and the client area in root coordinates are those of the front window."""
    window = open_window(game, "Größe: doom", (30, 40, 320, 200), colour=0x00FF00)
    wait_until(lambda: (w := probe.active()) and w.handle == window.id, what="the window in front")
    found = probe.active()
    assert found is not None
    assert (found.process, found.title, found.pid) == (ME, "Größe: doom", os.getpid())
    left, top, width, height = found.rect
    assert (width, height) == (320, 200)
    root = game.screen().root  # it may be in front before it is painted
    wait_until(
        lambda: root.get_image(left, top, 1, 1, X.ZPixmap, 0xFFFFFFFF).data[:3] == b"\x00\xff\x00", what="its corner"
    )


def test_no_window_in_front_is_none(window_manager: str, probe: X11WindowProbe) -> None:
    """With no window left there is nothing in front."""
    wait_until(lambda: probe.active() is None, what="no window in front")


def test_without_a_window_manager_the_focus_decides(game: Display, probe: X11WindowProbe) -> None:
    """The window with the input focus is in front; without one, the window under the pointer."""
    low = open_window(game, "low", (0, 0, 400, 600))
    high = open_window(game, "high", (400, 0, 400, 600))
    low.set_input_focus(X.RevertToParent, X.CurrentTime)
    game.sync()
    found = probe.active()
    assert found is not None
    assert (found.handle, found.title) == (low.id, "low")
    game.set_input_focus(X.PointerRoot, X.RevertToParent, X.CurrentTime)
    game.screen().root.warp_pointer(600, 300)
    game.sync()
    found = probe.active()
    assert found is not None
    assert (found.handle, found.title) == (high.id, "high")


def test_process_names() -> None:
    """A live process has its program's file name, a dead or missing one has none."""
    assert process_name(os.getpid()) == ME
    assert process_name(0) == ""
    assert process_name(2**22 + 1) == ""


def test_lost_display_is_capture_lost(x_servers: XServers, flat_display: str) -> None:
    """When the server dies active() raises CaptureLost."""
    probe = X11WindowProbe(flat_display)
    probe.start()
    server = x_servers.processes[flat_display]
    server.kill()
    server.wait()
    with pytest.raises(CaptureLost, match="gone"):
        probe.active()
    probe.close()

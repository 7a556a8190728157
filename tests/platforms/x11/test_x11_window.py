"""The window in front and picking one, on a real X server with and without a window manager."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from x11_desktop import Player, XServers, open_window, wait_until
from Xlib import X
from Xlib.display import Display

from tray_agent.errors import CaptureLost, PlatformUnavailable
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
    corner = game.screen().root.get_image(left, top, 1, 1, X.ZPixmap, 0xFFFFFFFF).data
    assert corner[:3] == b"\x00\xff\x00"


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


def test_pick_takes_the_clicked_window(window_manager: str, game: Display, physical: Player) -> None:
    """pick() waits for a click and tells the window under it; the click does not reach the window."""
    window = open_window(game, "picked", (100, 100, 300, 200))
    window.change_attributes(event_mask=X.ButtonPressMask)
    with contextlib.closing(X11WindowProbe(window_manager)) as probe:
        probe.start()
        wait_until(lambda: (w := probe.active()) and w.handle == window.id, what="the window in front")
        rect = probe.active().rect
        physical.move_to(rect[0] + 10, rect[1] + 10)
        with probe.picking() as pick:
            assert pick(0.05) is None
            physical.tap("MouseLeft")
            found = wait_until(lambda: pick(0.2), what="the pick")
    assert (found.handle, found.title, found.rect) == (window.id, "picked", rect)
    game.sync()
    assert not game.pending_events() or game.next_event().type != X.ButtonPress


def test_pick_on_the_bare_desktop_is_the_whole_screen(display: str, physical: Player) -> None:
    """A click beside all windows picks the root window: the whole screen."""
    with contextlib.closing(X11WindowProbe(display)) as probe:
        probe.start()
        with probe.picking() as pick:
            physical.tap("MouseLeft")
            found = wait_until(lambda: pick(0.2), what="the pick")
    assert found.rect == (0, 0, 800, 600)


def test_pick_ends_by_another_button(display: str, physical: Player) -> None:
    """Any other button means never mind."""
    with contextlib.closing(X11WindowProbe(display)) as probe:
        probe.start()
        with probe.picking() as pick:
            physical.tap("MouseRight")
            with pytest.raises(PlatformUnavailable, match="No window was picked"):
                wait_until(lambda: pick(0.2), what="the end")


def test_pick_while_another_program_holds_the_pointer_is_refused(display: str, game: Display) -> None:
    """A pointer that is grabbed can't be waited for; the message says so, and nothing hangs."""
    window = open_window(game)
    wait_until(
        lambda: window.grab_pointer(True, 0, X.GrabModeAsync, X.GrabModeAsync, 0, 0, X.CurrentTime) == X.GrabSuccess,
        what="the grab",
    )
    with contextlib.closing(X11WindowProbe(display)) as probe:
        probe.start()
        with pytest.raises(PlatformUnavailable, match="holds the mouse"), probe.picking():
            pass


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

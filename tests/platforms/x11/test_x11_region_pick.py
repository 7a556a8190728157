"""Picking a window or a part of it, on a real X server, by a person's mouse."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest
from x11_desktop import Player, open_window, wait_until
from Xlib import X
from Xlib.display import Display

from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.region_pick import Picked, pick
from tray_agent.platforms.x11.window import X11WindowProbe

pytestmark = pytest.mark.x11
RECT = (100, 100, 300, 200)


@pytest.fixture
def game(display: str) -> Iterator[Display]:
    """A program with windows."""
    with contextlib.closing(connection.open_display(display)) as found:
        yield found


def picked(display: str, hand: Callable[[], None]) -> Picked | None:
    """What is picked while the hand does its part, again and again until picking has ended."""
    found: list[Picked | None] = []
    waiting = threading.Thread(target=lambda: found.append(pick(20.0, display)))
    waiting.start()

    def is_over() -> bool:
        if waiting.is_alive():
            hand()
            waiting.join(0.1)
        return not waiting.is_alive()

    wait_until(is_over, 20.0, "the pick")
    return found[0]


def drag(player: Player, begin: tuple[int, int], end: tuple[int, int]) -> None:
    player.move_to(*begin)
    player.press("MouseLeft")
    player.move_to((begin[0] + end[0]) // 2, (begin[1] + end[1]) // 2)
    player.move_to(*end)
    player.release("MouseLeft")


def test_click_takes_the_window(window_manager: str, game: Display, physical: Player) -> None:
    """The window under the click, inside of the manager's frame, with its place on the screen."""
    window = open_window(game, "picked", RECT)
    with contextlib.closing(X11WindowProbe(window_manager)) as probe:
        probe.start()
        wait_until(lambda: (w := probe.active()) and w.handle == window.id, what="the window in front")
        rect = probe.active().rect
    physical.move_to(rect[0] + 10, rect[1] + 10)
    found = picked(window_manager, lambda: physical.tap("MouseLeft"))
    assert found is not None
    assert (found.window.handle, found.window.title, found.window.rect, found.rect) == (window.id, "picked", rect, None)


def test_drag_takes_a_part(display: str, game: Display, physical: Player) -> None:
    """Whichever way it goes; the frame that is shown meanwhile is gone afterwards."""
    window = open_window(game, "picked", RECT)
    before = len(game.screen().root.query_tree().children)
    found = picked(display, lambda: drag(physical, (350, 250), (150, 120)))
    assert found is not None
    assert (found.window.handle, found.rect) == (window.id, (150, 120, 200, 130))
    assert len(game.screen().root.query_tree().children) == before


def test_bare_desktop_is_the_whole_screen(display: str, physical: Player) -> None:
    """A click beside all windows."""
    found = picked(display, lambda: physical.tap("MouseLeft"))
    assert found is not None
    assert (found.window.rect, found.rect) == ((0, 0, 800, 600), None)


@pytest.mark.parametrize("what", ["MouseRight", "Escape"])
def test_never_mind(display: str, game: Display, physical: Player, what: str) -> None:
    """Another button or Esc ends it with nothing."""
    open_window(game, "picked", RECT)
    assert picked(display, lambda: physical.tap(what)) is None


def test_time_is_up(flat_display: str) -> None:
    """Nobody waits for ever."""
    with pytest.raises(PlatformUnavailable, match="in time"):
        pick(0.05, flat_display)


def test_pointer_that_is_held_is_refused(display: str, game: Display) -> None:
    """A game that holds the pointer itself: the message says so, and nothing hangs."""
    window = open_window(game)
    wait_until(
        lambda: window.grab_pointer(True, 0, X.GrabModeAsync, X.GrabModeAsync, 0, 0, X.CurrentTime) == X.GrabSuccess,
        what="the grab",
    )
    with pytest.raises(PlatformUnavailable, match="holds the mouse"):
        pick(1.0, display)

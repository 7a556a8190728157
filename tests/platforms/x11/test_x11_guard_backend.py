"""The guard's backend on a real nested desktop: pressing, hearing, hotkeys, focus, leftovers."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from x11_desktop import Player, XServers, keys_down, need, open_window, start_window_manager, wait_until
from Xlib import X
from Xlib.ext import xtest

from tray_agent import guard_process
from tray_agent.core.events import Command, InputEvent
from tray_agent.core.guard_port import Heard
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.guard_backend import X11GuardBackend

pytestmark = pytest.mark.x11
KILL = {"kill": ("ControlLeft", "AltLeft", "KeyK")}


@pytest.fixture
def backend(display: str) -> Iterator[X11GuardBackend]:
    """A started backend with the kill hotkey."""
    found = X11GuardBackend(display)
    report = found.start(KILL)
    assert report.hears_player
    assert report.hotkey_problems == {}
    yield found
    found.close()


@pytest.fixture
def silence() -> Iterator[int]:
    """A file descriptor that never becomes readable."""
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


def hear(backend: X11GuardBackend, fd: int, enough: Callable[[list[InputEvent]], bool]) -> list[InputEvent]:
    """Collect events until `enough` of them."""
    events: list[InputEvent] = []

    def done() -> bool:
        heard = backend.wait(fd, 0.2)
        assert heard.lost == ""
        events.extend(heard.events)
        return enough(events)

    wait_until(done, what="events")
    return events


def brief(events: list[InputEvent]) -> list[tuple[str, float, bool]]:
    return [(e.control, e.value, e.own) for e in events]


def test_own_presses_are_own_and_the_players_are_not(backend: X11GuardBackend, physical: Player, silence: int) -> None:
    """What the backend pressed comes back as own; the person's key on the real keyboard does not."""
    backend.apply(Command(held=frozenset({"ArrowLeft", "MouseLeft"})))
    assert sorted(brief(hear(backend, silence, lambda e: len(e) >= 2))) == [
        ("ArrowLeft", 1.0, True),
        ("MouseLeft", 1.0, True),
    ]
    physical.press("ArrowLeft")
    assert brief(hear(backend, silence, bool)) == [("ArrowLeft", 1.0, False)]
    physical.release("ArrowLeft")
    assert brief(hear(backend, silence, bool)) == [("ArrowLeft", 0.0, False)]


def test_another_programs_xtest_counts_as_the_player(backend: X11GuardBackend, display: str, silence: int) -> None:
    """XTest input that is not in the ledger is a person using some other program."""
    other = connection.open_display(display)
    xtest.fake_input(other, X.KeyPress, 38)
    xtest.fake_input(other, X.KeyRelease, 38)
    other.sync()
    assert brief(hear(backend, silence, lambda e: len(e) >= 2)) == [("KeyA", 1.0, False), ("KeyA", 0.0, False)]
    connection.close(other)


def test_moves_and_wheel_are_performed_and_own(backend: X11GuardBackend, silence: int) -> None:
    """Relative moves and wheel notches arrive, own, with their fractions carried over."""
    backend.apply(Command(relative={"MouseX": 5.6, "MouseY": -3.0, "WheelY": 2.0}))
    backend.apply(Command(relative={"MouseX": 0.5}))
    events = hear(backend, silence, lambda e: len(e) >= 5)
    assert brief(events) == [
        ("MouseX", 5.0, True),
        ("MouseY", -3.0, True),
        ("WheelY", 1.0, True),
        ("WheelY", 1.0, True),
        ("MouseX", 1.0, True),
    ]


def test_release_all_clears_the_keymap(backend: X11GuardBackend, display: str) -> None:
    """After release_all the server knows of no key that is down."""
    watcher = connection.open_display(display)
    backend.apply(Command(held=frozenset({"KeyW", "Space", "ShiftLeft"})))
    wait_until(lambda: keys_down(watcher) == {25, 65, 50}, what="three keys down")
    assert set(backend.release_all()) == {"KeyW", "Space", "ShiftLeft"}
    wait_until(lambda: not keys_down(watcher), what="all keys up")
    assert backend.release_all() == ()
    connection.close(watcher)


def test_release_all_leaves_the_players_key_down(backend: X11GuardBackend, physical: Player, display: str) -> None:
    """A key that the person holds as well stays down when the agent lets go of it."""
    watcher = connection.open_display(display)
    backend.apply(Command(held=frozenset({"KeyW", "KeyA"})))
    physical.press("KeyW")
    wait_until(lambda: keys_down(watcher) == {25, 38}, what="both keys down")
    backend.release_all()
    wait_until(lambda: keys_down(watcher) == {25}, what="only the person's key down")
    physical.release("KeyW")
    wait_until(lambda: not keys_down(watcher), what="all keys up")
    connection.close(watcher)


def test_leftovers_of_a_killed_presser_are_released(x_servers: XServers, flat_display: str) -> None:
    """Keys and buttons that a SIGKILLed presser left down are found and released by a fresh backend."""
    code = (
        "import signal,sys\n"
        "from tray_agent.platforms.x11.guard_backend import X11GuardBackend as B\n"
        "from tray_agent.core.events import Command\n"
        "b = B(sys.argv[1]); b.start({})\n"
        "b.apply(Command(held=frozenset({'KeyD', 'MouseRight'})))\n"
        "print('down', flush=True); signal.pause()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, flat_display], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"down\n"
    watcher = connection.open_display(flat_display)
    wait_until(lambda: keys_down(watcher) == {40}, what="the key down")
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert keys_down(watcher) == {40}
    fresh = X11GuardBackend(flat_display)
    fresh.start({})
    assert set(fresh.release_leftovers()) == {"KeyD", "MouseRight"}
    assert keys_down(watcher) == set()
    assert not watcher.screen().root.query_pointer().mask & X.Button3Mask
    assert fresh.release_leftovers() == ()
    fresh.close()
    connection.close(watcher)


def test_hotkey_clash_is_reported(display: str) -> None:
    """A hotkey that another client has grabbed is named in the report; the others are not."""
    other = connection.open_display(display)
    keycode = 45
    other.screen().root.grab_key(keycode, X.ControlMask | X.Mod1Mask, True, X.GrabModeAsync, X.GrabModeAsync)
    other.sync()
    backend = X11GuardBackend(display)
    report = backend.start(KILL | {"play": ("ControlLeft", "AltLeft", "KeyP")})
    assert report.hotkey_problems == {"kill": "taken by another program"}
    backend.close()
    connection.close(other)


def test_hotkey_is_heard_under_the_grab_and_kept_from_the_game(
    backend: X11GuardBackend, physical: Player, display: str, silence: int
) -> None:
    """The grabbed hotkey is still heard key by key, and the game in front gets no press of its last key."""
    game = connection.open_display(display)
    window = open_window(game, rect=(0, 0, 800, 600))
    window.set_input_focus(X.RevertToParent, X.CurrentTime)
    game.sync()
    physical.tap("ControlLeft", "AltLeft", "KeyK")
    physical.tap("KeyJ")
    events = hear(backend, silence, lambda e: len(e) >= 8)
    assert [e.control for e in events if e.value] == ["ControlLeft", "AltLeft", "KeyK", "KeyJ"]
    assert not any(e.own for e in events)
    seen: list[int] = []

    def game_got_j() -> bool:
        while game.pending_events():
            event = game.next_event()
            if event.type == X.KeyPress:
                seen.append(event.detail)
        return 44 in seen

    wait_until(game_got_j, what="the game to get the other key")
    assert seen == [37, 64, 44]
    connection.close(game)


def test_focus_change_is_heard(window_manager: str, backend: X11GuardBackend, silence: int) -> None:
    """Another window coming to the front wakes the guard, and active() names it with process and title."""
    game = connection.open_display(window_manager)
    first = open_window(game, "first")
    wait_until(lambda: (w := backend.active()) and w.handle == first.id, what="the first window in front")
    backend.wait(silence, 0.0)
    second = open_window(game, "second", (10, 20, 100, 80))
    wait_until(lambda: backend.wait(silence, 0.2).focus_changed, what="news of the focus")
    wait_until(lambda: (w := backend.active()) and w.handle == second.id, what="the second window in front")
    found = backend.active()
    assert found is not None
    assert (found.title, found.pid) == ("second", os.getpid())
    assert found.process == Path("/proc/self/exe").readlink().name
    assert found.rect[2:] == (100, 80)
    connection.close(game)


def test_closing_of_the_game_is_heard(window_manager: str, backend: X11GuardBackend, silence: int) -> None:
    """The watched window's end is reported as a focus change."""
    game = connection.open_display(window_manager)
    window = open_window(game)
    wait_until(lambda: (w := backend.active()) and w.handle == window.id, what="the window in front")
    while backend.wait(silence, 0.1).focus_changed:
        pass
    window.destroy()
    game.sync()
    wait_until(lambda: backend.wait(silence, 0.2).focus_changed, what="news of the window's end")
    wait_until(lambda: (w := backend.active()) is None or w.handle != window.id, what="another window or none")
    connection.close(game)


def test_lost_display_is_reported_and_nothing_raises(x_servers: XServers, flat_display: str, silence: int) -> None:
    """When the server dies, wait tells so, releasing stays silent and apply raises OSError."""
    backend = X11GuardBackend(flat_display)
    backend.start(KILL)
    backend.apply(Command(held=frozenset({"KeyW"})))
    server = x_servers.processes[flat_display]
    server.kill()
    server.wait()
    heard: list[Heard] = []
    wait_until(lambda: heard.append(backend.wait(silence, 0.2)) or heard[-1].lost, what="the loss")
    assert "display" in heard[-1].lost
    assert backend.wait(silence, 0.2).lost
    assert backend.release_all() == ()
    assert backend.active() is None
    with pytest.raises(OSError, match="display"):
        backend.apply(Command(held=frozenset({"KeyW"})))
    backend.close()
    backend.close()


def test_commands_wake_the_wait(backend: X11GuardBackend) -> None:
    """A readable command descriptor ends the wait and is reported."""
    reading, writing = os.pipe()
    os.write(writing, b"x")
    wait_until(lambda: backend.wait(reading, 1.0).commands_ready, what="the command")
    os.close(reading)
    os.close(writing)


def test_no_display_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without DISPLAY, or with one where nobody answers, start says what to do."""
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(PlatformUnavailable, match="DISPLAY is not set"):
        X11GuardBackend().start({})
    with pytest.raises(PlatformUnavailable, match="can't be opened"):
        X11GuardBackend(":64999").start({})


def test_openbox_hotkey_does_not_hide_a_takeover(
    x_servers: XServers, backend: X11GuardBackend, physical: Player, display: str, silence: int
) -> None:
    """With a window manager's own grabs in place the person's keys are still heard."""
    start_window_manager(x_servers, display)
    physical.tap("AltLeft", "Tab")
    events = hear(backend, silence, lambda e: len(e) >= 4)
    assert brief(events[:2]) == [("AltLeft", 1.0, False), ("Tab", 1.0, False)]


@pytest.mark.parametrize("third_party", ["player", "ignore"])
def test_other_programs_keys_count_as_configured(flat_display: str, silence: int, third_party: str) -> None:
    """xdotool's key is the player's by default and nothing with "ignore"; our own are own in both."""
    need("xdotool")
    backend = guard_process.make_backend("x11", {"display_name": flat_display, "third_party": third_party})
    assert isinstance(backend, X11GuardBackend)
    assert backend.start(KILL).hears_player
    try:
        backend.apply(Command(held=frozenset({"ArrowLeft"})))
        subprocess.run(["xdotool", "key", "--delay", "0", "a"], check=True, timeout=10)
        backend.apply(Command())
        events = brief(hear(backend, silence, lambda e: [x.own for x in e].count(True) >= 2))
    finally:
        backend.close()
    theirs = [("KeyA", 1.0, False), ("KeyA", 0.0, False)]
    assert [event for event in events if not event[2]] == (theirs if third_party == "player" else [])
    assert [event for event in events if event[2]] == [("ArrowLeft", 1.0, True), ("ArrowLeft", 0.0, True)]

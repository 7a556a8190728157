"""The guard on a real X server: keys are really down, and really up after every way play can end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from guard_desk import HOTKEYS
from x11_desktop import Player, XServers, keys_down, open_window, start_window_manager, wait_until
from Xlib.display import Display

from tray_agent.core.events import Command
from tray_agent.core.keys import EVDEV
from tray_agent.guard.client import GuardClient
from tray_agent.guard.protocol import Armed, Game, Hello, Lost, Refused, Revoked
from tray_agent.guard_process import release_all
from tray_agent.platforms.x11 import connection

pytestmark = pytest.mark.x11

KEYS = ("KeyW", "ArrowLeft", "ShiftLeft")
CODES = {EVDEV[name] + 8 for name in KEYS}
LEASE_MS = 200
_SETTLED = 20  # looks at a window, 10 ms apart, that must all be the same


class Scene:
    """An X server with a guard on it, a player, and an onlooker."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.player = Player(name)
        self.onlooker: Display = connection.open_display(name)
        self.hello = Hello("x11", HOTKEYS, {"display_name": name}, LEASE_MS)
        self.client = GuardClient(self.hello)

    def down(self) -> set[int]:
        return keys_down(self.onlooker)

    def await_event(self, kind: type | tuple[type, ...]) -> Any:
        found: list[Any] = []
        wait_until(
            lambda: found.extend(e for e in self.client.poll(0.01) if isinstance(e, kind)) or found, what=str(kind)
        )
        return found[0]

    def hold(self, game: Game | None = None) -> None:
        """Hold the keys through the guard."""
        self.client.set_game(game or Game(KEYS))
        self.client.ask_permit()
        armed = self.await_event((Armed, Refused))
        assert isinstance(armed, Armed), armed
        self.client.act(armed.epoch, 0, Command(frozenset(KEYS)))
        wait_until(lambda: self.down() == CODES, what="the keys to be down")

    def set_game(self, game: Game) -> None:
        """Tell the guard and wait until it knows: it answers pings after what was sent before them."""
        told_ns = time.monotonic_ns()
        self.client.set_game(game)
        wait_until(lambda: self.client.pong is not None and self.client.pong.t_ns > told_ns, what="a pong")

    def window_game(self, window: Any) -> Game:
        """A game in this window, once it is in front and stays where the window manager put it."""
        atom = self.onlooker.get_atom("_NET_ACTIVE_WINDOW")
        root = self.onlooker.screen().root

        def in_front() -> bool:
            found = root.get_full_property(atom, 0)
            return found is not None and list(found.value[:1]) == [window.id]

        wait_until(in_front, what="the window to be in front")
        rects: list[tuple[int, int, int, int]] = []

        def stays() -> bool:
            geometry, origin = window.get_geometry(), root.translate_coords(window, 0, 0)
            rects.append((origin.x, origin.y, geometry.width, geometry.height))
            return len(rects) > _SETTLED and len(set(rects[-_SETTLED:])) == 1

        wait_until(stays, what="the window to stay where it is")
        return Game(KEYS, window=window.id, rect=rects[-1], lease_ms=5000)

    def close(self) -> None:
        self.client.request_stop()
        self.client.join(5.0)
        self.player.close()
        connection.close(self.onlooker)


@pytest.fixture
def scene(flat_display: str) -> Iterator[Scene]:
    """A running guard on an Xvfb."""
    made = Scene(flat_display)
    made.client.start()
    yield made
    made.close()


def test_kill_hotkey(scene: Scene):
    """Modifiers held since before, the kill key lets go of every key within 20 ms of its press."""
    scene.player.press("ControlLeft", "AltLeft")
    modifiers = scene.down()
    scene.client.set_game(Game(KEYS))
    scene.client.ask_permit()
    epoch = scene.await_event(Armed).epoch
    scene.client.act(epoch, 0, Command(frozenset({"KeyW"})))
    wait_until(lambda: EVDEV["KeyW"] + 8 in scene.down(), what="the key to be down")
    scene.player.press("KeyK")
    revoked = scene.await_event(Revoked)
    assert (revoked.kind, revoked.released) == ("kill", ("KeyW",))
    assert scene.down() == modifiers | {EVDEV["KeyK"] + 8}  # what the player holds stays theirs


@pytest.mark.parametrize("touch", ["key", "button", "wheel", "motion"])
def test_takeover(scene: Scene, touch: str):
    """Whatever the player touches, the agent's keys go up and the player's stay down."""
    scene.player.move_to(100, 100)
    scene.hold()
    match touch:
        case "key":
            scene.player.press("KeyX")
        case "button":
            scene.player.press("MouseLeft")
        case "wheel":
            scene.player.wheel(1)
        case _:
            scene.player.move(30, 0)
    revoked = scene.await_event(Revoked)
    assert revoked.kind == "takeover"
    assert set(revoked.released) == set(KEYS)
    assert scene.down() == ({EVDEV["KeyX"] + 8} if touch == "key" else set())


def test_silence(scene: Scene):
    """A daemon that stops acting loses the keys when the lease ends."""
    scene.hold()
    wait_until(lambda: scene.down() == set(), what="release")
    assert scene.await_event(Revoked).kind == "lease"


def test_guard_killed(scene: Scene):
    """X keeps the keys of a killed guard down; the client lets them go."""
    scene.hold(Game(KEYS, lease_ms=5000))
    os.kill(scene.client.pid, signal.SIGKILL)
    assert set(scene.await_event(Lost).released) == set(KEYS)
    assert scene.down() == set()


def test_guard_terminated(scene: Scene):
    """SIGTERM of the guard lets go first."""
    scene.hold(Game(KEYS, lease_ms=5000))
    os.kill(scene.client.pid, signal.SIGTERM)
    assert scene.await_event(Revoked).kind == "signal"
    assert scene.down() == set()


def test_display_dies(scene: Scene, x_servers: XServers):
    """With the X server gone the guard ends with the reason instead of hanging."""
    scene.hold(Game(KEYS, lease_ms=5000))
    x_servers.processes[scene.name].kill()
    assert scene.await_event(Revoked).kind == "lost"
    wait_until(lambda: not scene.client.alive, what="the guard's end")


@pytest.mark.parametrize("change", ["other window", "moved", "resized", "closed"])
def test_window(scene: Scene, x_servers: XServers, change: str):
    """When the game's window loses focus, moves, changes size or closes, all keys go up."""
    start_window_manager(x_servers, scene.name)
    with contextlib.closing(connection.open_display(scene.name)) as owner:
        window = open_window(owner, rect=(50, 60, 200, 150))
        scene.hold(scene.window_game(window))
        match change:
            case "other window":
                open_window(owner, "chat")
            case "moved":
                window.configure(x=90)
            case "resized":
                window.configure(width=300)
            case _:
                window.destroy()
        owner.sync()
        revoked = scene.await_event(Revoked)
        assert revoked.kind == "window"
        assert scene.down() == set()
        scene.client.ask_permit()
        assert "window" in scene.await_event(Refused).reason


def test_play_hotkey_in_another_window_is_refused(scene: Scene, x_servers: XServers):
    """The play hotkey arms only with the game in front."""
    start_window_manager(x_servers, scene.name)
    with contextlib.closing(connection.open_display(scene.name)) as owner:
        window = open_window(owner)
        scene.set_game(scene.window_game(window))
        scene.player.tap(*HOTKEYS["play"])
        assert scene.await_event(Armed).epoch == 1
        scene.player.tap(*HOTKEYS["play"])
        assert scene.await_event(Revoked).kind == "takeover"
        other = open_window(owner, "chat")
        scene.window_game(other)
        scene.player.tap(*HOTKEYS["play"])
        assert "not in front" in scene.await_event(Refused).reason


def test_real_device(nested_displays: tuple[str, str]):
    """In a nested server the player's keyboard is another device than the agent's, and takes over all the same."""
    outer, inner = nested_displays
    with contextlib.closing(Player(outer)) as person:
        scene = Scene(inner)
        try:
            scene.client.start()
            person.move_to(400, 300)
            scene.hold()
            person.press("KeyX")
            assert scene.await_event(Revoked).kind == "takeover"
            assert not scene.down() & CODES
            person.release("KeyX")
        finally:
            scene.close()


# -- the daemon dies

DAEMON = """
import sys
from tray_agent.core.events import Command
from tray_agent.guard.client import GuardClient
from tray_agent.guard.protocol import Armed, Game, Hello
keys = sys.argv[2].split()
client = GuardClient(Hello.from_json(sys.argv[1]))
client.start()
client.set_game(Game(tuple(keys)))
client.ask_permit()
epoch = 0
while not epoch:
    epoch = max([e.epoch for e in client.poll(1.0) if isinstance(e, Armed)], default=0)
print(client.pid, flush=True)
seq = 0
while True:
    client.act(epoch, seq, Command(frozenset(keys)))
    seq += 1
    client.poll(0.02)
"""


class Daemon:
    """Another process that holds the keys through its own guard."""

    def __init__(self, scene: Scene) -> None:
        command = [sys.executable, "-c", DAEMON, scene.hello.to_json(), " ".join(KEYS)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.guard_pid = int(self.process.stdout.readline())
        wait_until(lambda: scene.down() == CODES, what="the keys to be down")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def held(flat_display: str) -> Iterator[tuple[Scene, Daemon]]:
    """An onlooker's scene without a guard of its own, and a daemon that holds keys in it."""
    scene = Scene(flat_display)
    daemon = Daemon(scene)
    yield scene, daemon
    daemon.close()
    scene.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_daemon_dies(held: tuple[Scene, Daemon], how: signal.Signals):
    """SIGKILL or SIGSTOP of the daemon mid-hold: every key up (how soon: `bench kill`)."""
    scene, daemon = held
    daemon.process.send_signal(how)
    wait_until(lambda: scene.down() == set(), what="release")


def test_release_all_after_both_died(held: tuple[Scene, Daemon]):
    """With daemon and guard killed at once the keys stay down in X; `release_all` clears them."""
    scene, daemon = held
    daemon.process.send_signal(signal.SIGSTOP)  # so that it can't clean up after its guard
    os.kill(daemon.guard_pid, signal.SIGKILL)
    daemon.process.kill()
    daemon.process.wait()
    assert scene.down() == CODES
    assert set(release_all("x11", {"display_name": scene.name})) == set(KEYS)
    assert scene.down() == set()

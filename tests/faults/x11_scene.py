"""A real X11 desktop with a small game window, a physical player, and the daemon on it, for the fault tests.

Fixture `x11`: the desktop (one for all tests of a run; whoever breaks it makes an `own_x11`).
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import x11_desktop
from fault_scene import DaemonProcess, Daemons, Status, give_policy, play_until, until
from Xlib.display import Display
from Xlib.xobject.drawable import Window

from tray_agent.core.keys import EVDEV
from tray_agent.platforms.x11 import connection
from tray_agent.settings.games import SHIPPED, GameProfile, GamesFile
from tray_agent.settings.load import load

GAME = "blinking"
TITLE = "blinking game"
PROFILE = f"""games:
  {GAME}:
    vector: 900
    match: {{title: {TITLE}}}
    controls: {{keys: [left, right, space]}}
    rate_hz: 30
    frame: {{width: 32, height: 24}}
"""
HELD = ("ArrowRight", "Space")
WATCH, PLAY, KILL = (("ControlLeft", "AltLeft", key) for key in ("KeyW", "KeyP", "KeyK"))


class X11Scene:
    """Xephyr in Xvfb (what is pressed on the outer one is a person's hand), openbox, and game windows."""

    def __init__(self) -> None:
        self.servers = x11_desktop.XServers()
        self.name = ""
        self._games: list[subprocess.Popen[bytes]] = []
        self._still: list[Window] = []

    def start(self) -> None:
        """Start the servers and the window manager, and connect."""
        self.outer = self.servers.xvfb(640, 480)
        self.name = self.servers.xephyr(self.outer, 640, 480)
        x11_desktop.start_window_manager(self.servers, self.name)
        self.player = x11_desktop.Player(self.outer)
        self.eyes: Display = connection.open_display(self.name)

    def keys_down(self) -> set[str]:
        """Names of the keys of interest that the server says are down."""
        codes = x11_desktop.keys_down(self.eyes)
        return {name for name, code in EVDEV.items() if code + 8 in codes}

    def game(self) -> "subprocess.Popen[bytes]":
        """A new game window, in front."""
        script = str(Path(__file__).with_name("blinking_window.py"))
        game = subprocess.Popen(
            [sys.executable, script, TITLE],
            env=os.environ | {"DISPLAY": self.name},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._games.append(game)
        assert game.stdout is not None
        self.window: Window = self.eyes.create_resource_object("window", int(game.stdout.readline()))
        return game

    def still_game(self, colour: int) -> Window:
        """A window with the game's title whose picture never changes; returns when it is mapped."""
        window = x11_desktop.open_window(self.eyes, TITLE, (40, 40, 320, 240), colour)
        self._still.append(window)
        return window

    def clear(self) -> None:
        """End the games of a test, or the next test's daemon would watch them; nothing may be down after it."""
        for window in self._still:
            window.destroy()
        if self._still:
            self.eyes.sync()
        self._still.clear()
        for game in self._games:
            game.kill()
            game.wait()
            if game.stdout is not None:
                game.stdout.close()
        self._games.clear()

    def close(self) -> None:
        """End all."""
        self.clear()
        with contextlib.suppress(Exception):  # the display may be dead, by intent
            self.player.close()
            connection.close(self.eyes)
        self.servers.close()


def _scene() -> X11Scene:
    for program in ("Xvfb", "Xephyr", "openbox"):
        x11_desktop.need(program)
    scene = X11Scene()
    try:
        scene.start()
    except BaseException:
        scene.close()
        raise
    return scene


@pytest.fixture(scope="session")
def shared_x11() -> Iterator[X11Scene]:
    """One desktop for all tests that leave it whole."""
    scene = _scene()
    yield scene
    scene.close()


@pytest.fixture
def x11(shared_x11: X11Scene) -> Iterator[X11Scene]:
    """A desktop without windows, no key down before or after."""
    assert shared_x11.keys_down() == set()
    yield shared_x11
    shared_x11.clear()
    until(lambda: shared_x11.keys_down() == set(), "all keys up at the end of the test")


@pytest.fixture
def own_x11() -> Iterator[X11Scene]:
    """A desktop of this test's own."""
    scene = _scene()
    yield scene
    scene.close()


def x11_profile(home: Path) -> GameProfile:
    """Profile of the game, from the file the daemon reads."""
    return load(home / "config" / "games.yaml", GamesFile, {SHIPPED: {}}).profiles()[GAME]


def start_on(
    scene: X11Scene, daemons: Daemons, audio: bool = False, tray: bool = False, **environment: str
) -> DaemonProcess:
    """A daemon that has a policy for the game, on this desktop; returns at once."""
    daemons.write_config("games.yaml", PROFILE + ("    audio: true\n" if audio else ""))
    give_policy(daemons.home, x11_profile(daemons.home), HELD)
    return daemons.start([], tray, DISPLAY=scene.name, **environment)


def is_ready(status: Status) -> bool:
    """Whether the daemon may be asked to play."""
    return bool(status["game_in_front"] and status["bundle"] and status["guard"]["ready"])


def play(scene: X11Scene, daemon: DaemonProcess) -> None:
    """Press the play hotkey; returns when the agent's keys are down on the server."""
    scene.player.tap(*PLAY)
    play_until(daemon, lambda: scene.player.tap(*PLAY), lambda _: scene.keys_down() == set(HELD))

"""Real X desktops for tests, as a pytest plugin (`pytest_plugins = ["x11_desktop"]`).

Every server picks its own display number (-displayfd), so that runs never clash, and is ended by its own pid.
A *nested* desktop is a Xephyr inside an Xvfb: what `Player` presses on the outer display arrives inside as the
devices "Xephyr virtual keyboard" and "Xephyr virtual mouse", which makes a physical player for a program inside.

Fixtures: `display` (name of the inner display, also in $DISPLAY), `physical` (the Player), `window_manager`
(openbox), `tray_host` (tint2), `flat_display` (an Xvfb alone, quicker), `x_servers` (start any of them).
"""

import contextlib
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from Xlib import X, Xatom
from Xlib.display import Display
from Xlib.ext import xtest
from Xlib.xobject.drawable import Window

from tray_agent.core.keys import EVDEV, MOUSE_BUTTONS
from tray_agent.platforms.x11 import connection

START_S = 20.0
_BUTTON = dict(zip(MOUSE_BUTTONS, (1, 2, 3, 8, 9), strict=True))
T = TypeVar("T")


def wait_until(check: Callable[[], T], timeout_s: float = 5.0, what: str = "it to happen") -> T:
    """Poll until `check()` is true; returns its value, fails the test naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (value := check()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s} s for {what}")
        time.sleep(0.01)
    return value


def need(program: str) -> None:
    """Skip the test, with the reason, where a program is missing."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End one child: politely, then for good."""
    process.terminate()
    try:
        process.wait(3.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5.0)


class XServers:
    """Starts X servers and their clients; `close()` ends all of them, the last one first."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def xvfb(self, width: int = 800, height: int = 600, *options: str) -> str:
        """Name of a new Xvfb."""
        return self._serve(["Xvfb", "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp", "-noreset", *options])

    def xephyr(self, outer: str, width: int = 800, height: int = 600) -> str:
        """Name of a new Xephyr that fills `outer`."""
        arguments = ["Xephyr", "-screen", f"{width}x{height}", "-no-host-grab", "-nolisten", "tcp", "-noreset"]
        return self._serve(arguments, outer)

    def tigervnc(self, port: int, width: int = 800, height: int = 600) -> str:
        """Name of a new Xtigervnc whose VNC port is `port` on the loopback."""
        options = ["-SecurityTypes", "None", "-localhost", "-rfbport", str(port), "-geometry", f"{width}x{height}"]
        return self._serve(["Xtigervnc", "-depth", "24", *options])

    def run(self, command: list[str], display: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a client of `display`; it is ended at the end of the test."""
        need(command[0])
        child = subprocess.Popen(
            command,
            env=os.environ | {"DISPLAY": display} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(stop, child)
        return child

    def close(self) -> None:
        self._stack.close()

    def _serve(self, command: list[str], outer: str = "") -> str:
        need(command[0])
        told, tells = os.pipe()
        try:
            child = subprocess.Popen(
                [*command, "-displayfd", str(tells)],
                env=os.environ | {"DISPLAY": outer},
                pass_fds=[tells],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        finally:
            os.close(tells)
        self._stack.callback(stop, child)
        name = f":{_read_line(told, command[0])}"
        self.processes[name] = child
        return name


def _read_line(told: int, program: str) -> str:
    text = b""
    deadline = time.monotonic() + START_S
    with os.fdopen(told, "rb", buffering=0) as pipe:
        while not text.endswith(b"\n"):
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                pytest.fail(f"{program} did not start within {START_S} s")
            chunk = pipe.read(16)
            if not chunk:
                pytest.fail(f"{program} ended before it had a display")
            text += chunk
    return text.decode().strip()


class Player:
    """Presses through XTest on a display: on the outer one of a nested desktop, that is a person's hands."""

    def __init__(self, display_name: str) -> None:
        self._display = connection.open_display(display_name)

    def press(self, *names: str) -> None:
        for name in names:
            self._fake(name, down=True)

    def release(self, *names: str) -> None:
        for name in names:
            self._fake(name, down=False)

    def tap(self, *names: str) -> None:
        """Press all in order, release in reverse."""
        self.press(*names)
        self.release(*reversed(names))

    def move(self, dx: int, dy: int) -> None:
        """Relative motion in pixels of the display."""
        self._send(X.MotionNotify, 1, dx, dy)

    def move_to(self, x: int, y: int) -> None:
        """Absolute position on the display."""
        self._send(X.MotionNotify, 0, x, y)

    def wheel(self, notches: int) -> None:
        """Positive is away from the hand."""
        for _ in range(abs(notches)):
            self._send(X.ButtonPress, 4 if notches > 0 else 5)
            self._send(X.ButtonRelease, 4 if notches > 0 else 5)

    def close(self) -> None:
        connection.close(self._display)

    def _fake(self, name: str, *, down: bool) -> None:
        if name in _BUTTON:
            self._send(X.ButtonPress if down else X.ButtonRelease, _BUTTON[name])
        else:
            self._send(X.KeyPress if down else X.KeyRelease, EVDEV[name] + 8)

    def _send(self, event: int, detail: int, x: int = 0, y: int = 0) -> None:
        xtest.fake_input(self._display, event, detail, x=x, y=y)
        self._display.sync()


def keys_down(display: Display) -> set[int]:
    """Keycodes that the server says are down (all keyboards together)."""
    return {8 * i + bit for i, byte in enumerate(display.query_keymap()) for bit in range(8) if byte >> bit & 1}


def open_window(
    display: Display, title: str = "game", rect: tuple[int, int, int, int] = (0, 0, 200, 150), colour: int = 0
) -> Window:
    """A mapped window (python-xlib object) of a plain colour."""
    screen = display.screen()
    events = X.KeyPressMask | X.KeyReleaseMask | X.StructureNotifyMask | X.FocusChangeMask
    window = screen.root.create_window(*rect, 0, screen.root_depth, background_pixel=colour, event_mask=events)
    window.set_wm_name(title)
    window.set_wm_class("game", "Game")
    window.change_property(display.get_atom("_NET_WM_PID"), Xatom.CARDINAL, 32, [os.getpid()])
    window.map()
    display.sync()
    return window


@pytest.fixture
def x_servers() -> Iterator[XServers]:
    """Starts X servers and clients; all are ended after the test."""
    servers = XServers()
    yield servers
    servers.close()


@pytest.fixture
def flat_display(x_servers: XServers, monkeypatch: pytest.MonkeyPatch) -> str:
    """An Xvfb alone (800x600), also in $DISPLAY; nothing physical can be pressed in it."""
    name = x_servers.xvfb()
    monkeypatch.setenv("DISPLAY", name)
    return name


@pytest.fixture
def nested_displays(x_servers: XServers, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """(outer, inner) names of a Xephyr inside an Xvfb, 800x600; $DISPLAY is the inner one."""
    outer = x_servers.xvfb()
    inner = x_servers.xephyr(outer)
    monkeypatch.setenv("DISPLAY", inner)
    return outer, inner


@pytest.fixture
def display(nested_displays: tuple[str, str]) -> str:
    """The display that programs under test use."""
    return nested_displays[1]


@pytest.fixture
def physical(nested_displays: tuple[str, str]) -> Iterator[Player]:
    """A person at the keyboard and mouse of `display`."""
    player = Player(nested_displays[0])
    player.move_to(400, 300)
    yield player
    player.close()


@pytest.fixture
def window_manager(x_servers: XServers, display: str) -> str:
    """openbox on `display`; returns the display's name when the manager is ready."""
    return start_window_manager(x_servers, display)


@pytest.fixture
def tray_host(x_servers: XServers, window_manager: str) -> str:
    """tint2 (a panel with a tray) under openbox; returns the display's name when the tray is there."""
    x_servers.run(["tint2"], window_manager)
    with contextlib.closing(connection.open_display(window_manager)) as probe:
        atom = probe.get_atom("_NET_SYSTEM_TRAY_S0")
        wait_until(lambda: probe.get_selection_owner(atom) != X.NONE, START_S, "tint2's tray")
    return window_manager


def start_window_manager(servers: XServers, name: str) -> str:
    """Start openbox on a display and wait until it gives the focus to new windows."""
    servers.run(["openbox"], name)
    with contextlib.closing(connection.open_display(name)) as probe:
        wait_until(lambda: _gets_focus(probe), START_S, "openbox")
    return name


def _gets_focus(display: Display) -> bool:
    """Whether a new window comes to the front. A window mapped before the manager is ready never does."""
    window = open_window(display, "probe")
    atom = display.get_atom("_NET_ACTIVE_WINDOW")
    deadline = time.monotonic() + 0.5
    found = None
    while time.monotonic() < deadline and not (found is not None and window.id in found.value):
        time.sleep(0.01)
        found = display.screen().root.get_full_property(atom, Xatom.WINDOW)
    window.destroy()
    display.sync()
    return found is not None and window.id in found.value

"""The tray on a real desktop: Xvfb, openbox, tint2, a private session bus, XTest clicks, pixels of the panel."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from x11_desktop import Player, XServers, need, start_window_manager, stop, wait_until
from Xlib import X

from tray_agent.clients.tray.icons import COLOURS, TrayState
from tray_agent.platforms.x11 import connection
from tray_agent.runtime.local_socket import Connection, Listener

pytestmark = pytest.mark.x11

TINT2 = """
panel_items = S
panel_size = 100% 40
panel_position = bottom center horizontal
panel_background_id = 0
systray_padding = 4 4 4
systray_icon_size = 32
rounded = 0
border_width = 0
background_color = #202124 100
"""


class StandInDaemon:
    """A control socket as the daemon's: answers status, keeps every other command. One thread serves all."""

    def __init__(self, path: Path) -> None:
        self.status: dict[str, Any] = {"mode": "idle", "game": "Pong", "games": ["Pong", "Doom"], "detail": ""}
        self.commands: list[dict[str, Any]] = []
        self.refuse = ""
        self._listener = Listener(path)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def _serve(self) -> None:
        clients: list[Connection] = []
        while not self._stop.is_set():
            if (new := self._listener.accept(0.02)) is not None:
                clients.append(new)
            for client in list(clients):
                try:
                    while (message := client.receive(0.0)) is not None:
                        client.send(self._answer(message))
                except OSError:
                    client.close()
                    clients.remove(client)
        for client in clients:
            client.close()
        self._listener.close()

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["op"] == "status":
            return {"ok": True, "status": self.status}
        self.commands.append(message)
        return {"ok": False, "error": self.refuse, "code": "refused"} if self.refuse else {"ok": True}


@dataclass
class TrayProcess:
    """The tray's process and the events it told."""

    child: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    reader: threading.Thread | None = None

    def start(self) -> None:
        self.reader = threading.Thread(target=self.read_events, daemon=True)
        self.reader.start()

    def close(self) -> None:
        stop(self.child)  # type: ignore[arg-type]  # it speaks text, stop() does not care
        assert self.reader is not None
        self.reader.join(5.0)
        assert self.child.stderr is not None
        self.child.stderr.close()

    def read_events(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self.events.append(json.loads(line) if line.startswith("{") else {"state": "noise", "message": line})

    def states(self) -> list[str]:
        return [str(event["state"]) for event in self.events]


class Desk:
    """One desktop with everything a tray needs, and ways to look and click."""

    def __init__(self, servers: XServers, folder: Path) -> None:
        self.servers = servers
        self.folder = folder
        self.name = start_window_manager(servers, servers.xvfb(640, 400))
        self.player = Player(self.name)
        self.display = connection.open_display(self.name)
        self.daemon = StandInDaemon(folder / "run" / "control")
        self.trays: list[TrayProcess] = []
        self.environment = {k: v for k, v in os.environ.items() if k not in ("WAYLAND_DISPLAY", "PYSTRAY_BACKEND")}
        self.environment |= {"DISPLAY": self.name, "TRAY_AGENT_HOME": str(folder / "home")}
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = self._start_bus()

    def _start_bus(self) -> str:
        need("dbus-daemon")
        address = f"unix:path={self.folder}/bus"
        self.servers.run(["dbus-daemon", "--session", "--nofork", f"--address={address}"], self.name)
        wait_until((self.folder / "bus").exists, 10, "the session bus")
        return address

    def start_host(self) -> subprocess.Popen[bytes]:
        config = self.folder / "tint2rc"
        config.write_text(TINT2)
        host = self.servers.run(["tint2", "-c", str(config)], self.name, DBUS_SESSION_BUS_ADDRESS="")
        wait_until(self.has_host, 10, "tint2's tray")
        return host

    def has_host(self) -> bool:
        return bool(self.display.get_selection_owner(self.display.get_atom("_NET_SYSTEM_TRAY_S0")) != X.NONE)

    def start_tray(self, *options: str, **environment: str) -> TrayProcess:
        command = [sys.executable, "-m", "tray_agent.clients.tray", "--socket", str(self.folder / "run" / "control")]
        child = subprocess.Popen(
            [*command, *options], env=self.environment | environment, stderr=subprocess.PIPE, text=True
        )
        tray = TrayProcess(child)
        tray.start()
        self.trays.append(tray)
        return tray

    def picture(self) -> Image.Image:
        raw = self.display.screen().root.get_image(0, 0, 640, 400, X.ZPixmap, 0xFFFFFFFF)
        return Image.frombytes("RGB", (640, 400), raw.data, "raw", "BGRX")

    def place_of(self, state: TrayState) -> tuple[int, int] | None:
        """Middle of the panel's pixels that have the state's colour; None when there are too few."""
        panel = np.asarray(self.picture())[360:].astype(int)
        rows, columns = np.nonzero(np.abs(panel - COLOURS[state]).max(axis=2) <= 12)
        if len(rows) < 40:
            return None
        return int(columns.mean()), 360 + int(rows.mean())

    def wait_icon(self, state: TrayState) -> tuple[int, int]:
        return wait_until(lambda: self.place_of(state), 15, f"the {state} icon in the panel")

    def click(self, place: tuple[int, int], button: str) -> None:
        self.player.move_to(*place)
        self.player.tap(button)

    def open_menu(self, place: tuple[int, int]) -> None:
        """Right-click and wait until a menu has grabbed the place above the panel."""
        before = self.picture().crop((0, 0, 640, 360)).tobytes()
        self.click(place, "MouseRight")
        wait_until(lambda: self.picture().crop((0, 0, 640, 360)).tobytes() != before, 5, "the menu")

    def commands(self) -> list[dict[str, Any]]:
        return self.daemon.commands

    def close(self) -> None:
        for tray in self.trays:
            tray.close()
        self.player.close()
        connection.close(self.display)
        self.daemon.close()


@pytest.fixture
def desk(x_servers: XServers, tmp_path: Path) -> Iterator[Desk]:
    """A desktop without a tray host yet."""
    for program in ("openbox", "tint2"):
        need(program)
    made = Desk(x_servers, tmp_path)
    yield made
    made.close()


def has_gtk() -> bool:
    return subprocess.run([sys.executable, "-c", "import gi; gi.require_version('Gtk', '3.0')"]).returncode == 0


@pytest.fixture
def gtk() -> None:
    if not has_gtk():
        pytest.skip("GTK's bindings (python3-gi) are not installed for this Python")


def test_icon_is_in_the_panel_and_follows_the_state(desk: Desk, gtk: None) -> None:
    """Every state's colour is really seen in the panel, within two polls of the daemon saying so."""
    desk.start_host()
    tray = desk.start_tray()
    for state in TrayState:
        desk.daemon.status = {**desk.daemon.status, "mode": str(state)}
        desk.wait_icon(state)
    wait_until(lambda: "shown" in tray.states(), 5, "the event")
    assert "noise" not in tray.states(), tray.events


def test_menu_opens_and_a_choice_arrives(desk: Desk, gtk: None) -> None:
    """A right click opens the menu; choosing by keyboard sends the command to the daemon."""
    desk.start_host()
    desk.start_tray()
    place = desk.wait_icon(TrayState.IDLE)
    desk.open_menu(place)
    save_picture(desk, "menu.png")
    desk.player.tap("ArrowDown")
    desk.player.tap("ArrowDown")
    desk.player.tap("Enter")
    wait_until(desk.commands, 5, "a command")
    assert desk.commands() == [{"op": "play"}]


def test_game_submenu(desk: Desk, gtk: None) -> None:
    """The second game of the submenu can be chosen."""
    desk.start_host()
    desk.start_tray()
    desk.open_menu(desk.wait_icon(TrayState.IDLE))
    # Watch, Play, Game (Stop can't be chosen while idle), into the submenu, second game
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown", "Enter"):
        desk.player.tap(key)
    wait_until(desk.commands, 5, "a command")
    assert desk.commands() == [{"op": "game", "name": "Doom"}]


def test_left_click_watches_then_stops(desk: Desk, gtk: None) -> None:
    """Left click is watch when idle, stop when anything runs."""
    desk.start_host()
    desk.start_tray()
    desk.click(desk.wait_icon(TrayState.IDLE), "MouseLeft")
    wait_until(desk.commands, 5, "watch")
    desk.daemon.status = {**desk.daemon.status, "mode": "playing"}
    desk.click(desk.wait_icon(TrayState.PLAYING), "MouseLeft")
    wait_until(lambda: len(desk.commands()) == 2, 5, "stop")
    assert desk.commands() == [{"op": "watch"}, {"op": "stop"}]


def test_xorg_backend_hears_clicks(desk: Desk) -> None:
    """Without GTK the icon is there too; its left click works and the missing menu is told once."""
    desk.start_host()
    tray = desk.start_tray(PYSTRAY_BACKEND="xorg")
    desk.click(desk.wait_icon(TrayState.IDLE), "MouseLeft")
    wait_until(desk.commands, 5, "watch")
    assert desk.commands() == [{"op": "watch"}]
    assert tray.states().count("no-menu") == 1
    desk.daemon.status = {**desk.daemon.status, "mode": "stopped", "detail": "takeover"}
    desk.wait_icon(TrayState.STOPPED)
    wait_until(lambda: "notice" in tray.states(), 5, "the notice")


def test_no_host_is_said_once_then_one_appears(desk: Desk, gtk: None) -> None:
    """Without a host the tray says so once and waits; the icon comes up when a host does."""
    tray = desk.start_tray()
    wait_until(lambda: "no-host" in tray.states(), 10, "the event")
    desk.start_host()
    desk.wait_icon(TrayState.IDLE)
    assert tray.states().count("no-host") == 1


@pytest.mark.parametrize("backend", ["gtk", "xorg"])
def test_host_that_restarts_gets_the_icon_again(desk: Desk, backend: str) -> None:
    """The panel crashes and comes back: so does the icon, in the same process, without a second complaint."""
    if backend == "gtk" and not has_gtk():
        pytest.skip("GTK's bindings (python3-gi) are not installed for this Python")
    host = desk.start_host()
    tray = desk.start_tray(PYSTRAY_BACKEND=backend)
    desk.wait_icon(TrayState.IDLE)
    host.kill()
    host.wait()
    wait_until(lambda: "host-lost" in tray.states(), 10, "the loss to be noticed")
    desk.start_host()
    desk.wait_icon(TrayState.IDLE)
    assert tray.child.poll() is None
    assert "no-host" not in tray.states()


def test_without_a_session_bus_the_menu_still_works(desk: Desk, gtk: None) -> None:
    """No D-Bus: icon and menu as ever, only notifications are missing, and that is told."""
    desk.start_host()
    tray = desk.start_tray(DBUS_SESSION_BUS_ADDRESS="", XDG_RUNTIME_DIR="")
    desk.open_menu(desk.wait_icon(TrayState.IDLE))
    desk.player.tap("ArrowDown")
    desk.player.tap("Enter")
    wait_until(desk.commands, 5, "watch")
    desk.daemon.status = {**desk.daemon.status, "mode": "fault", "detail": "the guard died"}
    desk.wait_icon(TrayState.FAULT)
    wait_until(lambda: "not-notified" in tray.states(), 5, "the missing notification to be told")


def test_refusal_is_shown(desk: Desk, gtk: None) -> None:
    """The daemon's reason not to play reaches the user."""
    desk.daemon.refuse = "no policy for Pong yet"
    desk.start_host()
    tray = desk.start_tray()
    desk.click(desk.wait_icon(TrayState.IDLE), "MouseLeft")
    wait_until(lambda: "refused" in tray.states(), 5, "the refusal")
    assert next(e for e in tray.events if e["state"] == "refused")["message"] == "no policy for Pong yet"


@pytest.mark.parametrize("backend", ["gtk", "xorg"])
def test_daemon_that_ends_takes_the_icon_along(desk: Desk, backend: str) -> None:
    """When the daemon has gone the icon turns to fault, then the process ends by itself and leaves nothing."""
    if backend == "gtk" and not has_gtk():
        pytest.skip("GTK's bindings (python3-gi) are not installed for this Python")
    desk.start_host()
    tray = desk.start_tray(PYSTRAY_BACKEND=backend)
    desk.wait_icon(TrayState.IDLE)
    desk.daemon.close()
    desk.wait_icon(TrayState.FAULT)
    assert tray.child.wait(15) == 0
    assert not list((desk.folder / "home" / "run").glob("icon-*"))


def test_icon_files_of_a_killed_tray_are_cleared(desk: Desk, gtk: None) -> None:
    """SIGKILL leaves icon files behind; the next tray removes them."""
    desk.start_host()
    first = desk.start_tray()
    desk.wait_icon(TrayState.IDLE)
    first.child.kill()
    first.child.wait()
    left = desk.folder / "home" / "run" / f"icon-{first.child.pid}"
    assert left.exists()
    desk.start_tray()
    wait_until(lambda: not left.exists(), 5, "the old files to go")


def test_no_display_is_told(tmp_path: Path) -> None:
    """Without DISPLAY: one sentence, the exit code for a lacking machine, no traceback."""
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-m", "tray_agent.clients.tray", "--socket", str(tmp_path / "s")]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 6
    assert "DISPLAY is not set" in json.loads(done.stderr)["message"]


def test_no_daemon_is_told(desk: Desk) -> None:
    """Without a daemon the process ends at once with that exit code."""
    desk.daemon.close()
    tray = desk.start_tray()
    assert tray.child.wait(10) == 4
    wait_until(lambda: tray.states() == ["gone"], 2, "the event")


def save_picture(desk: Desk, name: str) -> None:
    """Keep a picture for people where TRAY_AGENT_PICTURES names a folder."""
    if folder := os.environ.get("TRAY_AGENT_PICTURES"):
        desk.picture().save(Path(folder) / name)


def test_status_notifier_host_is_preferred(desk: Desk, gtk: None) -> None:
    """Where a StatusNotifier host is on the bus (KDE, GNOME's extension), the icon registers with it."""
    watcher = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("status_notifier_watcher.py"))],
        env=desk.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "ready\n"
        desk.start_host()
        tray = desk.start_tray()
        assert "RegisterStatusNotifierItem" in watcher.stdout.readline()
        wait_until(lambda: "shown" in tray.states(), 10, "the event")
        assert next(e for e in tray.events if e["state"] == "shown")["backend"] == "appindicator"
    finally:
        stop(watcher)  # type: ignore[arg-type]  # it speaks text, stop() does not care
        watcher.stdout.close()


def test_the_real_daemon_brings_its_icon(desk: Desk, gtk: None) -> None:
    """`tray-agent run` shows the icon; Quit in its menu ends the daemon, and the icon goes with it."""
    desk.start_host()
    home = desk.folder / "own"
    env = desk.environment | {"TRAY_AGENT_HOME": str(home)}
    with subprocess.Popen([sys.executable, "-m", "tray_agent", "run"], env=env, stderr=-3, stdin=-3) as daemon:
        try:
            desk.open_menu(desk.wait_icon(TrayState.IDLE))
            desk.player.tap("ArrowUp")
            desk.player.tap("Enter")
            assert daemon.wait(15) == 0
            wait_until(lambda: desk.place_of(TrayState.IDLE) is None, 5, "the icon to go")
        finally:
            stop(daemon)

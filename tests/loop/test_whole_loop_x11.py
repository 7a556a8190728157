"""The product's main job on a real X11 desktop: a real game in a real window, driven by hotkeys alone.

Xephyr's own keyboard is the physical player's; the agent presses through XTest inside. Nothing is stood in for.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from x11_desktop import Player, XServers, keys_down, need, start_window_manager, stop, wait_until
from Xlib import X

from tray_agent.clients.tray.icons import COLOURS
from tray_agent.clients.tray.status import TrayState
from tray_agent.core.keys import EVDEV
from tray_agent.daemon.control import request
from tray_agent.platforms.x11 import connection
from tray_agent.sessions.reader import SessionReader

WAD = "/usr/share/games/doom/freedoom1.wad"
WATCH, PLAY, KILL = (("ControlLeft", "AltLeft", key) for key in ("KeyW", "KeyP", "KeyK"))
GAME_KEYS = ("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "ControlLeft", "Space")
PLAN = ("ArrowUp", "ArrowLeft", "ArrowUp", "ArrowRight", "ControlLeft")
SIZE = (800, 600)
TINT2 = "panel_items = S\npanel_position = bottom center horizontal\npanel_size = 100% 40\nsystray_icon_size = 24\n"


class Desktop:
    """Xephyr with openbox, a panel, the daemon with its tray, and chocolate-doom."""

    def __init__(self, servers: XServers, folder: Path) -> None:
        self.folder = folder
        outer = servers.xvfb(*SIZE)
        self.name = servers.xephyr(outer, *SIZE)
        start_window_manager(servers, self.name)
        self.hands = Player(outer)
        self.display = connection.open_display(self.name)
        self.environment = {k: v for k, v in os.environ.items() if k not in {"WAYLAND_DISPLAY", "PULSE_SERVER"}}
        self.environment |= {"DISPLAY": self.name, "TRAY_AGENT_HOME": str(folder), "HOME": str(folder)}
        self.servers = servers
        self.socket = folder / "run" / "control"

    def start(self) -> None:
        (self.folder / "tint2rc").write_text(TINT2)
        self.servers.run(["tint2", "-c", str(self.folder / "tint2rc")], self.name)
        self._start_bus()
        with (self.folder / "stderr.txt").open("wb") as stderr:
            self.daemon = subprocess.Popen(
                [sys.executable, "-m", "tray_agent", "run"], env=self.environment, stderr=stderr
            )
        wait_until(self.socket.exists, 20, "the daemon's socket")
        game = ["chocolate-doom", "-iwad", WAD, "-warp", "1", "1", "-skill", "1", "-window", "-geometry", "640x480"]
        self.game = self.servers.run(game, self.name, SDL_AUDIODRIVER="dummy", HOME=str(self.folder))
        wait_until(lambda: self.status()["game_in_front"], 30, "the game to come to the front")

    def _start_bus(self) -> None:
        if not subprocess.run(["which", "dbus-daemon"], capture_output=True, check=False).returncode:
            address = f"unix:path={self.folder}/bus"
            self.servers.run(["dbus-daemon", "--session", "--nofork", f"--address={address}"], self.name)
            wait_until((self.folder / "bus").exists, 10, "the session bus")
            self.environment["DBUS_SESSION_BUS_ADDRESS"] = address

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = request(self.socket, {"op": "status"})["status"]
        return status

    def wait_mode(self, mode: str) -> dict[str, Any]:
        wait_until(lambda: self.status()["mode"] == mode, 10, f"mode {mode}; now {self.status()}")
        return self.status()

    def screen(self) -> np.ndarray:
        raw = self.display.screen().root.get_image(0, 0, *SIZE, X.ZPixmap, 0xFFFFFFFF)
        return np.frombuffer(raw.data, np.uint8).reshape(SIZE[1], SIZE[0], 4)[..., :3].astype(int)

    def panel_shows(self, state: TrayState) -> bool:
        blue_green_red = COLOURS[state][::-1]
        return bool((np.abs(self.screen()[540:] - blue_green_red).max(axis=2) <= 12).sum() > 30)

    def game_keys_down(self) -> set[str]:
        down = keys_down(self.display)
        return {name for name in GAME_KEYS if EVDEV[name] + 8 in down}

    def play_as_a_person(self, until: Any, limit_s: float) -> None:
        """Walk and turn with the physical keyboard until `until()`."""
        deadline = time.monotonic() + limit_s
        for i in range(10_000):
            if until() or time.monotonic() > deadline:
                return
            self._hold(PLAN[i % len(PLAN)], 0.5)

    def _hold(self, key: str, seconds: float) -> None:
        """A person's hold lasts; that it does is the point, not a wait for something."""
        self.hands.press(key)
        time.sleep(seconds)
        self.hands.release(key)

    def close(self) -> None:
        with contextlib.suppress(AttributeError):
            stop(self.daemon)
        self.hands.close()
        connection.close(self.display)


@pytest.fixture
def desktop(x_servers: XServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """Everything but the daemon and the game runs."""
    monkeypatch.setenv("PATH", os.environ["PATH"] + ":/usr/games")
    for program in ("chocolate-doom", "openbox", "tint2", "Xephyr"):
        need(program)
    if not Path(WAD).exists():
        pytest.skip(f"{WAD} is not installed (package freedoom)")
    made = Desktop(x_servers, tmp_path)
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_watch_learn_play_and_take_over_by_hotkeys_alone(desktop: Desktop) -> None:
    """Watch hotkey -> learns while the person plays -> play hotkey -> presses keys -> any touch takes the game back."""
    desktop.start()
    desktop.hands.tap(*WATCH)
    desktop.wait_mode("watching")
    wait_until(lambda: desktop.panel_shows(TrayState.WATCHING), 20, "the watching icon in the panel")
    desktop.play_as_a_person(lambda: desktop.status()["learn"]["bundles"] >= 1, limit_s=60.0)
    learned = desktop.status()
    assert learned["learn"]["bundles"] >= 1, learned
    assert learned["learn"]["first_bundle_s"] < 60.0
    assert learned["watch"]["actions"] > learned["watch"]["ticks"] / 2

    desktop.hands.tap(*PLAY)
    desktop.wait_mode("playing")
    wait_until(lambda: desktop.panel_shows(TrayState.PLAYING), 20, "the playing icon in the panel")
    before = desktop.screen()[:480]
    pressed = wait_until(desktop.game_keys_down, 20, "the agent to press a key of the game")
    assert pressed <= set(GAME_KEYS)
    changed = wait_until(lambda: share_changed(before, desktop.screen()[:480]) > 0.1, 20, "the game to answer")
    assert changed

    wait_until(desktop.game_keys_down, 20, "a key to be down")
    desktop.hands.tap("KeyZ")
    wait_until(lambda: not desktop.game_keys_down(), 2.0, "all keys up after the takeover")
    stopped = desktop.wait_mode("watching")["last_stop"]
    assert stopped["kind"] == "takeover"
    assert stopped["latency_ms"] < 2000.0

    desktop.hands.tap(*PLAY)
    desktop.wait_mode("playing")
    wait_until(desktop.game_keys_down, 20, "a key to be down")
    desktop.hands.tap(*KILL)
    wait_until(lambda: not desktop.game_keys_down(), 2.0, "all keys up after the kill hotkey")
    wait_until(lambda: "kill" in desktop.status()["detail"] or desktop.status()["mode"] == "watching", 5.0, "the stop")
    check_session(desktop)


def share_changed(before: np.ndarray, after: np.ndarray) -> float:
    """Share of pixels that differ clearly."""
    return float((np.abs(before - after).max(axis=2) > 24).mean())


def check_session(desktop: Desktop) -> None:
    """What was watched is on disk, marked: the agent's ticks as its own, the takeover as such."""
    assert request(desktop.socket, {"op": "quit"})["ok"]
    assert desktop.daemon.wait(40) == 0
    (folder,) = (desktop.folder / "data" / "sessions" / "doom").iterdir()
    session = SessionReader(folder)
    flags = session.ticks.flags
    assert len(session) > 50
    assert (flags & 1).any(), "no tick to learn from"
    assert (flags & 2).any(), "no tick of the agent"
    assert (flags & 8).any(), "the seconds before the takeover are not marked"
    assert not any(event.own for event in session.events)
    assert {event.control for event in session.events} <= set(GAME_KEYS)

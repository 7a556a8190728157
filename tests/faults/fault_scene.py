"""A real daemon process with its real guard and trainer, and a real game, for tests that break something.

Fixtures: `doom` (a packaged game in a process of its own, shared by the tests; whoever ends it starts `new_doom`),
`daemons` (starts daemons; all are ended, and none may have printed a traceback).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from tray_agent.core.policy import PolicySpec
from tray_agent.daemon.control import request
from tray_agent.errors import DaemonUnreachable
from tray_agent.platforms.env.clients import EnvControl, EnvInputs
from tray_agent.platforms.env.launch import EnvProcess
from tray_agent.policy.bundle import Manifest, write_bundle
from tray_agent.sessions.reader import SessionReader
from tray_agent.settings.games import GameProfile
from tray_agent.settings.paths import HOME_VARIABLE, shipped_folder
from tray_agent.settings.snapshot import load_games

GAME = "doom-basic"
SPEED = 4.0
WATCH, PLAY, KILL = (("ControlLeft", "AltLeft", key) for key in ("KeyW", "KeyP", "KeyK"))
DEADLINE_S = 30.0
RELEASE_MS = 2000.0
"""All keys must be up so soon after the daemon was killed or stopped. `bench kill` measures it against the 250 ms that
are promised; here the machine may be paused for longer than that."""
Status = dict[str, Any]
T = TypeVar("T")


def until(check: Callable[[], T], what: str, timeout_s: float = DEADLINE_S) -> T:
    """Poll until `check()` is true; its value."""
    end = time.monotonic() + timeout_s
    while not (value := check()):
        if time.monotonic() > end:
            pytest.fail(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(0.005)
    return value


# -- policies that need no learning ------------------------------------------------------------------------------------


def make_onnx(spec: PolicySpec, held: tuple[str, ...], broken: bool = False) -> bytes:
    """A graph that always holds `held`; `broken`: whose logits are not finite."""
    logit = [np.nan if broken else 20.0 if name in held else -20.0 for name in spec.controls.buttons]
    constants = {
        "held": np.array([logit], np.float32),
        "relative": np.zeros((1, len(spec.controls.relative), 1), np.float32),
        "axes": np.zeros((1, len(spec.controls.axes), 1), np.float32),
    }
    nodes = [helper.make_node("Constant", [], [n], value=numpy_helper.from_array(v)) for n, v in constants.items()]
    frames = helper.make_tensor_value_info(
        "frames", TensorProto.UINT8, [1, spec.frames, spec.frame_height, spec.frame_width, 3]
    )
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in constants.items()]
    graph = helper.make_graph(nodes, "constant", [frames], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def give_policy(
    home: Path, profile: GameProfile, held: tuple[str, ...], spec: PolicySpec | None = None, broken: bool = False,
    cannot: str = "", run: str = "prepared",
) -> Path:  # fmt: skip
    """Store a bundle in a daemon's home as if it had been learned; its folder. `cannot`: why it may not play."""
    spec = spec or profile.spec()
    manifest = Manifest(
        profile.name, spec, tuple(profile.vector8), dict.fromkeys(spec.controls.relative, (0.0,)), (0.0,), "constant",
        readiness={"state": "cannot", "why": cannot} if cannot else {},
    )  # fmt: skip
    return write_bundle(home / "data" / "models", manifest, make_onnx(spec, held, broken), run)


def shipped_profile(name: str = GAME) -> GameProfile:
    """Profile of a game that comes with the program."""
    shipped = shipped_folder() / "games.yaml"
    return load_games(shipped, shipped)[name]


# -- the game ----------------------------------------------------------------------------------------------------------


class Doom:
    """A packaged game, its physical player, and eyes on what is pressed in it."""

    def __init__(self, folder: Path) -> None:
        self.process = EnvProcess(GAME, folder / "game", SPEED, player="none")
        self.control = EnvControl(folder / "game")
        self._inputs = EnvInputs(folder / "game")
        self.events: list[Any] = []
        self._down: dict[str, bool] = {}

    def start(self) -> None:
        """Start it and connect."""
        self.process.start()
        self.control.start()
        self._inputs.start()

    @property
    def options(self) -> list[str]:
        """What tells a daemon to care for it."""
        return ["--game", GAME, "--env-socket", str(self.process.socket_path), "--env-speed", str(SPEED)]

    def held_by_agent(self) -> set[str]:
        """Controls the agent holds down at this moment, as the game sees it."""
        for event in self._inputs.read(0.0):
            self.events.append(event)
            if event.own:
                self._down[event.control] = bool(event.value)
        return {name for name, down in self._down.items() if down}

    def released_ns(self) -> int:
        """When the game last saw the agent let go of something (monotonic)."""
        self.held_by_agent()
        return int(max(event.t_ns for event in self.events if event.own and not event.value))

    def close(self) -> None:
        """End it; idempotent."""
        self.control.close()
        self._inputs.close()
        self.process.close()


@pytest.fixture(scope="session")
def shared_doom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doom]:
    """One game for all tests that leave it alive."""
    doom = Doom(tmp_path_factory.mktemp("g"))
    doom.start()
    yield doom
    doom.close()


@pytest.fixture
def doom(shared_doom: Doom) -> Doom:
    """A running game in front, nobody touching anything."""
    shared_doom.control.pause(False)
    shared_doom.control.focus(True)
    until(lambda: not shared_doom.held_by_agent(), "the last test's agent to let go")
    shared_doom.events.clear()
    return shared_doom


@pytest.fixture
def new_doom(tmp_path: Path) -> Iterator[Doom]:
    """A game of this test's own."""
    doom = Doom(tmp_path)
    doom.start()
    yield doom
    doom.close()


# -- the daemon --------------------------------------------------------------------------------------------------------


class DaemonProcess:
    """`tray-agent run` in a process of its own, below a home of its own."""

    def __init__(self, home: Path, said: Path, options: list[str], environment: dict[str, str]) -> None:
        self.home = home
        self.socket = home / "run" / "control"
        self._options = options
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._said = said
        self.guards: set[int] = set()

    def start(self) -> "DaemonProcess":
        """Start it and return at once."""
        with self._said.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tray_agent", "-v", "run", *self._options],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        return self

    def ready(
        self, check: Callable[[Status], Any] = lambda s: s["game_in_front"] and s["guard"].get("ready")
    ) -> Status:
        """Wait until it answers and has a guard and a game; its status."""
        return self.wait_for(check, "the daemon to be ready")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """All it told on stderr so far."""
        return self._said.read_text(errors="replace")

    def ask(self, op: str, **more: Any) -> dict[str, Any]:
        """One request."""
        return request(self.socket, {"op": op, **more})

    def status(self) -> Status:
        """Its status."""
        status: Status = self.ask("status")["status"]
        self.guards.add(status["guard"].get("pid", 0))
        return status

    def wait_for(self, check: Callable[[Status], Any], what: str, timeout_s: float = DEADLINE_S) -> Status:
        """Poll its status until it is as wanted; shows the last one when it never is."""
        end, status = time.monotonic() + timeout_s, {}
        while True:
            with contextlib.suppress(DaemonUnreachable):
                status = self.status()
                if check(status):
                    return status
            if time.monotonic() > end or not self.alive:
                pytest.fail(f"waited for {what}; status {json.dumps(status)}; it said:\n{self.said[-3000:]}")
            time.sleep(0.01)

    def mode(self, wanted: str) -> Status:
        """Wait for a mode; the status then."""
        return self.wait_for(lambda s: s["mode"] == wanted, f"mode {wanted}")

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """Its exit code."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def trainer(self) -> psutil.Process | None:
        """The process that learns, None while there is none."""
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.pid).children():
                if "tray_agent.training.child" in child.cmdline():
                    return child
        return None

    def session(self) -> SessionReader:
        """The newest session it wrote."""
        return self.session_in(self.home / "data" / "sessions")

    @staticmethod
    def session_in(root: Path) -> SessionReader:
        """The newest session below a folder."""
        folders = sorted(root.rglob("session.json"), key=lambda p: p.stat().st_mtime_ns)
        assert folders, "no session was written"
        return SessionReader(folders[-1].parent)

    def close(self) -> None:
        """End it whatever state it is in; idempotent."""
        if self.alive:
            self.signal(signal.SIGCONT)
            if trainer := self.trainer():  # saving what it learned takes seconds, and is not this test's matter
                trainer.kill()
            with contextlib.suppress(DaemonUnreachable):
                self.ask("quit")
            try:
                self.wait(30.0)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.wait()
        for pid in self.guards - {0}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Daemons:
    """Starts daemons of one test."""

    def __init__(self, tmp_path: Path) -> None:
        self.home = tmp_path / "home"
        self.home.mkdir(mode=0o700)
        self._said = tmp_path / "stderr"
        self.started: list[DaemonProcess] = []

    def environment(self, **changes: str) -> dict[str, str]:
        """The test's, with the home; an empty value takes a variable away."""
        wanted = os.environ | {HOME_VARIABLE: str(self.home)} | changes
        return {name: value for name, value in wanted.items() if value}

    def start(self, options: list[str], tray: bool = False, **environment: str) -> DaemonProcess:
        """Start one; returns at once."""
        options = options if tray else ["--no-tray", *options]
        daemon = DaemonProcess(self.home, self._said, options, self.environment(**environment))
        self.started.append(daemon)
        return daemon.start()

    def run(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Any verb, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "tray_agent", *words],
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def write_config(self, name: str, text: str) -> Path:
        """The user's own file, as an editor saves it."""
        folder = self.home / "config"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / f".{name}").write_text(text)
        (folder / f".{name}").replace(folder / name)
        return folder / name


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    """Daemons of this test; whatever was done to them, none of them printed a traceback."""
    daemons = Daemons(tmp_path)
    yield daemons
    for daemon in daemons.started:
        daemon.close()
    for daemon in daemons.started:
        assert "Traceback" not in daemon.said, daemon.said


@pytest.fixture
def playing(daemons: Daemons, doom: Doom) -> DaemonProcess:
    """A daemon that plays `doom`: it was asked by hotkey and holds Space and ArrowRight."""
    give_policy(daemons.home, shipped_profile(), ("Space", "ArrowRight"))
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["game_in_front"] and s["bundle"] and s["guard"].get("ready"))
    begin_to_play(daemon, doom)
    return daemon


def begin_to_play(daemon: DaemonProcess, doom: Doom) -> None:
    """Press the play hotkey, wait until the agent's keys are down in the game."""
    doom.control.tap(*PLAY)
    play_until(daemon, lambda: doom.control.tap(*PLAY), lambda _: doom.held_by_agent() == {"Space", "ArrowRight"})


def play_until(daemon: DaemonProcess, press: Callable[[], Any], check: Callable[[Status], Any]) -> Status:
    """Wait until `check(status)` of a daemon that was asked to play; its status.

    Asks again by `press()`, as a person would, when it was asked before the guard had heard of the game, and when
    the machine paused for longer than the guard's lease: that ends a play as it should, and is not what tests of
    other faults are about.
    """
    again_at = time.monotonic() + 2.0

    def as_wanted(status: Status) -> Any:
        nonlocal again_at
        if status["mode"] == "playing":
            return check(status)
        asked_early = "no game is ready" in status["detail"]
        if (asked_early or (status["last_stop"] or {}).get("kind") == "lease") and time.monotonic() > again_at:
            again_at = time.monotonic() + 2.0
            press()
        return False

    return daemon.wait_for(as_wanted, "it to play")


def begin_to_watch(daemon: DaemonProcess, doom: Doom, ticks: int = 30) -> None:
    """Press the watch hotkey and play a little with the player's own hands, until so many ticks were watched."""
    doom.control.tap(*WATCH)
    daemon.mode("watching")
    presses = 0

    def watched() -> bool:
        nonlocal presses
        presses += 1
        doom.control.press("ArrowLeft", bool(presses % 2))
        return bool(daemon.status()["watch"]["ticks"] >= ticks)

    until(watched, f"{ticks} ticks watched")
    doom.control.press("ArrowLeft", False)


def assert_readable(session: SessionReader, at_least: int) -> None:
    """The session can be read to its last tick, pictures and presses."""
    assert len(session) >= at_least
    assert session.frames(0, len(session)).shape[0] == len(session)
    assert session.ticks is not None
    assert any(event.control == "ArrowLeft" for event in session.events)

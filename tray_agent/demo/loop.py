"""The demo's course: start everything, watch, play, stop by the kill hotkey, count (the caller's thread)."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tray_agent.core.events import InputEvent
from tray_agent.daemon.control import SOCKET_NAME, request
from tray_agent.demo import references
from tray_agent.demo.video import SideBySide
from tray_agent.errors import DaemonUnreachable, TrayAgentError
from tray_agent.platforms.env.clients import EnvControl, EnvInputs, EnvScreen, Episode
from tray_agent.platforms.env.launch import EnvProcess
from tray_agent.settings.games import GameProfile
from tray_agent.settings.paths import HOME_VARIABLE

WATCH = ("ControlLeft", "AltLeft", "KeyW")
PLAY = ("ControlLeft", "AltLeft", "KeyP")
KILL = ("ControlLeft", "AltLeft", "KeyK")
_START_S = 30.0
_VIDEO_FPS = 26.0
_KILLS = 5
_EPISODE_LIMIT_S = 300.0


@dataclass(frozen=True)
class DemoOptions:
    """What is shown.

    Attributes:
        profile: the game, with `environment` set.
        home: folder everything goes to.
        watch_s: seconds of watching.
        episodes: episodes the agent plays, and each reference.
        speed: how much faster than life the game runs.
        video_s: length of the video.
        window: show the game live.
    """

    profile: GameProfile
    home: Path
    watch_s: float = 50.0
    episodes: int = 5
    speed: float = 6.0
    video_s: float = 15.0
    window: bool = False


@dataclass
class DemoResult:
    """What came of it; scores are of whole episodes."""

    references: references.References
    agent: list[float] = field(default_factory=list)
    watched: dict[str, Any] = field(default_factory=dict)
    learned: dict[str, Any] = field(default_factory=dict)
    played: dict[str, Any] = field(default_factory=dict)
    kill_ms: list[float] = field(default_factory=list)
    kill_observed_ms: list[float] = field(default_factory=list)
    bundle: str = ""
    session: str = ""
    video: str = ""


class Demo:
    """Runs it. `tell(stage, text)` is called with what goes on."""

    def __init__(self, options: DemoOptions, tell: Callable[[str, str], None]) -> None:
        self._options = options
        self._tell = tell
        self._socket = options.home / "run" / SOCKET_NAME
        self._game = options.profile.environment or ""

    def run(self) -> DemoResult:
        """The whole course.

        Raises:
            TrayAgentError: something did not work; everything is stopped then.
        """
        refs = references.measure(self._game, self._options.episodes, lambda t: self._tell("compare", t))
        result = DemoResult(refs)
        with contextlib.ExitStack() as stack:
            game = self._start_game(stack)
            control = EnvControl(game.socket_path)
            control.start()
            stack.callback(control.close)
            daemon = self._start_daemon(stack, game)
            self._watch(control, daemon, result)
            self._play(control, game, result)
            self._kill(control, game, result)
        return result

    # -- starting ----------------------------------------------------------------------------------------------------

    def _start_game(self, stack: contextlib.ExitStack) -> EnvProcess:
        o = self._options
        (o.home / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
        self._tell("start", f"the game {o.profile.name} at {o.speed:g} times its speed")
        game = EnvProcess(self._game, o.home / "run" / "game", o.speed, window=o.window)
        game.start()
        stack.callback(game.close)
        return game

    def _start_daemon(self, stack: contextlib.ExitStack, game: EnvProcess) -> "subprocess.Popen[bytes]":
        self._tell("start", "the daemon and its guard")
        o = self._options
        command = [sys.executable, "-m", "tray_agent", "run", "--no-tray", "--game", o.profile.name,
                   "--env-socket", str(game.socket_path), "--env-speed", str(o.speed)]  # fmt: skip
        log = stack.enter_context((o.home / "daemon-stderr.log").open("wb"))
        process = subprocess.Popen(command, env={**os.environ, HOME_VARIABLE: str(o.home)}, stderr=log)
        stack.callback(self._stop_daemon, process)
        self._wait(
            lambda s: bool(s["game_in_front"] and s["guard"]["ready"]), _START_S, "the daemon to be ready", process
        )
        return process

    def _stop_daemon(self, process: "subprocess.Popen[bytes]") -> None:
        self._tell("end", "the daemon saves and ends")
        with contextlib.suppress(DaemonUnreachable):
            request(self._socket, {"op": "quit"})
        try:
            process.wait(30.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    # -- the course --------------------------------------------------------------------------------------------------

    def _watch(self, control: EnvControl, daemon: "subprocess.Popen[bytes]", result: DemoResult) -> None:
        self._tell("watch", "pressing the watch hotkey")
        control.tap(*WATCH)
        self._wait(lambda s: s["mode"] == "watching", 5.0, "watching to begin", daemon)
        end = time.monotonic() + self._options.watch_s
        while (left := end - time.monotonic()) > 0:
            status = self._status()
            learn = status["learn"]
            loss = f", loss {learn['loss']:.3f}" if learn["loss"] is not None else ""
            self._tell("watch", f"{left:3.0f} s to go: {status['watch']['ticks']} ticks watched, "
                       f"{learn['updates']} updates{loss}, {learn['bundles']} policies")  # fmt: skip
            time.sleep(min(0.5, left))
        self._wait(lambda s: bool(s["bundle"]), 60.0, "the first policy", daemon)
        status = self._status()
        result.watched, result.session = status["watch"], self._session_folder(status["watch"]["session"])
        control.player(False)
        control.tap(*WATCH)
        self._wait(lambda s: s["mode"] != "watching", 5.0, "watching to end", daemon)

    def _play(self, control: EnvControl, game: EnvProcess, result: DemoResult) -> None:
        control.episodes(0.0)
        control.reset(references.SEED)
        self._tell("play", "pressing the play hotkey")
        self._press_play(control)
        video = self._options.home / "demo.mp4"
        with self._recorder(game, video) as record:
            self._collect(control, record, result)
        result.video = str(video)
        status = self._status()
        result.played, result.learned = status["play"], status["learn"]
        result.bundle = status["bundle"]["folder"]

    def _press_play(self, control: EnvControl) -> None:
        """By hotkey; a game that has just ended an episode may need a second press."""
        control.tap(*PLAY)
        self._wait(lambda s: s["mode"] == "playing", 5.0, "the agent to play")

    def _collect(self, control: EnvControl, record: Callable[[], None], result: DemoResult) -> None:
        deadline = time.monotonic() + _EPISODE_LIMIT_S
        while len(result.agent) < self._options.episodes:
            if time.monotonic() > deadline:
                raise TrayAgentError(
                    f"the agent finished {len(result.agent)} episodes in {_EPISODE_LIMIT_S:.0f} s only"
                )
            record()
            for episode in control.episodes(0.02):
                self._take_episode(episode, result)
            if self._status()["mode"] != "playing":
                why = self._status()["detail"]
                raise TrayAgentError(f"the agent stopped playing: {why}")

    def _take_episode(self, episode: Episode, result: DemoResult) -> None:
        if episode.whole:
            result.agent.append(episode.score)
            self._tell("play", f"episode {len(result.agent)} of {self._options.episodes}: score {episode.score:.0f}")

    @contextlib.contextmanager
    def _recorder(self, game: EnvProcess, path: Path) -> Iterator[Callable[[], None]]:
        """A function to be called often: adds a frame to the video when one is due."""
        profile = self._options.profile
        screen, inputs = (
            EnvScreen(game.socket_path, profile.frame.width, profile.frame.height),
            EnvInputs(game.socket_path),
        )
        screen.start()
        inputs.start()
        down: set[str] = set()
        start = time.monotonic()
        with (
            contextlib.closing(screen),
            contextlib.closing(inputs),
            SideBySide(path, _VIDEO_FPS, profile.controls.buttons) as video,
        ):

            def record() -> None:
                for event in inputs.read(0.0):
                    (down.add if event.value else down.discard)(event.control)
                due = (time.monotonic() - start) * _VIDEO_FPS
                if video.frames < min(due, self._options.video_s * _VIDEO_FPS):
                    seen = screen.grab().pixels
                    video.add(screen.grab_native().pixels, seen, frozenset(down))

            yield record

    def _kill(self, control: EnvControl, game: EnvProcess, result: DemoResult) -> None:
        """Press the kill hotkey while the agent holds something, several times; time it in two ways."""
        inputs = EnvInputs(game.socket_path)
        inputs.start()
        with contextlib.closing(inputs):
            for i in range(_KILLS):
                self._tell("kill", f"kill hotkey, {i + 1} of {_KILLS}")
                if self._status()["mode"] != "playing":
                    self._press_play(control)
                self._wait_until_held(inputs)
                control.tap(*KILL)
                self._wait(lambda s: s["mode"] != "playing", 5.0, "the kill hotkey to work")
                stop = self._status()["last_stop"]
                result.kill_ms.append(stop["latency_ms"])
                if (observed := kill_time_ms(inputs.read(0.1), KILL[-1])) is not None:
                    result.kill_observed_ms.append(observed)

    def _wait_until_held(self, inputs: EnvInputs) -> None:
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            if any(e.own and e.kind == "button" and e.value for e in inputs.read(0.1)):
                return

    # -- asking ------------------------------------------------------------------------------------------------------

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = request(self._socket, {"op": "status"})["status"]
        return status

    def _wait(
        self, until: Callable[[dict[str, Any]], bool], timeout_s: float, what: str,
        process: "subprocess.Popen[bytes] | None" = None,
    ) -> None:  # fmt: skip
        deadline = time.monotonic() + timeout_s
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            with contextlib.suppress(DaemonUnreachable):
                status = self._status()
                if until(status):
                    return
            if process is not None and process.poll() is not None:
                log = self._options.home / "daemon-stderr.log"
                raise TrayAgentError(f"the daemon ended with code {process.returncode}: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        problems = "; ".join(status.get("problems", ())) or status.get("detail", "")
        raise TrayAgentError(f"waited {timeout_s:.0f} s for {what} in vain. {problems}")

    def _session_folder(self, name: str) -> str:
        root = self._options.home / "data" / "sessions"
        return next((str(p) for p in root.glob(f"*/{name}")), name)


def kill_time_ms(events: list[InputEvent], key: str) -> float | None:
    """From the kill key's press to the last of the agent's releases after it; None if nothing was held."""
    pressed = next((e.t_ns for e in events if e.control == key and e.value and not e.own), None)
    if pressed is None:
        return None
    released = [e.t_ns for e in events if e.own and e.t_ns >= pressed and e.kind == "button" and not e.value]
    return (max(released) - pressed) / 1e6 if released else None

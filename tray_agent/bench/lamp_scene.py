"""The stage of `bench loop`: X server, the lamp's window and its policies, and a play put together as the daemon does.

Owns all processes it starts; the caller's thread.
"""

import json
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tray_agent.bench.tick_trace import TickTrace, TracedClock, TracedHands, TracedScreen
from tray_agent.capture.input_pump import InputPump
from tray_agent.capture.observer import Observer
from tray_agent.core.controls import Controls
from tray_agent.core.desktop import Desktop
from tray_agent.core.events import WindowInfo
from tray_agent.core.policy import PolicySpec
from tray_agent.daemon.tick_loop import TickLoop
from tray_agent.errors import WorkerFailed
from tray_agent.guard.client import GuardClient
from tray_agent.guard.protocol import Armed, Failed, Game, GuardEvent, Hello, Lost, Refused, Revoked
from tray_agent.platforms.x11.inputs import X11InputSource
from tray_agent.platforms.x11.screen import X11ScreenSource
from tray_agent.platforms.x11.window import X11WindowProbe
from tray_agent.play.player import Player
from tray_agent.policy.bundle import load_bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.stage.displays import START_S, Displays, wait_until

KEY = "Space"
_HOTKEYS = {"kill": ("ControlLeft", "AltLeft", "KeyK"), "play": ("ControlLeft", "AltLeft", "KeyP")}
_FRAME = (96, 72)
_BUFFER_BYTES = 32 << 20
_LEASE_MS = 150
_DAEMON_LOOP_S = 0.05
_START_S = 60.0
_EXPORT_S = 180.0
_LIMIT_S = 3600.0


def lamp_spec(rate_hz: float) -> PolicySpec:
    """What the lamp's policy takes and gives; picture and history as a game's profile has them by default."""
    return PolicySpec(Controls(buttons=(KEY,)), rate_hz, *_FRAME)


class LampScene:
    """Owns display and window. `start()`, then plays, `light()` meanwhile, `close()`."""

    def __init__(self, folder: Path, size: tuple[int, int], rates_hz: Sequence[float]) -> None:
        """Store.

        Args:
            folder: for bundles, and the log of the programs.
            size: (width, height) of screen and window, pixels.
            rates_hz: at which there shall be plays.
        """
        self._folder = folder
        self._size = size
        self._rates_hz = rates_hz
        self._displays = Displays(folder / "programs.log")
        self._game: subprocess.Popen[bytes] | None = None
        self._bundles: dict[float, Path] = {}
        self.display = ""
        self.window = WindowInfo(0, "", "", (0, 0, 0, 0))

    def start(self) -> None:
        """Start everything.

        Raises:
            PlatformUnavailable: a program is missing.
            WorkerFailed: one did not start.
        """
        self.display = self._displays.xvfb(*self._size)
        self._displays.window_manager(self.display)
        exporting = self._child("lamp_bundle", str(self._folder / "models"), *map(str, self._rates_hz))
        self._game = self._child("lamp_game", KEY)
        handle = int(self._displays.line_of(self._game, _START_S))
        self.window = self._in_front(handle)
        self._bundles = {each: Path(self._displays.line_of(exporting, _EXPORT_S)) for each in self._rates_hz}

    def bundle(self, rate_hz: float) -> Path:
        """Folder of the policy for this rate."""
        return self._bundles[rate_hz]

    def light(
        self, count: int, lull_s: tuple[float, float], meanwhile: Callable[[], None]
    ) -> list[dict[str, tuple[int, int]]]:
        """Go bright and dark `count` times; for each, "on" and "off": (changed, key event) in ns.

        Args:
            lull_s: shortest and longest time a colour lasts after it was answered.
            meanwhile: called every 50 ms.

        Raises:
            WorkerFailed: nobody answered.
        """
        assert self._game is not None and self._game.stdin is not None  # noqa: S101, PT018 - start() made both
        assert self._game.stdout is not None  # noqa: S101
        self._game.stdin.write(f"light {count} {lull_s[0]} {lull_s[1]}\n".encode())
        self._game.stdin.flush()
        while not select.select([self._game.stdout], [], [], _DAEMON_LOOP_S)[0]:
            meanwhile()
        answer: Any = json.loads(self._game.stdout.readline() or '{"error": "the window has gone"}')
        if isinstance(answer, dict):
            raise WorkerFailed(f"the lamp got no key: {answer['error']}")
        return list(answer)

    def close(self) -> None:
        """End all processes; idempotent."""
        self._displays.close()

    def _child(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"tray_agent.bench.{module}", *arguments]
        return self._displays.run(command, self.display, pipes=True)

    def _in_front(self, handle: int) -> WindowInfo:
        """The window, once the window manager has brought it to the front and made it full-screen."""
        seen: list[WindowInfo | None] = [None]
        probe = X11WindowProbe(self.display)
        probe.start()

        def is_there() -> bool:
            seen[0] = found = probe.active()
            return found is not None and found.handle == handle and found.rect == (0, 0, *self._size)

        try:
            wait_until(is_there, START_S, "the lamp's window to fill the screen")
        finally:
            probe.close()
        assert seen[0] is not None  # noqa: S101 - is_there() saw it
        return seen[0]


class LampPlay:
    """One play at one rate: a context; `poll()` as the daemon's main thread does."""

    def __init__(self, scene: LampScene, rate_hz: float) -> None:
        self._scene = scene
        self._rate_hz = rate_hz
        self._stack = ExitStack()
        self._player: Player | None = None
        self.trace = TickTrace()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def poll(self) -> None:
        """Hear the guard, look at the player's counts.

        Raises:
            WorkerFailed: playing has ended.
        """
        for event in self._client.poll():
            if isinstance(event, Refused | Revoked | Lost | Failed):
                raise WorkerFailed(f"playing ended: {event.reason}")
        if self._player is not None and self._player.status.stopped:
            raise WorkerFailed(f"playing ended: {self._player.status.stopped}")
        if self._loop.failure is not None:
            raise WorkerFailed(f"the tick thread failed: {self._loop.failure}")

    def _start(self, stack: ExitStack) -> None:
        scene, spec, clock = self._scene, lamp_spec(self._rate_hz), TracedClock(self.trace)
        desktop = Desktop(
            name="x11", screen=lambda _: self._screen(clock), inputs=lambda: X11InputSource(scene.display),
            window=lambda: X11WindowProbe(scene.display), guard_backend="x11", clock=clock,
        )  # fmt: skip
        self._client = GuardClient(Hello("x11", _HOTKEYS, {"display_name": scene.display}, _LEASE_MS))
        self._client.start()
        inputs = InputPump(desktop.inputs)
        self._loop = loop = TickLoop(clock)
        for part in (self._client, inputs, loop):
            stack.callback(part.join, 5.0)
            stack.callback(part.request_stop)
        inputs.start()
        loop.start()
        observer = Observer(desktop, spec, inputs, _BUFFER_BYTES)
        policy = OnnxPolicy(load_bundle(scene.bundle(self._rate_hz), spec), Decoding())
        loop.order(lambda ticks: ticks.set_game(observer, spec.rate_hz))
        loop.order(lambda ticks: ticks.set_front(True, scene.window.rect))
        loop.order(lambda ticks: ticks.set_policy(policy))
        hands = TracedHands(self._client, self.trace, clock)
        player = self._player = Player(policy, hands, self._permit(spec), spec.rate_hz, clock)
        loop.order(lambda ticks: ticks.begin_play(player))

    def _screen(self, clock: TracedClock) -> TracedScreen:
        return TracedScreen(X11ScreenSource(_FRAME, self._scene.display, clock), self.trace, clock)

    def _permit(self, spec: PolicySpec) -> int:
        """Have it given; its epoch. Raises WorkerFailed."""
        window = self._scene.window
        lease_ms = int(max(_LEASE_MS, 2200.0 / spec.rate_hz))
        self._client.set_game(
            Game(spec.controls.buttons, window=window.handle, rect=window.rect, limit_s=_LIMIT_S, lease_ms=lease_ms)
        )
        self._client.ask_permit()
        events: list[GuardEvent] = self._client.poll(5.0)
        for event in events:
            if isinstance(event, Armed):
                return event.epoch
        raise WorkerFailed(f"the guard gave no permit: {events}")

"""Every backend that can run here, made ready for one suite per port. Used by the fixtures in conftest.py."""

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from tray_agent.core.clock import Clock, ManualClock, MonotonicClock
from tray_agent.core.events import InputEvent
from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.platforms.env.catalog import entry, scripted_player
from tray_agent.platforms.env.lockstep import LockstepDesktop
from tray_agent.platforms.fake.desktop import FakeDesktop
from tray_agent.platforms.replay.desktop import Recording, ReplayDesktop

SIZE = (40, 30)
PERIOD_NS = 50_000_000
PortT = TypeVar("PortT")


@dataclass
class Rig(Generic[PortT]):
    """A port's implementation and the world around it.

    Attributes:
        port: not started.
        clock: the desktop's.
        stir: lets a little happen: a frame more, some sound, a key down and up by the player.
        agent: presses and releases a key as the agent does, if this backend can.
    """

    port: PortT
    clock: Clock
    stir: Callable[[], None]
    agent: Callable[[], None] | None = None


class FakeWorld:
    """The deterministic desktop on a clock moved by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock(10**12)
        self.desktop = FakeDesktop(self.clock, *SIZE, plays=False)

    def pass_time(self) -> None:
        self.clock.advance_ns(PERIOD_NS)

    def player(self) -> None:
        for down in (True, False):
            self.desktop.inputs.press("ArrowLeft", down)
            self.pass_time()


class LockstepWorld:
    """An Atari game, one tick at a time."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.desktop = LockstepDesktop(
            entry("breakout").make_game(), self.clock, *SIZE, player=scripted_player("breakout")
        )
        self.desktop.start()

    def play(self) -> None:
        for _ in range(15):
            self.desktop.tick()


class ReplayWorld:
    """Ten seconds of a recording, with a key every 100 ms."""

    def __init__(self) -> None:
        self.clock = ManualClock(7)
        times = 10**15 + np.arange(200, dtype=np.int64) * PERIOD_NS
        events = [InputEvent(int(times[2 * i]), "button", "KeyW", float((i + 1) % 2), "kbd") for i in range(90)]
        sound = np.sin(np.arange(10 * AUDIO_RATE_HZ, dtype=np.float32))
        frames = np.random.default_rng(0).integers(0, 256, (200, SIZE[1], SIZE[0], 3), dtype=np.uint8)
        recording = Recording(times, lambda i: frames[i].copy(), events, sound, int(times[0]))
        self.desktop = ReplayDesktop(recording, self.clock)

    def pass_time(self) -> None:
        self.clock.advance_ns(4 * PERIOD_NS)


def real_time(seconds: float = 0.03) -> Callable[[], None]:
    """Let real time pass: there the world moves by itself."""
    return lambda: time.sleep(seconds)


def pad_reader(folder: Path) -> tuple[str, ...]:
    """A pad reader with one pad that nobody touches."""
    program = folder / "reader.py"
    program.write_text("import sys\nprint('{\"ready\": true}', flush=True)\nsys.stdin.read()\n")
    return sys.executable, str(program)


def until(check: Callable[[], object], what: str) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.005)


def closing_twice(port: object) -> contextlib.ExitStack:
    """Closes a port twice at the end, as every port must allow."""
    stack = contextlib.ExitStack()
    for _ in range(2):
        stack.callback(port.close)  # type: ignore[attr-defined]  # every port has it
    return stack


REAL = MonotonicClock()

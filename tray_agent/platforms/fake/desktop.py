"""The fake desktop's ports. No threads, no sleep: the world moves on when a port is asked and the clock has moved.

It runs on a `ManualClock` (tests that step it) or on the real clock. Faults are injected with the `fail_with`,
`frozen` and `info` attributes of its ports.
"""

from collections import deque

import numpy as np

from tray_agent.core.clock import Clock
from tray_agent.core.controls import Controls
from tray_agent.core.events import Command, InputEvent, WindowInfo
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk, Frame
from tray_agent.errors import CaptureLost
from tray_agent.platforms.fake.world import STEPS_PER_S, ToyWorld

CONTROLS = Controls(buttons=("ArrowLeft", "ArrowRight"))
WINDOW = WindowInfo(7, "fake-game", "Fake game", (0, 0, 64, 48), 4242)
_STEP_NS = 1_000_000_000 // STEPS_PER_S
_DECISION_STEPS = 4
_QUEUE = 4096


class FakeDesktop:
    """Screen, sound, inputs, sink and window over one toy world. Not thread-safe unless the clock stands still.

    Args:
        clock: its time; the world's time begins when this is made.
        frame_width, frame_height: of the pictures.
        seed: of the world.
        plays: whether the scripted player plays; may be changed at any time.
    """

    def __init__(
        self, clock: Clock, frame_width: int = 64, frame_height: int = 48, seed: int = 0, plays: bool = True
    ) -> None:
        self.clock = clock
        self.plays = plays
        self.world = ToyWorld(seed)
        self.inputs = FakeInputs(self)
        self.sink = FakeSink(self)
        self.screen = FakeScreen(self, frame_width, frame_height)
        self.audio = FakeAudio(self)
        self.window = FakeWindow()
        self._start_ns = clock.now_ns()
        self._scripted: frozenset[str] = frozenset()

    def catch_up(self) -> None:
        """Move the world on to the clock's time; ports call it before they answer."""
        due = (self.clock.now_ns() - self._start_ns) // _STEP_NS
        while self.world.steps < due:
            self._decide(self._start_ns + self.world.steps * _STEP_NS)
            self.world.step(self._scripted | self.inputs.by_hand | self.sink.command.held)

    def _decide(self, t_ns: int) -> None:
        if self.world.steps % _DECISION_STEPS:
            return
        wanted = self.world.wanted if self.plays else frozenset()
        for key in sorted(self._scripted ^ wanted):
            self.inputs.put(InputEvent(t_ns, "button", key, float(key in wanted), "player"))
        self._scripted = wanted


class FakeScreen:
    """ScreenSource. `fail_with` set: `grab` raises CaptureLost with it. `frozen`: the picture stands still."""

    def __init__(self, desktop: FakeDesktop, width: int, height: int) -> None:
        self.fail_with = ""
        self.frozen = False
        self.region: tuple[int, int, int, int] | None = None
        self._desktop = desktop
        self._size = (width, height)
        self._last = np.zeros((height, width, 3), np.uint8)

    def start(self) -> None:
        """Nothing to acquire."""

    def grab(self) -> Frame:
        if self.fail_with:
            raise CaptureLost(self.fail_with)
        self._desktop.catch_up()
        if not self.frozen:
            self._last = self._desktop.world.draw(*self._size)
        return Frame(self._desktop.clock.now_ns(), self._last.copy())

    def set_region(self, rect: tuple[int, int, int, int] | None) -> None:
        self.region = rect

    def close(self) -> None:
        """Nothing to release."""


class FakeAudio:
    """AudioSource: a tone as high as the ball is far to the right, 200 to 1000 Hz.

    `fail_with` as the screen's; `problem` is told as it is.
    """

    def __init__(self, desktop: FakeDesktop) -> None:
        self.fail_with = ""
        self.problem = ""
        self._desktop = desktop
        self._start_ns = desktop.clock.now_ns()
        self._given = 0

    def start(self) -> None:
        """Sound from before is not heard."""
        self._given = self._due()

    def _due(self) -> int:
        return (self._desktop.clock.now_ns() - self._start_ns) * AUDIO_RATE_HZ // 1_000_000_000

    def read(self) -> list[AudioChunk]:
        if self.fail_with:
            raise CaptureLost(self.fail_with)
        self._desktop.catch_up()
        first, self._given = self._given, self._due()
        if first == self._given:
            return []
        seconds = np.arange(first, self._given) / AUDIO_RATE_HZ
        tone = 0.3 * np.sin(2 * np.pi * (200 + 800 * self._desktop.world.ball) * seconds)
        return [AudioChunk(self._start_ns + first * 1_000_000_000 // AUDIO_RATE_HZ, tone.astype(np.float32))]

    def close(self) -> None:
        """Nothing to release."""


class FakeInputs:
    """InputSource: the scripted player, what a test presses by hand, and the agent's own. Never waits."""

    def __init__(self, desktop: FakeDesktop) -> None:
        self.by_hand: frozenset[str] = frozenset()
        self._desktop = desktop
        self._events: deque[InputEvent] = deque(maxlen=_QUEUE)

    def start(self) -> None:
        """Nothing to acquire."""

    def press(self, control: str, down: bool) -> None:
        """A physical press at the clock's time."""
        self._desktop.catch_up()
        self.by_hand = self.by_hand | {control} if down else self.by_hand - {control}
        self.put(InputEvent(self._desktop.clock.now_ns(), "button", control, float(down), "player"))

    def put(self, event: InputEvent) -> None:
        """An event of any kind, as it is."""
        self._events.append(event)

    def read(self, timeout_s: float) -> list[InputEvent]:  # noqa: ARG002 - the port's signature
        self._desktop.catch_up()
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        """Nothing to release."""


class FakeSink:
    """InputSink: moves the paddle; `commands` holds all that was applied, as (t_ns, command)."""

    def __init__(self, desktop: FakeDesktop) -> None:
        self.command = Command()
        self.commands: list[tuple[int, Command]] = []
        self._desktop = desktop

    def start(self) -> None:
        """Nothing to acquire."""

    def apply(self, command: Command) -> None:
        self._desktop.catch_up()
        now = self._desktop.clock.now_ns()
        for key in sorted(self.command.held ^ command.held):
            event = InputEvent(now, "button", key, float(key in command.held), "agent", own=True)
            self._desktop.inputs.put(event)
        self.command = command
        self.commands.append((now, command))

    def release_all(self) -> None:
        self.apply(Command())

    def close(self) -> None:
        """Let go."""
        self.release_all()


class FakeWindow:
    """WindowProbe: `info` is in front; set it to None or another window to take the focus away."""

    def __init__(self) -> None:
        self.info: WindowInfo | None = WINDOW

    def start(self) -> None:
        """Nothing to acquire."""

    def active(self) -> WindowInfo | None:
        return self.info

    def close(self) -> None:
        """Nothing to release."""

"""The fake desktop as `core.Desktop`, seen through a real observer, moved by hand."""

from dataclasses import replace

from tray_agent.capture.input_pump import SteppedInputs
from tray_agent.capture.observer import Observation, Observer
from tray_agent.core.clock import ManualClock
from tray_agent.core.desktop import Desktop
from tray_agent.core.policy import PolicySpec
from tray_agent.platforms.fake.desktop import CONTROLS, FakeDesktop

SPEC = PolicySpec(CONTROLS, rate_hz=20, frame_width=40, frame_height=36, frames=2)
TICK_NS = 50_000_000
SECOND = 1_000_000_000


class FakeGame:
    """One fake game under one observer on a manual clock.

    Args:
        plays: whether the scripted player plays.
        audio: whether the observer listens.
    """

    def __init__(self, plays: bool = False, audio: bool = False, start_ns: int = SECOND) -> None:
        self.clock = ManualClock(start_ns)
        self.fake = FakeDesktop(self.clock, SPEC.frame_width, SPEC.frame_height, plays=plays)
        self.spec = replace(SPEC, audio=audio)
        self.desktop = Desktop(
            "fake", lambda _: self.fake.screen, lambda: self.fake.inputs, lambda: self.fake.window, "fake",
            audio=lambda: self.fake.audio, clock=self.clock, audio_lag_ns=0,
        )  # fmt: skip
        self.observer = Observer(self.desktop, self.spec, SteppedInputs(self.fake.inputs), 1 << 22)

    def look(self) -> Observation:
        """One tick later."""
        self.clock.advance_ns(TICK_NS)
        return self.observer.observe()

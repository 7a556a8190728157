"""A sound source that hears nothing, for games without sound and machines without devices (no threads)."""

from tray_agent.core.clock import Clock
from tray_agent.core.media import AudioChunk
from tray_agent.platforms.sound.timeline import Timeline


class Silence:
    """AudioSource of unbroken silence on the desktop's clock; with `gap`, marked as a missing device.

    Nothing to hear is what was asked for, so `problem` stays "".
    """

    def __init__(self, clock: Clock, gap: bool = False) -> None:
        self.problem = ""
        self._clock = clock
        self._gap = gap
        self._timeline: Timeline | None = None

    def start(self) -> None:
        self._timeline = Timeline(self._clock.now_ns())

    def read(self) -> list[AudioChunk]:
        """Silence since the last call (at most the last 2 s)."""
        return self._timeline.fill(self._clock.now_ns(), self._gap) if self._timeline else []

    def close(self) -> None:
        """Idempotent."""
        self._timeline = None

"""Noticing that the player touched something (standard library only). Runs in the guard's thread."""

from collections import deque

from tray_agent.core.events import InputEvent

MOTION_COUNTS = 8.0
"""Mouse counts within `MOTION_WINDOW_NS` that mean a hand, not a shaking table."""
MOTION_WINDOW_NS = 100_000_000
AXIS_REST = 0.25
"""Pad axes may rest this far from their centre."""


class TouchDetector:
    """Tells a touch by the player from noise; the agent's own events never count."""

    def __init__(self) -> None:
        self._motion: deque[tuple[int, float]] = deque()
        self._counts = 0.0

    def feed(self, event: InputEvent) -> str:
        """Take one event; what was touched, "" for nothing. Letting go of a button is no touch."""
        if event.own:
            return ""
        if event.kind == "button":
            touched = event.value >= 0.5
        elif event.kind == "axis":
            touched = abs(event.value) > AXIS_REST
        elif event.control.startswith("Wheel"):
            touched = event.value != 0.0
        else:
            touched = self._moved(event)
        return event.control if touched else ""

    def _moved(self, event: InputEvent) -> bool:
        self._motion.append((event.t_ns, abs(event.value)))
        self._counts += abs(event.value)
        while self._motion and event.t_ns - self._motion[0][0] > MOTION_WINDOW_NS:
            self._counts -= self._motion.popleft()[1]
        return self._counts >= MOTION_COUNTS

    def forget(self) -> None:
        """Start anew: motion from before a permit does not count against it."""
        self._motion.clear()
        self._counts = 0.0

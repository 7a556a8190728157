"""What a tick spends its time on, seen from its ports: clock, screen and hands wrapped, the product untouched.

All parts are called by the tick thread, one after the other; `rows` is read when that thread has ended.
"""

from dataclasses import dataclass

from tray_agent.core.clock import MonotonicClock
from tray_agent.core.events import Command
from tray_agent.core.media import Frame
from tray_agent.core.ports import ScreenSource
from tray_agent.play.player import Hands


@dataclass(slots=True)
class TickRow:
    """Moments of one tick, ns.

    Attributes:
        due: slot of the pacer's grid.
        woke: the grab began; seen: the frame was there, reduced.
        decides: the policy was asked; acts: its command was handed over.
        held: whether the command holds anything.
    """

    due: int = 0
    woke: int = 0
    seen: int = 0
    decides: int = 0
    acts: int = 0
    held: bool = False


class TickTrace:
    """Rows of all ticks that acted, in order of time."""

    def __init__(self) -> None:
        self.rows: list[TickRow] = []
        self.now = TickRow()

    def finish(self) -> None:
        """The tick has acted."""
        self.rows.append(self.now)
        self.now = TickRow()


class TracedClock(MonotonicClock):
    """Knows when the tick was due."""

    def __init__(self, trace: TickTrace) -> None:
        self._trace = trace

    def sleep_until(self, t_ns: int) -> None:
        self._trace.now.due = t_ns
        super().sleep_until(t_ns)


class TracedScreen:
    """Knows when a frame was asked for and when it was there."""

    def __init__(self, inner: ScreenSource, trace: TickTrace, clock: MonotonicClock) -> None:
        self._inner = inner
        self._trace = trace
        self._clock = clock

    def start(self) -> None:
        self._inner.start()

    def grab(self) -> Frame:
        self._trace.now.woke = self._clock.now_ns()
        frame = self._inner.grab()
        self._trace.now.seen = self._clock.now_ns()
        return frame

    def set_region(self, rect: tuple[int, int, int, int] | None) -> None:
        self._inner.set_region(rect)

    def close(self) -> None:
        self._inner.close()


class TracedHands:
    """Knows what was sent when."""

    def __init__(self, inner: Hands, trace: TickTrace, clock: MonotonicClock) -> None:
        self._inner = inner
        self._trace = trace
        self._clock = clock

    def act(self, epoch: int, seq: int, command: Command, t_ns: int | None = None) -> bool:
        row = self._trace.now
        row.decides, row.acts, row.held = t_ns or 0, self._clock.now_ns(), bool(command.held)
        self._trace.finish()
        return self._inner.act(epoch, seq, command, t_ns)

    def revoke(self, reason: str) -> None:
        self._inner.revoke(reason)

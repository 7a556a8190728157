"""Watching: observations -> samples, to the session on disk and to the trainer (tick thread).

A sample pairs a frame with what was held *from that frame to the next*, so it is finished one tick later.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

from tray_agent.capture.observer import Observation
from tray_agent.core.controls import FloatVector, TickAccumulator
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.sessions.writer import SessionWriter

STILL_PAUSE_S = 5.0
STRAYED_S = 2.0
CORRECTION_S = 10.0


@dataclass(frozen=True)
class WatchStatus:
    """Counts of the watching now or last.

    Attributes:
        session: name of the session's folder.
        ticks: samples taken; seconds: their game time; learned: those good for learning.
        actions: ticks in which something was held or moved.
        paused: why nothing is taken right now, "" while it is.
    """

    session: str = ""
    ticks: int = 0
    seconds: float = 0.0
    learned: int = 0
    actions: int = 0
    paused: str = ""


class Trainer(Protocol):
    """Who learns from what is watched (`training.worker.TrainingWorker`)."""

    def feed(self, session: str, samples: list[TickSample]) -> None: ...

    def mark(self, session: str, first: int, last: int, flags: TickFlag) -> None: ...


class NoTrainer:
    """Nobody learns: what is watched is only recorded."""

    def feed(self, session: str, samples: list[TickSample]) -> None:
        """Let it pass."""

    def mark(self, session: str, first: int, last: int, flags: TickFlag) -> None:
        """Let it pass."""


class Watcher:
    """One stretch of watching. Owns the session writer; feeds the training worker."""

    def __init__(self, spec: PolicySpec, writer: SessionWriter, training: Trainer, idle_after_s: float) -> None:
        self._spec = spec
        self._writer = writer
        self._training = training
        self._idle_after_s = idle_after_s
        self._accumulator = TickAccumulator(spec.controls)
        self._pending: tuple[Observation, FloatVector | None] | None = None
        self._touched_ns = 0
        self._tick = 0
        self._gap = True
        self._strayed_tick = -1
        self._correct_until_ns = 0
        self._agent_ticks: deque[int] = deque(maxlen=max(1, int(STRAYED_S * spec.rate_hz)))
        self._status = WatchStatus(session=writer.folder.name)

    @property
    def status(self) -> WatchStatus:
        """Counts so far."""
        return self._status

    @property
    def writer(self) -> SessionWriter:
        """The session on disk."""
        return self._writer

    def on_tick(self, seen: Observation, agent_action: FloatVector | None) -> None:
        """Finish the sample of the tick before, begin this one's.

        Args:
            seen: this tick.
            agent_action: what the agent holds from now on, None when the player plays.
        """
        self._writer.add_events(seen.events)
        self._writer.add_audio(seen.chunks)
        self._accumulator.add(seen.events)
        if self._pending is not None:
            before, agent = self._pending
            self._finish(before, self._accumulator.take(), agent)
        self._pending = (seen, agent_action)
        self._look_for_pause(seen, agent_action is not None)

    def interrupt(self, reason: str) -> None:
        """The game is not in front any more (or the screen is lost): what is half done is thrown away."""
        self._pending, self._strayed_tick = None, -1
        self._gap = True
        self._accumulator.take()
        self._accumulator.release_all()
        self._status = replace(self._status, paused=reason)

    def on_takeover(self, now_ns: int) -> None:
        """The player took over from the agent: the seconds before were wrong, the next ones show what is right."""
        if self._pending is not None and self._pending[1] is not None:
            self._strayed_tick = self._tick  # its sample comes with the next tick, if it comes, with the flag on it
            if len(self._agent_ticks) == self._agent_ticks.maxlen:
                self._agent_ticks.popleft()
        if self._agent_ticks:
            first, last = self._agent_ticks[0], self._agent_ticks[-1]
            self._writer.mark(first, last, TickFlag.STRAYED)
            self._training.mark(self._status.session, first, last, TickFlag.STRAYED)
            self._agent_ticks.clear()
        self._correct_until_ns = now_ns + int(CORRECTION_S * 1e9)

    def close(self) -> None:
        """End the session on disk."""
        self.request_close()
        self._writer.close()

    def request_close(self) -> None:
        """Take no more samples; the writer ends by itself, however slow the disk is."""
        self._pending = None
        self._writer.request_close()

    def _finish(self, seen: Observation, held: FloatVector, agent: FloatVector | None) -> None:
        if held.any():
            self._touched_ns = seen.t_ns
        if self._status.paused:
            self._gap = True
            return
        action = held if agent is None else agent
        sample = TickSample(self._tick, seen.t_ns, seen.frame.pixels, seen.audio, action, self._flags(seen, agent))
        self._writer.add(sample)
        self._training.feed(self._status.session, [sample])
        if agent is None:
            self._agent_ticks.clear()  # the player's ticks are never between two that strayed
        elif self._tick != self._strayed_tick:
            self._agent_ticks.append(self._tick)
        self._tick += 1
        self._gap = False
        self._count(sample)

    def _flags(self, seen: Observation, agent: FloatVector | None) -> TickFlag:
        flags = TickFlag.LEARN if agent is None else TickFlag.AGENT
        if self._tick == self._strayed_tick:
            flags |= TickFlag.STRAYED
        if agent is None and seen.t_ns < self._correct_until_ns:
            flags |= TickFlag.CORRECTION
        if self._gap:
            flags |= TickFlag.GAP
        if seen.audio_gap:
            flags |= TickFlag.AUDIO_GAP
        return flags

    def _look_for_pause(self, seen: Observation, agent_plays: bool) -> None:
        self._touched_ns = max([self._touched_ns or seen.t_ns, *(e.t_ns for e in seen.events if not e.own)])
        idle_s = (seen.t_ns - self._touched_ns) / 1e9
        reason = ""
        if seen.still_s > STILL_PAUSE_S:
            reason = "the picture stands still (menu or pause?)"
        elif idle_s > self._idle_after_s and not agent_plays:
            reason = f"nobody has pressed anything for {self._idle_after_s:.0f} s"
        self._status = replace(self._status, paused=reason)

    def _count(self, sample: TickSample) -> None:
        s = self._status
        self._status = replace(
            s,
            ticks=s.ticks + 1,
            seconds=round((s.ticks + 1) / self._spec.rate_hz, 2),
            learned=s.learned + bool(sample.flags & TickFlag.LEARN),
            actions=s.actions + bool(sample.action.any()),
        )

"""Plays while a permit lasts: one decision a tick, handed to the guard (tick thread; never torch)."""

import logging
from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

from tray_agent.capture.observer import Observation
from tray_agent.core.clock import Clock
from tray_agent.core.controls import FloatVector, to_command
from tray_agent.core.events import Command
from tray_agent.policy.onnx_policy import OnnxPolicy

_log = logging.getLogger(__name__)
STILL_LIMIT_S = 4.0
_LATE_LIMIT = 10


class Hands(Protocol):
    """What the player needs of the guard's client."""

    def act(self, epoch: int, seq: int, command: Command, t_ns: int | None = None) -> bool: ...

    def revoke(self, reason: str) -> None: ...


@dataclass(frozen=True)
class PlayStatus:
    """Counts of the play now or last.

    Attributes:
        decisions: acts sent.
        late: decisions that took longer than a tick.
        dropped: acts the guard could not take.
        unstuck: decisions made to get the game moving again, whatever the network said.
        inference_p50_ms, inference_p99_ms: time from the frame in hand to the act sent, last 1000 decisions.
        stopped: why it ended by itself, "" while it goes on.
    """

    decisions: int = 0
    late: int = 0
    dropped: int = 0
    unstuck: int = 0
    inference_p50_ms: float = 0.0
    inference_p99_ms: float = 0.0
    stopped: str = ""


class Player:
    """One play: from a permit to its end."""

    def __init__(self, policy: OnnxPolicy, hands: Hands, epoch: int, rate_hz: float, clock: Clock) -> None:
        self._policy = policy
        self._hands = hands
        self._epoch = epoch
        self._tick_ns = 1e9 / rate_hz
        self._clock = clock
        self._seq = 0
        self._first_ns: int | None = None
        self._unstuck_before = policy.unstuck_ticks  # by earlier plays
        self._late_in_row = 0
        self._times: deque[int] = deque(maxlen=1000)
        self._status = PlayStatus()

    @property
    def status(self) -> PlayStatus:
        """Counts so far."""
        times = sorted(self._times)
        if not times:
            return self._status
        p50, p99 = (times[min(len(times) - 1, int(len(times) * q))] / 1e6 for q in (0.5, 0.99))
        return replace(self._status, inference_p50_ms=round(p50, 3), inference_p99_ms=round(p99, 3))

    def swap(self, policy: OnnxPolicy) -> None:
        """Go on with a newer policy, keeping what was seen."""
        policy.inherit(self._policy)
        self._policy = policy

    def on_tick(self, seen: Observation) -> FloatVector | None:
        """Decide and act; the action vector, or None when playing has ended.

        Anything doubtful - output not finite, a picture that stands still, decisions that take too long - ends it.
        """
        if self._status.stopped:
            return None
        start_ns = self._clock.now_ns()
        if self._first_ns is None:  # how long it stood still before is the player's matter
            self._first_ns = seen.t_ns
        if min(seen.still_s, (seen.t_ns - self._first_ns) / 1e9) > STILL_LIMIT_S:
            self.stop(f"the picture has not changed for {STILL_LIMIT_S:.0f} s")
            return None
        try:
            action = self._policy.act(seen.frame.pixels, seen.audio)
            command = to_command(self._policy.controls, action)
        except ValueError as error:
            self.stop(f"unsure: {error}")
            return None
        except Exception as error:  # noqa: BLE001 - whatever the runtime raises, keys must not stay down
            self.stop(f"the policy failed: {type(error).__name__}: {error}")
            return None
        self._seq += 1
        sent = self._hands.act(self._epoch, self._seq, command, start_ns)
        self._count(self._clock.now_ns() - start_ns, sent)
        if self._late_in_row >= _LATE_LIMIT:
            self.stop(f"this machine is too slow: {_LATE_LIMIT} decisions in a row took longer than a tick")
            return None
        return action

    def _count(self, took_ns: int, sent: bool) -> None:
        self._times.append(took_ns)
        is_late = took_ns > self._tick_ns
        self._late_in_row = self._late_in_row + 1 if is_late else 0
        s = self._status
        self._status = replace(
            s,
            decisions=s.decisions + 1,
            late=s.late + is_late,
            dropped=s.dropped + (not sent),
            unstuck=self._policy.unstuck_ticks - self._unstuck_before,
        )

    def stop(self, reason: str) -> None:
        """End the play and say why."""
        self._hands.revoke(reason)
        self._status = replace(self._status, stopped=reason)
        _log.warning("play ended: %s", reason)

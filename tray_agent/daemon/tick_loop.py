"""The tick thread: look, act, remember - at the game's rate. Owns observer, player and watcher while they run.

The daemon's main thread sends `Order`s; they are obeyed between two ticks. What happened comes back as `Report`s.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from tray_agent.capture.observer import Observation, Observer
from tray_agent.core.clock import Clock
from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels
from tray_agent.daemon.watcher import Watcher
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.play.player import Player
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.runtime.pacer import Pacer, PacerReport
from tray_agent.runtime.short_slices import prefer_short_slices
from tray_agent.runtime.worker import StopSignal, Worker
from tray_agent.sessions.writer import SessionWriter

_log = logging.getLogger(__name__)
_IDLE_S = 0.05
_REOPEN_NS = 1_000_000_000
_WARM_FRAMES = 8
_CLOSED_S = 4.0  # less than the daemon waits for this thread

Order = Callable[["TickLoop"], None]


@dataclass(frozen=True)
class TickReport:
    """State of the loop, replaced each tick.

    Attributes:
        running: whether frames are being taken.
        pacer: ticks, overruns, missed.
        frames: frames taken; late_frames, lost_frames: as the ring counted them.
        screen_problem, audio_problem: "" while all is well.
        buffer_seconds: how far back the rolling buffer reaches.
    """

    running: bool = False
    pacer: PacerReport = field(default_factory=lambda: PacerReport(0, 0, 0, 0))
    frames: int = 0
    late_frames: int = 0
    lost_frames: int = 0
    screen_problem: str = ""
    audio_problem: str = ""
    buffer_seconds: float = 0.0


class TickLoop:
    """Runs one game's ticks. Attributes are touched by the tick thread only; others use `order`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._worker = Worker("ticks", self._run)
        self._pacer: Pacer | None = None
        self._observer: Observer | None = None
        self._opened = False
        self._reopen_ns = 0
        self._in_front = False
        self._region: tuple[int, int, int, int] | None = None
        self._screen_problem = ""
        self._ended: list[SessionWriter] = []
        self.watcher: Watcher | None = None
        self.player: Player | None = None
        self.policy: OnnxPolicy | None = None
        self.report = TickReport()

    # -- any thread --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def order(self, order: Order) -> None:
        """Have `order(loop)` run on the tick thread between two ticks."""
        self._orders.put(order)

    @property
    def failure(self) -> BaseException | None:
        """What ended the thread, None while it lives."""
        return self._worker.failure

    def request_stop(self) -> None:
        """Ask the thread to end."""
        self._worker.request_stop()

    def join(self, deadline_s: float) -> bool:
        """Wait for it; False when late."""
        return self._worker.join(deadline_s)

    # -- orders (tick thread) ----------------------------------------------------------------------------------------

    def set_game(self, observer: Observer | None, rate_hz: float) -> None:
        """Observe another game from now on (None: nothing)."""
        self.end_watch()
        self.player = self.policy = None
        if self._observer is not None:
            self._observer.close()
        self._observer, self._opened = observer, False
        self._pacer = Pacer(self._clock, rate_hz) if observer is not None else None
        self._region = None
        self._screen_problem = ""
        self.report = TickReport()

    def set_front(self, in_front: bool, region: tuple[int, int, int, int] | None) -> None:
        """The game came to the front, left it, or moved."""
        if in_front and not self._in_front and self._opened and self._observer is not None:
            self._observer.resume()
        if not in_front and self._observer is not None:
            self._observer.pause()
        self._in_front = in_front
        if region is None:
            return
        self._region = region  # a screen that is opened later, or anew, must look there too
        if self._observer is not None and self._opened:
            self._observer.set_region(region)

    def begin_watch(self, watcher: Watcher) -> None:
        """Take samples from now on."""
        self.end_watch()
        if self._opened and self._observer is not None:
            self._observer.resume()
        self.watcher = watcher

    def end_watch(self) -> None:
        """Take no more samples; the session's writer ends by itself: the agent may play on meanwhile."""
        if self.watcher is not None:
            self.watcher.request_close()
            self._ended = [writer for writer in (*self._ended, self.watcher.writer) if not writer.join(0)]
            self.watcher = None

    def begin_play(self, player: Player) -> None:
        """Decide from now on; the policy is warmed with the frames just seen."""
        if self.policy is not None:
            self.policy.reset()
            for pixels in self._recent_frames():
                self.policy.see(pixels)
        self.player = player

    def end_play(self, takeover: bool) -> None:
        """The permit ended."""
        self.player = None
        if takeover and self.watcher is not None:
            self.watcher.on_takeover(self._clock.now_ns())

    def set_policy(self, policy: OnnxPolicy | None) -> None:
        """Use this policy for what is to come, also in the middle of a play."""
        if self.player is not None and policy is not None:
            self.player.swap(policy)
        self.policy = policy

    # -- tick thread -------------------------------------------------------------------------------------------------

    def _run(self, stop: StopSignal) -> None:
        prefer_short_slices()
        try:
            while not stop.is_set():
                self._obey()
                if not self._can_look():
                    self._rest(stop)
                    continue
                assert self._pacer is not None  # noqa: S101 - _can_look() said that there is a game
                self._pacer.wait()
                self._tick()
        finally:
            self._obey()
            self.end_watch()
            if self._observer is not None:
                self._observer.close()
            for writer in self._ended:
                writer.join(_CLOSED_S)

    def _obey(self) -> None:
        while True:
            try:
                order = self._orders.get_nowait()
            except Empty:
                return
            order(self)

    def _can_look(self) -> bool:
        if self._observer is None or not self._in_front:
            return False
        if not self._opened and self._clock.now_ns() >= self._reopen_ns:
            self._open(self._observer)
        return self._opened

    def _open(self, observer: Observer) -> None:
        try:
            observer.start()
        except (PlatformUnavailable, CaptureLost) as error:
            self._lose(observer, str(error))
            return
        if self._region is not None:
            observer.set_region(self._region)
        observer.resume()
        self._opened, self._screen_problem = True, ""

    def _lose(self, observer: Observer, problem: str) -> None:
        if problem != self._screen_problem:
            _log.warning("screen: %s", problem)
        observer.close()
        self._opened, self._screen_problem = False, problem
        self._reopen_ns = self._clock.now_ns() + _REOPEN_NS
        if self.player is not None:
            self.player.stop(f"the screen is lost: {problem}")
        self._publish(running=False)

    def _rest(self, stop: StopSignal) -> None:
        if self.watcher is not None:
            self.watcher.interrupt(self._screen_problem or "the game is not in front")
        if self._pacer is not None:
            self._pacer.restart()
        self._publish(running=False)
        stop.wait(_IDLE_S)

    def _tick(self) -> None:
        assert self._observer is not None  # noqa: S101 - _can_look() said so
        try:
            seen = self._observer.observe()
        except CaptureLost as error:
            self._lose(self._observer, str(error))
            return
        action = self._act(seen)
        if self.watcher is not None:
            self.watcher.on_tick(seen, action)
        self._publish(running=True)

    def _act(self, seen: Observation) -> FloatVector | None:
        return self.player.on_tick(seen) if self.player is not None else None

    def _recent_frames(self) -> Iterable[Pixels]:
        """The newest frames since the last pause, oldest first; none before the first tick."""
        if self._observer is None or not len(self._observer.frames):
            return ()
        recent = self._observer.frames.latest(min(_WARM_FRAMES, len(self._observer.frames)))
        return recent[0][recent[1] > self._observer.began_ns] if recent is not None else ()

    def _publish(self, running: bool) -> None:
        if self._observer is None or self._pacer is None:
            return
        counts = self._observer.frames.counts()
        self.report = TickReport(
            running=running,
            pacer=self._pacer.report(),
            frames=counts.written,
            late_frames=counts.late,
            lost_frames=counts.dropped,
            screen_problem=self._screen_problem,
            audio_problem=self._observer.audio_problem,
            buffer_seconds=round(self._observer.buffer_seconds, 1),
        )

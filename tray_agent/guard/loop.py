"""The guard's loop (standard library only): one thread that hears, obeys within bounds, and lets go.

Whatever ends play, the order is the same: permit revoked, everything released, then reported. What the player did
is looked at before what the daemon asks.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping

from tray_agent.core import keys
from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.events import Command, InputEvent
from tray_agent.core.guard_port import BackendReport, GuardBackend, Heard
from tray_agent.guard import protocol
from tray_agent.guard.channel import Channel
from tray_agent.guard.chords import ChordDetector, Fired
from tray_agent.guard.permit import HumanAct, Permit
from tray_agent.guard.protocol import Act, ClearGame, Game, Op, PermitRequest, Ping, Revoke
from tray_agent.guard.rules import GameRules
from tray_agent.guard.takeover import TouchDetector

FIRST_ACT_NS = 1_000_000_000
"""Time the daemon has after a permit to send its first act; nothing is held until then."""
FUTURE_NS = 50_000_000
"""Acts stamped further ahead than this were not made on our clock."""
WINDOW_CHECK_NS = 100_000_000
IDLE_S = 1.0
SUSPEND_NS = 1_000_000_000
STOP_GESTURE_NS = 2_000_000_000
"""A play hotkey begun before play ended, and completed within this, was meant to stop it."""
REQUEST_AGE_NS = 1_000_000_000
"""A request for play older than this is not obeyed."""
_ASKED = frozenset({"stop", "game"})
"""Ends the daemon asks for: its later requests for play know of them."""
_REPORT_DROPS_NS = 500_000_000
_NO_GAME = "no game is ready to be played"


def asleep_ns() -> int:
    """How long this machine has slept since it started, ns; 0 where the system does not tell."""
    if sys.platform == "linux" and hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return 0


class GuardLoop:
    """Holds the permit and the only sink.

    Args:
        backend: started by the caller, which closes it too.
        report: what the backend's start found.
        lease_ms: silence of the daemon after which everything is let go.
        parent_gone: whether the daemon is no longer there though its pipe still is.
    """

    def __init__(
        self,
        backend: GuardBackend,
        report: BackendReport,
        channel: Channel,
        hotkeys: Mapping[str, tuple[str, ...]],
        lease_ms: int = 200,
        clock: Clock | None = None,
        parent_gone: Callable[[], bool] = lambda: False,
        asleep: Callable[[], int] = asleep_ns,
    ) -> None:
        self._backend = backend
        self._report = report
        self._channel = channel
        self._hotkeys = hotkeys
        self._lease_default_ns = lease_ms * 1_000_000
        self._clock: Clock = clock or MonotonicClock()
        self._parent_gone = parent_gone
        self._asleep = asleep
        self._slept_ns = asleep()
        self._permit = Permit()
        self._chords = ChordDetector(hotkeys)
        self._touches = TouchDetector()
        self._rules: GameRules | None = None
        self._no_game = _NO_GAME
        self._held: frozenset[str] = frozenset()
        self._seq = -1
        self._lease_end_ns = 0
        self._window_check_ns = 0
        self._stopped_ns: int | None = None
        self._dropped: Counter[str] = Counter()
        self._drops_reported_ns = 0
        self._stop_reason = ""
        self._ended = False

    @property
    def playing(self) -> bool:
        """Whether a permit is held."""
        return self._permit.held

    @property
    def held(self) -> frozenset[str]:
        """Buttons the guard holds down."""
        return self._held

    @property
    def ended(self) -> bool:
        """Whether the loop has come to its end."""
        return self._ended

    def request_stop(self, reason: str) -> None:
        """Release and end at the next step; safe in a signal handler."""
        self._stop_reason = reason

    def run(self) -> None:
        """Until told to quit, or the daemon or the platform is gone; everything is up when this returns or raises."""
        try:
            while not self._ended:
                self.step()
        except BaseException as error:
            self._end("fault", f"fault in the guard: {type(error).__name__}: {error}")
            raise
        finally:
            self._backend.release_all()

    def step(self) -> None:
        """Wait once, and do all that follows from what came."""
        heard = self._backend.wait(self._channel.fileno(), self._timeout_s())
        for event in heard.events:
            self._hear(event)
        self._check_surroundings(heard)
        if not self._ended and (heard.commands_ready or self._channel.pending):
            self._obey()
        self._check_time()
        self._report_drops()
        self._channel.flush()

    def _timeout_s(self) -> float:
        now_ns = self._clock.now_ns()
        if self._channel.pending:
            return 0.0
        if not self._permit.held:
            return IDLE_S
        next_ns = min(self._lease_end_ns, self._permit.expires_ns)
        if self._rules is not None and self._rules.game.window is not None:
            next_ns = min(next_ns, self._window_check_ns)
        return min(IDLE_S, max(0.0, (next_ns - now_ns) / 1e9))

    # -- what the player does

    def _hear(self, event: InputEvent) -> None:
        was_playing = self._permit.held
        for chord in self._chords.feed(event):
            self._hotkey(chord)
        touched = self._touches.feed(event)
        if touched and was_playing and self._permit.held:
            self._revoke("takeover", f"the player touched {touched}", event.t_ns)

    def _hotkey(self, chord: Fired) -> None:
        if chord.name == "kill":
            self._revoke("kill", "kill hotkey", chord.t_ns)
            self._channel.send(protocol.Hotkey(chord.name, chord.t_ns, stops=True))
        elif chord.name != "play":
            self._channel.send(protocol.Hotkey(chord.name, chord.t_ns))
        elif self._permit.held:
            self._revoke("hotkey", "play hotkey", chord.t_ns)
            self._channel.send(protocol.Hotkey(chord.name, chord.t_ns, stops=True))
        else:
            self._play(chord)

    def _play(self, chord: Fired) -> None:
        recent = self._stopped_ns is not None and chord.t_ns - self._stopped_ns < STOP_GESTURE_NS
        stops = recent and chord.began_ns <= (self._stopped_ns or 0)
        self._channel.send(protocol.Hotkey(chord.name, chord.t_ns, stops))
        if not stops:
            self._grant(HumanAct.HOTKEY)

    # -- the permit

    def _grant(self, act: HumanAct) -> None:
        reason, rules = self._why_not(), self._rules
        if reason or rules is None:
            self._channel.send(protocol.Refused("permit", reason))
            return
        now_ns = self._clock.now_ns()
        self._seq = -1
        self._touches.forget()
        self._lease_end_ns = now_ns + max(FIRST_ACT_NS, self._lease_ns(rules.game))
        self._window_check_ns = now_ns + WINDOW_CHECK_NS
        self._slept_ns = self._asleep()
        self._permit.grant(act, self._permit.epoch + 1, now_ns + int(rules.game.limit_s * 1e9))
        self._channel.send(protocol.Armed(self._permit.epoch, self._permit.expires_ns))

    def _why_not(self) -> str:
        """Why nothing may be pressed now, "" if all is well. Fails closed."""
        report = self._report
        if self._rules is None:
            return self._no_game
        if self._permit.held:
            return "already playing"
        if report.presses and not report.hears_player:
            return f"a touch by the player would not be noticed: {report.why_deaf}"
        if report.presses and "kill" in report.hotkey_problems:
            return f"the kill hotkey would not be heard: {report.hotkey_problems['kill']}"
        return self._window_problem(self._rules.game)

    def _revoke(self, kind: str, reason: str, cause_ns: int) -> None:
        was_held = self._permit.revoke()
        released = self._backend.release_all()
        now_ns = self._clock.now_ns()
        self._held = frozenset()
        if kind == "kill" or (was_held and kind not in _ASKED):
            self._stopped_ns = now_ns
        if was_held:
            self._report_drops(now=True)
            latency_us = max(0, now_ns - cause_ns) // 1000
            epoch = self._permit.epoch
            self._channel.send(protocol.Revoked(kind, reason, epoch, cause_ns, released, latency_us))

    def _end(self, kind: str, reason: str) -> None:
        self._revoke(kind, reason, self._clock.now_ns())
        self._ended = True

    # -- what happens around us

    def _check_surroundings(self, heard: Heard) -> None:
        if self._stop_reason:
            self._end("signal", self._stop_reason)
        elif heard.lost:
            self._lose(heard.lost)
        elif self._parent_gone():
            self._end("daemon", "the daemon is gone")
        elif self._permit.held:
            self._check_window(heard.focus_changed)
            self._check_sleep()

    def _lose(self, reason: str) -> None:
        self._end("lost", reason)
        self._channel.send(protocol.Failed(reason))

    def _check_window(self, focus_changed: bool) -> None:
        now_ns = self._clock.now_ns()
        if self._rules is None or not (focus_changed or now_ns >= self._window_check_ns):
            return
        self._window_check_ns = now_ns + WINDOW_CHECK_NS
        if problem := self._window_problem(self._rules.game):
            self._revoke("window", problem, now_ns)

    def _window_problem(self, game: Game) -> str:
        if game.window is None:
            return ""
        window = self._backend.active()
        if window is None:
            return "no window is in front"
        if window.handle != game.window:
            return "the game's window is not in front"
        if game.rect is not None and tuple(window.rect) != game.rect:
            return "the game's window was moved or resized"
        return ""

    def _check_sleep(self) -> None:
        if self._asleep() - self._slept_ns > SUSPEND_NS:
            self._revoke("suspend", "the machine was asleep", self._clock.now_ns())

    def _check_time(self) -> None:
        if not self._permit.held:
            return
        now_ns = self._clock.now_ns()
        if now_ns >= self._lease_end_ns:
            self._revoke("lease", "the daemon fell silent: it hangs, or this machine is too busy", self._lease_end_ns)
        elif now_ns >= self._permit.expires_ns:
            self._revoke("limit", "the time limit of this game was reached", self._permit.expires_ns)

    # -- what the daemon asks

    def _obey(self) -> None:
        for line in self._channel.read():
            if self._ended:
                return
            try:
                op = protocol.decode_op(line)
            except protocol.ProtocolError as error:
                self._distrust(str(error))
            else:
                self._do(op)
        if self._channel.closed:
            self._end("daemon", "the daemon is gone")

    def _distrust(self, problem: str) -> None:
        self._revoke("command", f"the daemon sent a wrong message: {problem}", self._clock.now_ns())
        self._rules = None
        self._channel.send(protocol.Refused("message", problem))

    def _do(self, op: Op) -> None:
        match op:
            case Act():
                self._act(op)
            case Ping():
                self._channel.send(protocol.Pong(op.t_ns, self._permit.held, tuple(sorted(self._held))))
            case Game() | ClearGame():
                self._set_game(op)
            case PermitRequest():
                self._request(op)
            case Revoke():
                self._revoke("stop", op.reason, self._clock.now_ns())
            case _:  # Quit; whatever else there may be one day, ending is safe
                self._end("stop", "the daemon is closing")

    def _set_game(self, op: Game | ClearGame) -> None:
        if self._rules is not None and op == self._rules.game:
            return
        self._revoke("game", "the game or its settings changed", self._clock.now_ns())
        self._rules, self._no_game = None, _NO_GAME
        if isinstance(op, Game):
            self._accept_game(op)

    def _accept_game(self, game: Game) -> None:
        if problem := self._game_problem(game):
            self._no_game = problem
            self._channel.send(protocol.Refused("game", problem))
        else:
            self._rules = GameRules(game, self._hotkeys)

    def _game_problem(self, game: Game) -> str:
        for name, chord in self._hotkeys.items():
            if len(chord) == 1 and chord[0] in game.buttons:
                return f"{chord[0]} is both a control and the {name} hotkey"
        pad = [name for name in (*game.buttons, *game.axes) if name in keys.PAD]
        if pad and self._report.presses and self._report.no_pad:
            return f"{pad[0]} can't be pressed: {self._report.no_pad}"
        return ""

    def _request(self, op: PermitRequest) -> None:
        age_ns = self._clock.now_ns() - op.t_ns
        if self._stopped_ns is not None and op.t_ns <= self._stopped_ns:
            self._channel.send(protocol.Refused("permit", "play was stopped after it was asked for"))
        elif not -FUTURE_NS <= age_ns <= REQUEST_AGE_NS:
            self._channel.send(protocol.Refused("permit", "the request is not of this moment"))
        else:
            self._grant(HumanAct.REQUEST)

    def _act(self, act: Act) -> None:
        now_ns = self._clock.now_ns()
        rules = self._rules
        if rules is None or act.epoch < self._permit.epoch or not self._permit.held:
            self._dropped["no permit"] += 1
        elif problem := self._problem(act, rules, now_ns):
            self._revoke("command", problem, now_ns)
        elif now_ns - act.t_ns > self._lease_ns(rules.game):
            self._seq = act.seq
            self._dropped["stale"] += 1
        elif now_ns < self._permit.expires_ns:
            self._press(act, rules, now_ns)

    def _problem(self, act: Act, rules: GameRules, now_ns: int) -> str:
        if act.epoch != self._permit.epoch:
            return f"act of epoch {act.epoch}, which was never granted"
        if act.seq <= self._seq:
            return f"act {act.seq} came after act {self._seq}"
        if act.t_ns > now_ns + FUTURE_NS:
            return "act from the future"
        return rules.problem(act.command)

    def _press(self, act: Act, rules: GameRules, now_ns: int) -> None:
        wanted = act.command.held
        held = rules.without_chords(wanted, self._chords.held)
        self._dropped["forbidden chord"] += len(wanted) - len(held)
        allowed = rules.without_chatter(held, self._held, now_ns)
        self._dropped["changes too often"] += len(held) - len(allowed)
        self._held, self._seq = allowed, act.seq
        try:
            self._backend.apply(Command(allowed, act.command.relative, act.command.axes))
        except OSError as error:
            self._lose(f"pressing failed: {error}")
        self._lease_end_ns = self._clock.now_ns() + self._lease_ns(rules.game)

    def _lease_ns(self, game: Game) -> int:
        return self._lease_default_ns if game.lease_ms is None else game.lease_ms * 1_000_000

    def _report_drops(self, now: bool = False) -> None:
        now_ns = self._clock.now_ns()
        if not (now or now_ns - self._drops_reported_ns > _REPORT_DROPS_NS):
            return
        self._drops_reported_ns = now_ns
        for why, count in self._dropped.items():
            if count:
                self._channel.send(protocol.Dropped(count, why))
        self._dropped.clear()

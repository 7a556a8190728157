"""Watching and playing without real time: a packaged game in lockstep, one tick at a time (the caller's thread).

The same observer, player and checks as beside a real game; only the guard's process is not there. Its bounds are:
commands go through `GameRules` to the desktop's sink, and a breach or a revoked permit lets go of everything. For
evaluations and tests.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tray_agent.capture.input_pump import SteppedInputs
from tray_agent.capture.observer import Observation, Observer
from tray_agent.core.clock import ManualClock
from tray_agent.core.controls import FloatVector
from tray_agent.core.desktop import Desktop
from tray_agent.core.events import Command
from tray_agent.core.policy import PolicySpec
from tray_agent.core.ports import InputSink
from tray_agent.errors import NotArmed
from tray_agent.guard.protocol import Game
from tray_agent.guard.rules import GameRules
from tray_agent.platforms.env.catalog import entry
from tray_agent.platforms.env.lockstep import LockstepDesktop
from tray_agent.platforms.env.players.player import Player as ScriptedPlayer
from tray_agent.play.player import Player, PlayStatus
from tray_agent.policy.onnx_policy import OnnxPolicy

_BUFFER_BYTES = 4 << 20
_EPOCH = 1


class LockstepHands:
    """The player's hands in its own process: the guard's bounds, and nothing pressed after a revoke."""

    def __init__(self, sink: InputSink, game: Game, clock: ManualClock, hotkeys: Mapping[str, tuple[str, ...]]) -> None:
        self._sink = sink
        self._rules = GameRules(game, hotkeys)
        self._clock = clock
        self._held: frozenset[str] = frozenset()
        self.revoked = ""
        """Why playing ended, "" while it may go on."""

    def act(self, epoch: int, seq: int, command: Command, t_ns: int | None = None) -> bool:  # noqa: ARG002 - the port
        """Press, within the game's bounds; False when nothing was pressed."""
        if self.revoked:
            return False
        if problem := self._rules.problem(command):
            self.revoke(f"out of bounds: {problem}")
            return False
        wanted = self._rules.without_chords(command.held, frozenset())
        self._held = self._rules.without_chatter(wanted, self._held, self._clock.now_ns())
        self._sink.apply(Command(self._held, command.relative, command.axes))
        return True

    def revoke(self, reason: str) -> None:
        """Let go of everything; nothing is pressed any more."""
        self._sink.release_all()
        self._held = frozenset()
        self.revoked = self.revoked or reason


@dataclass(frozen=True)
class Step:
    """One tick.

    Attributes:
        seen: what the agent saw.
        action: what it held in the tick, None when it did not play.
        reward: of the tick.
        finished: score of the episode that ended in this tick, None while it goes on.
    """

    seen: Observation
    action: FloatVector | None
    reward: float
    finished: float | None


class LockstepGame:
    """A packaged game under an observer. `start()` before use, `close()` after; one thread.

    Args:
        name: of the packaged game.
        spec: what is seen and pressed.
        scripted: who plays while the agent does not; None: nobody.
        seed: of the first episode; each next one has the next seed.
    """

    def __init__(self, name: str, spec: PolicySpec, scripted: ScriptedPlayer | None = None, seed: int = 0) -> None:
        clock = ManualClock()
        game = entry(name).make_game()
        self.spec = spec
        self.desktop = LockstepDesktop(game, clock, spec.frame_width, spec.frame_height, scripted, seed)
        self._observer = Observer(_as_desktop(self.desktop), spec, SteppedInputs(self.desktop.inputs), _BUFFER_BYTES)

    def start(self) -> None:
        """Load the game.

        Raises:
            PlatformUnavailable: its package is missing.
        """
        self.desktop.start()
        self._observer.start()

    def close(self) -> None:
        """Unload it; idempotent."""
        self._observer.close()
        self.desktop.close()

    def watch(self, ticks: int) -> Iterator[Step]:
        """The scripted player plays."""
        for _ in range(ticks):
            yield self.step(lambda _: None)

    def play(self, policy: OnnxPolicy, hotkeys: Mapping[str, tuple[str, ...]] | None = None) -> "LockstepPlay":
        """A play by the agent, which begins with the next step."""
        return LockstepPlay(self, policy, hotkeys or {})

    def step(self, decide: Callable[[Observation], FloatVector | None]) -> Step:
        """Look, have `decide` act on it, let one tick pass."""
        seen = self._observer.observe()
        action = decide(seen)
        outcome = self.desktop.tick()
        return Step(seen, action, outcome.reward, outcome.finished)


class LockstepPlay:
    """The agent at play."""

    def __init__(self, game: LockstepGame, policy: OnnxPolicy, hotkeys: Mapping[str, tuple[str, ...]]) -> None:
        controls, clock = game.spec.controls, game.desktop.clock
        bounds = Game(buttons=controls.buttons, relative=controls.relative, axes=controls.axes)
        self._game = game
        self._hands = LockstepHands(game.desktop.sink, bounds, clock, hotkeys)
        policy.reset()
        self._policy = policy
        self._player = Player(policy, self._hands, _EPOCH, game.spec.rate_hz, clock)

    @property
    def status(self) -> PlayStatus:
        """Counts so far."""
        return self._player.status

    def step(self) -> Step:
        """One tick.

        Raises:
            NotArmed: the play has ended by itself; the message says why.
        """
        step = self._game.step(self._player.on_tick)
        if self._hands.revoked:
            raise NotArmed(self._hands.revoked)
        if step.finished is not None:
            self._policy.reset()  # the next episode's first frames have no history
        return step

    def scores(self, episodes: int) -> list[float]:
        """Scores of so many whole episodes.

        Raises:
            NotArmed: the play has ended by itself; the message says why.
        """
        scores: list[float] = []
        while len(scores) < episodes:
            finished = self.step().finished
            if finished is not None:
                scores.append(finished)
        return scores

    def end(self) -> None:
        """Let go of everything."""
        self._hands.revoke("the play is over")


def _as_desktop(lockstep: LockstepDesktop) -> Desktop:
    return Desktop(
        name="lockstep",
        screen=lambda _: lockstep.screen,
        inputs=lambda: lockstep.inputs,
        window=lambda: lockstep.window,
        guard_backend="",
        audio=lambda: lockstep.audio,
        clock=lockstep.clock,
        audio_lag_ns=0,
    )

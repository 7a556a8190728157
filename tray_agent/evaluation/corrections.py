"""More play after the first learning: with a player who takes over when the agent strays, or plain watching.

The player is HG-DAgger's (Kelly et al. 2019): it watches the agent play, takes over when it has disagreed with it for
too long, plays for a while, and gives back. What it would press is known at every tick; that decides nothing but the
moment of the takeover.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from tray_agent.core.controls import to_command
from tray_agent.core.events import Command
from tray_agent.core.policy import PolicySpec
from tray_agent.daemon.learning import decoding_of
from tray_agent.daemon.watcher import Watcher
from tray_agent.errors import NotArmed
from tray_agent.evaluation.cell import SEED_STRIDE, Cell
from tray_agent.evaluation.recording import Tell, new_watcher, player_of
from tray_agent.play.lockstep import LockstepGame, LockstepPlay, Step
from tray_agent.policy.bundle import load_bundle
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.settings.games import GameProfile

CORRECTIONS = "corrections"
WATCHING = "watching"
_NOTICE_S = 1.0
_STRAYED_SHARE = 0.6
_CORRECT_S = 4.0
_AXIS_APART = 0.5
_TELL_EVERY = 500


@dataclass(frozen=True)
class Corrected:
    """What happened.

    Attributes:
        takeovers: how often the player took over.
        player_share: share of the ticks that it played.
    """

    takeovers: int
    player_share: float


def correct(cell: Cell, profile: GameProfile, spec: PolicySpec, bundle: Path, root: Path, tell: Tell) -> Corrected:
    """Record `cell.minutes` of the agent's play with takeovers, as a session under `root`.

    Raises:
        BundleError: the bundle can't be used.
    """
    game = LockstepGame(cell.game, spec, seed=SEED_STRIDE * (cell.seed + 1) + SEED_STRIDE // 4)
    game.start()
    try:
        policy = OnnxPolicy(load_bundle(bundle, spec), decoding_of(profile), seed=cell.seed)
        watcher = new_watcher(game, profile, spec, root)
        overseer = _Overseer(cell, game, policy, watcher)
        ticks = round(cell.minutes * 60 * spec.rate_hz)
        for tick in range(ticks):
            overseer.tick()
            if tick % _TELL_EVERY == 0:
                tell(f"playing under correction, {overseer.takeovers} takeovers", tick / ticks)
        watcher.close()
        return Corrected(overseer.takeovers, round(overseer.played / ticks, 3))
    finally:
        game.close()


class _Overseer:
    """The player beside the agent."""

    def __init__(self, cell: Cell, game: LockstepGame, policy: OnnxPolicy, watcher: Watcher) -> None:
        self._game, self._policy, self._watcher = game, policy, watcher
        self._player = player_of(cell)
        self._player.reset(0)
        rate_hz = game.spec.rate_hz
        self._differs: deque[bool] = deque(maxlen=max(2, round(_NOTICE_S * rate_hz)))
        self._correct_ticks = round(_CORRECT_S * rate_hz)
        self._play: LockstepPlay | None = game.play(policy)
        self._left = 0
        self.takeovers = 0
        self.played = 0

    def tick(self) -> None:
        """One tick, whoever plays."""
        if self._play is None:
            self._correct()
        else:
            self._oversee(self._play)

    def _oversee(self, play: LockstepPlay) -> None:
        wanted = self._player.decide(self._game.desktop.game)
        try:
            step = play.step()
        except NotArmed:  # the play ended by itself: the player goes on
            self._take_over(play)
            return
        self._watcher.on_tick(step.seen, step.action)
        self._begin_anew(step)
        if step.action is not None:
            self._differs.append(_apart(to_command(self._game.spec.controls, step.action), wanted))
        full = len(self._differs) == self._differs.maxlen
        if full and sum(self._differs) >= _STRAYED_SHARE * len(self._differs):
            self._take_over(play)

    def _take_over(self, play: LockstepPlay) -> None:
        play.end()
        self._watcher.on_takeover(self._game.desktop.clock.now_ns())
        self._game.desktop.player = self._player
        self._play, self._left = None, self._correct_ticks
        self.takeovers += 1

    def _correct(self) -> None:
        step = self._game.step(_nobody)
        self._watcher.on_tick(step.seen, None)
        self._left -= 1
        self.played += 1
        if self._left <= 0:
            self._game.desktop.player = None
            self._differs.clear()
            self._play = self._game.play(self._policy)

    def _begin_anew(self, step: Step) -> None:
        if step.finished is not None:
            self._player.reset(0)
            self._differs.clear()


def _nobody(_: object) -> None:
    """Decides nothing: the desktop's own player plays."""


def _apart(agent: Command, player: Command) -> bool:
    """Whether they do something different."""
    if agent.held != player.held:
        return True
    names = {*agent.axes, *player.axes}
    return any(abs(agent.axes.get(n, 0.0) - player.axes.get(n, 0.0)) > _AXIS_APART for n in names)

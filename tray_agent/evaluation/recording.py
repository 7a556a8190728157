"""A scripted player plays, the product watches: sessions on disk, made once for all policies (lockstep).

The same game seed gives the same play whatever size it is recorded at, so policies that want other pictures get the
same play.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.daemon.watcher import Trainer, Watcher
from tray_agent.evaluation.cell import SEED_STRIDE, Cell
from tray_agent.platforms.env.catalog import scripted_player
from tray_agent.platforms.env.players.faults import ALL_FAULTS
from tray_agent.platforms.env.players.player import Player
from tray_agent.play.lockstep import LockstepGame
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.layout import new_folder
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.writer import SessionWriter
from tray_agent.settings.games import GameProfile

_NEVER_IDLE_S = 1e9  # a scripted player that waits is playing
_TELL_EVERY = 500
_VALIDATION_MINUTES = 1.0

Tell = Callable[[str, float], None]
"""Progress: what is done, and which share of it (0..1)."""


class NobodyLearns:
    """Takes what a watcher feeds a trainer: recording alone."""

    def feed(self, session: str, samples: list[TickSample]) -> None:
        """Drop."""

    def mark(self, session: str, first: int, last: int, flags: TickFlag) -> None:
        """Drop."""


@dataclass(frozen=True)
class Recorded:
    """Sessions of one player.

    Attributes:
        learn: root folder of the sessions to learn from.
        validate: root folder of one that nobody learns from.
        scores: of the episodes the player finished.
        play: 12 hex digits over all that was pressed: the same for everybody who learned from the same play.
    """

    learn: Path
    validate: Path
    scores: list[float]
    play: str


def player_of(cell: Cell) -> Player:
    """The scripted player of a cell's game, with human faults if the cell wants them. Raises UnknownGame."""
    return scripted_player(cell.game, ALL_FAULTS if cell.faults else None)


def record(cell: Cell, profile: GameProfile, spec: PolicySpec, folder: Path, tell: Tell) -> Recorded:
    """Record `cell.minutes`, and one minute more for validation, unless that was done before.

    Args:
        cell: game, seed, minutes and faults count.
        profile: of the game.
        spec: what is recorded.
        folder: where recordings are kept.
        tell: progress.

    Raises:
        PlatformUnavailable: the game's package is missing.
        SessionError: the disk is full.
    """
    name = f"{cell.game.replace(':', '_')}.s{cell.seed}.{cell.minutes:g}min{'.faults' * cell.faults}.{spec.digest}"
    done, part = folder / name, folder / f"{name}.part"
    if not done.is_dir():
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        first = SEED_STRIDE * (cell.seed + 1)
        scores = watch(cell, profile, spec, part / "learn", first, cell.minutes, tell)
        watch(cell, profile, spec, part / "validate", first + SEED_STRIDE // 2, _VALIDATION_MINUTES, tell)
        (part / "scores.txt").write_text("\n".join(str(score) for score in scores))
        part.rename(done)
    scores = [float(line) for line in (done / "scores.txt").read_text().split()]
    return Recorded(done / "learn", done / "validate", scores, _play_digest(done / "learn"))


def _play_digest(root: Path) -> str:
    digest = hashlib.sha256()
    for listed in list_sessions(root).sessions:
        digest.update(SessionReader(listed.folder).ticks.actions.tobytes())
    return digest.hexdigest()[:12]


def watch(
    cell: Cell, profile: GameProfile, spec: PolicySpec, root: Path, seed: int, minutes: float, tell: Tell
) -> list[float]:
    """One session under `root` by the product's own watcher; scores of the episodes that ended in it."""
    game = LockstepGame(cell.game, spec, player_of(cell), seed)
    game.start()
    scores: list[float] = []
    try:
        watcher = new_watcher(game, profile, spec, root)
        ticks = round(minutes * 60 * spec.rate_hz)
        for tick, step in enumerate(game.watch(ticks + 1)):  # a tick's sample is complete with the next tick
            watcher.on_tick(step.seen, None)
            if step.finished is not None:
                scores.append(step.finished)
            if tick % _TELL_EVERY == 0:
                tell(f"watching the player, {minutes:g} min of game time", tick / ticks)
        watcher.close()
    finally:
        game.close()
    return scores


def new_watcher(
    game: LockstepGame, profile: GameProfile, spec: PolicySpec, root: Path, trainer: Trainer | None = None
) -> Watcher:
    """A watcher that writes a new session under `root`."""
    writer = SessionWriter(
        new_folder(root, profile.name), spec, profile.name, profile.vector8, clock=game.desktop.clock, threaded=False
    )
    writer.start()
    return Watcher(spec, writer, trainer or NobodyLearns(), _NEVER_IDLE_S)

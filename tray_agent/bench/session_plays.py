"""Play for `bench sessions`: packaged games in lockstep, played by script, recorded by the product's own watcher."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tray_agent.bench.figures import progress
from tray_agent.core.media import Pixels, VideoQuality
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.daemon.watcher import Watcher
from tray_agent.evaluation.cell import OURS, SEED_STRIDE, Cell
from tray_agent.evaluation.recording import player_of
from tray_agent.play.lockstep import LockstepGame
from tray_agent.sessions.layout import new_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.settings.snapshot import load_settings

_NEVER_IDLE_S = 1e9  # a scripted player that waits is playing


@dataclass(frozen=True)
class Play:
    """A recorded play.

    Attributes:
        game: its name.
        session: folder of the session.
        pictures: those handed to the session's writer, uint8 (n, h, w, 3); none where they were not kept.
        source: (width, height) of the game's own picture.
    """

    game: str
    session: Path
    pictures: Pixels
    source: tuple[int, int]


class Plays:
    """Plays under a folder, each recorded when it is first asked for. One thread."""

    def __init__(self, folder: Path, quality: VideoQuality) -> None:
        """Store.

        Args:
            folder: for all that is recorded.
            quality: how closely pictures are kept.
        """
        self.folder = folder
        self.quality = quality
        self._known: dict[tuple[str, float, bool], Play] = {}

    def play(self, game: str, minutes: float, keep_pictures: bool = True) -> Play:
        """So many minutes of game time.

        Raises:
            UnknownGame, PlatformUnavailable: there is no such packaged game, or its package is missing.
            SessionError: it can't be written.
        """
        key = (game, minutes, keep_pictures)
        if key not in self._known:
            progress(f"  recording {minutes:g} min of {game} ...")
            self._known[key] = self._record(*key)
        return self._known[key]

    def _record(self, name: str, minutes: float, keep_pictures: bool) -> Play:
        profile = load_settings().game(name)
        spec = profile.spec()
        keeper = _Keeper(keep_pictures)
        game = LockstepGame(name, spec, player_of(Cell(name, OURS)), SEED_STRIDE)
        game.start()
        try:
            folder = new_folder(self.folder / f"{name}.{minutes:g}min", name)
            writer = SessionWriter(
                folder, spec, name, profile.vector8, clock=game.desktop.clock, threaded=False, quality=self.quality
            )
            writer.start()
            watcher = Watcher(spec, writer, keeper, _NEVER_IDLE_S)
            for step in game.watch(round(minutes * 60 * spec.rate_hz) + 1):  # a tick's sample comes with the next tick
                watcher.on_tick(step.seen, None)
            watcher.close()
            info = game.desktop.game.info
        finally:
            game.close()
        pictures = np.stack(keeper.pictures) if keeper.pictures else np.zeros((0, 0, 0, 3), np.uint8)
        return Play(name, folder, pictures, (info.width, info.height))


class _Keeper:
    """Sits where the trainer would: gets what the writer gets, before it is encoded."""

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self.pictures: list[Pixels] = []

    def feed(self, session: str, samples: list[TickSample]) -> None:  # noqa: ARG002 - the trainer's port
        """Keep the pictures."""
        if self._keep:
            self.pictures += [sample.pixels for sample in samples]

    def mark(self, session: str, first: int, last: int, flags: TickFlag) -> None:
        """Drop."""

"""A whole run of `tray-agent pretrain`: sessions found or games played, a file made, what came of it (torch)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError, safe_open

from tray_agent.errors import SettingsError, TrayAgentError
from tray_agent.settings import paths
from tray_agent.settings.snapshot import load_settings
from tray_agent.training.encoders.source import START
from tray_agent.training.offline.progress import Progress
from tray_agent.training.pretraining import encoder
from tray_agent.training.pretraining.encoder import EncoderPretraining
from tray_agent.training.pretraining.games import open_games, recorded_plays, sessions_by_game
from tray_agent.training.pretraining.joint import Joint
from tray_agent.training.pretraining.options import EncoderOptions, Options, PolicyOptions
from tray_agent.training.pretraining.plays import Play
from tray_agent.training.pretraining.policy_recipe import REPTILE, Recipe, ReptileRecipe
from tray_agent.training.pretraining.random_play import EVALUATED, GAMES, played
from tray_agent.training.pretraining.reptile import Reptile
from tray_agent.training.pretraining.weights_file import Making, make_file

_LEAST_GAMES = 2
_SEED_STRIDE = 10_000


class _Work(Making, Protocol):
    def summary(self) -> dict[str, object]:
        """Plain data."""
        ...


class Run:
    """One run. `go()` does all of it.

    Args:
        options: as given.
        progress: told how it goes.
    """

    def __init__(self, options: Options, progress: Progress) -> None:
        self._options, self._progress = options, progress
        self._skipped: dict[str, str] = {}

    def go(self) -> dict[str, Any]:
        """Learn and write; the summary.

        Raises:
            TrayAgentError: it can't be done, or not to its end; the message says what to do.
        """
        out = self._out()
        with self._work() as work:
            make_file(work, out, self._progress, self._options.resume)
            return work.summary() | {
                "file": str(out), "use": f"encoder: {START}{out}", "skipped": self._skipped,
            }  # fmt: skip

    def _out(self) -> Path:
        if self._options.out is not None:
            if not self._options.out.absolute().parent.is_dir():
                raise SettingsError(f"--out {self._options.out}: there is no such folder; make it first")
            return self._options.out.absolute()
        kind = "encoder" if isinstance(self._options, EncoderOptions) else "policy"
        folder = paths.data_folder() / "pretrained"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / f"{kind}.safetensors"

    @contextmanager
    def _work(self) -> Iterator[_Work]:
        options = self._options
        if isinstance(options, EncoderOptions):
            yield self._encoder(options)
            return
        policy = self._policy(options)
        try:
            yield policy
        finally:
            policy.close()

    # -- the encoder -------------------------------------------------------------------------------------------------

    def _encoder(self, options: EncoderOptions) -> EncoderPretraining:
        if options.sessions is None:
            plays = self._played(options)
            recipe = encoder.Recipe(
                options.games or GAMES, ticks=options.ticks, seed=options.seed, minutes=options.minutes
            )
            return EncoderPretraining(recipe, plays)
        sessions = self._sessions(options.sessions, options.without)
        plays = recorded_plays(sessions, options.memory_mb << 20, self._skip)
        if not plays:
            raise TrayAgentError("no game has enough to learn from; watch more, or name other sessions")
        self._progress.say(f"{len(plays)} games: " + ", ".join(f"{p.game} ({len(p.planes)} ticks)" for p in plays))
        recipe = encoder.Recipe(
            tuple(play.game for play in plays), tuple(sorted(options.without)), "recorded", None, options.memory_mb,
            options.seed, options.minutes,
        )  # fmt: skip
        return EncoderPretraining(recipe, plays)

    def _played(self, options: EncoderOptions) -> list[Play]:
        games = options.games or GAMES
        if bad := sorted(EVALUATED & set(games)):
            raise SettingsError(f"--games {' '.join(bad)}: play is measured on these, so they must stay unseen")
        plays = []
        for number, rom in enumerate(games):
            self._progress.at(f"playing {rom} ({number + 1} of {len(games)})")
            plays.append(played(rom, options.ticks, options.seed + _SEED_STRIDE * number))
        return plays

    # -- the policy --------------------------------------------------------------------------------------------------

    def _policy(self, options: PolicyOptions) -> Joint | Reptile:
        before = _learned_by(options.encoder)
        sessions = self._sessions(options.sessions, options.without)
        _check_count(list(sessions))
        games = open_games(sessions, options.memory_mb << 20, options.segment, options.seed, self._skip)
        names = tuple(game.name for game in games)
        _check_count(names)
        self._progress.say(f"{len(games)} games: " + ", ".join(f"{g.name} ({g.replay.total} ticks)" for g in games))
        without = tuple(sorted(options.without))
        common = (options.minutes, options.seed, options.encoder, before, options.segment, options.memory_mb)
        if options.method == REPTILE:
            return Reptile(ReptileRecipe(names, without, REPTILE, *common, inner=options.inner), games)
        return Joint(Recipe(names, without, options.method, *common), games)

    def _sessions(self, given: tuple[Path, ...], without: tuple[str, ...]) -> dict[str, list[Path]]:
        roots = given or (load_settings().app.folders.data or paths.data_folder() / "sessions",)
        return sessions_by_game(roots, without, self._skip)

    def _skip(self, name: str, why: str) -> None:
        self._skipped[name] = why
        self._progress.say(f"left out: {name}: {why}")


def _check_count(names: tuple[str, ...] | list[str]) -> None:
    if len(names) < _LEAST_GAMES:
        found = names[0] if names else "none"
        raise TrayAgentError(f"games to learn from: {found}; it takes two to learn what games have in common")


def _learned_by(choice: str) -> tuple[str, ...]:
    """Games that a file which is begun with has learned from; none of the shipped encoder, which is the same for all.

    Raises:
        TrayAgentError: the file does not say.
    """
    if not choice.startswith(START):
        return ()
    path = Path(choice.removeprefix(START)).expanduser()
    try:
        with safe_open(path, framework="pt") as file:
            recipe = json.loads(file.metadata()["about"])["recipe"]
        return tuple(sorted({*recipe["games"], *recipe.get("before", ())}))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrayAgentError(f"--encoder {choice}: no file that `tray-agent pretrain` made ({error})") from error

"""Weights that a new game is learned from soon, made of games watched before (Reptile; torch).

    python -m tray_agent.training.reptile --sessions FOLDER --out start.safetensors

and then `trainer.encoder: start:/full/path/start.safetensors`. Nichol et al. 2018 (arXiv 1803.02999), algorithm 1: take
a game at random, begin it with the weights w as a new game is begun, let the product's own learner make k updates,
which lead to w', and move: w += step * (w' - w). The step shrinks linearly to 0.

A new game begins with heads, FiLM and moments of the optimiser that know nothing, so each visit does, too. The trunk,
where most weights are, is in w, one for each size of picture. A game's picture statistics are taken once. One thread.
"""

import argparse
import json
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from tray_agent.errors import TrayAgentError
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.training.encoders.source import BUNDLED, SCRATCH, make_encoder
from tray_agent.training.encoders.start import TRUNK, parts, put
from tray_agent.training.learner import MIN_TICKS, Learner
from tray_agent.training.model import PolicyNet
from tray_agent.training.other_games import OtherGame, games_under, load_others
from tray_agent.training.shared_parts import TYPICAL
from tray_agent.training.weights_file import make_file

_FRAME_BYTES = 2 << 30  # all games' together, as the trainer has for one
_SMOOTH = 0.9
_LEAST_GAMES = 2
_TEXT = """Learn from recorded sessions how to begin a new game (Reptile, arXiv 1803.02999). The file is written again
and again, each time whole; Ctrl-C ends it and keeps the last one. The step towards what a game taught shrinks to
nothing over --minutes, so a file of a run that was broken off is less good than one of a shorter run.

Use the file with this line under "trainer:" in tray_agent.yaml:
  encoder: start:/full/path/start.safetensors
It counts for games that have learned nothing yet; a game that has a checkpoint goes on from it. A game recorded with
several sizes of picture or several sets of controls counts as its newest session is."""
_EPILOG = """examples:
  python -m tray_agent.training.reptile --sessions ~/.local/share/tray-agent/sessions --out start.safetensors
  python -m tray_agent.training.reptile --sessions FOLDER FOLDER --without pong --out starts/pong.safetensors
  tray-agent evaluate pong --policy ours --policy ours-start --start starts/{game}.safetensors"""


@dataclass(frozen=True)
class Recipe:
    """How a file was made; goes into it.

    Attributes:
        games: that were learned from.
        without: games that had sessions and were left out.
        minutes: of learning, CPU time of one core.
        inner: k, updates in a visit.
        step: the first one; 1 goes all the way to what a game taught.
        begun_with: "bundled" (the shipped encoder) or "scratch".
    """

    games: tuple[str, ...]
    without: tuple[str, ...] = ()
    minutes: float = 10.0
    inner: int = 20
    step: float = 0.5
    seed: int = 0
    begun_with: str = BUNDLED


class Reptile:
    """One run. `updates()` does the work; one thread.

    Args:
        recipe: what to do.
        games: those of the recipe, loaded, each with enough to learn from.

    Raises:
        PlatformUnavailable: the shipped encoder is missing.
    """

    def __init__(self, recipe: Recipe, games: Sequence[OtherGame]) -> None:
        source = make_encoder(recipe.begun_with, TYPICAL)
        torch.manual_seed(recipe.seed)
        typical = PolicyNet(TYPICAL, source.make(TYPICAL))
        source.begin(typical)
        self.recipe = recipe
        self.done = 0
        """Updates in all visits."""
        self.visits = dict.fromkeys(recipe.games, 0)
        self.losses: dict[str, float] = {}
        """By game, the mean over a visit's updates, smoothed over visits."""
        self._random = np.random.default_rng(recipe.seed)
        self._learners = {game.name: Learner(game.spec, game.vector, game.replay, recipe.seed) for game in games}
        common = {name: tensor for name, tensor in parts(typical).items() if not name.startswith(TRUNK)}
        self.weights: dict[str, Tensor] = {name: tensor.clone() for name, tensor in common.items()}
        """What the file holds."""
        for learner in self._learners.values():  # a trunk for each size
            for name, tensor in parts(learner.net).items():
                self.weights.setdefault(name, tensor.cpu().clone())

    def updates(self) -> Iterator[int]:
        """Learn until the recipe's minutes are over; yields the count after each visit."""
        first, *others = self._learners.values()
        first.update()  # finds out how this machine computes faster; what it learns is not kept
        for other in others:
            other.take_probe(first)
        began, seconds = time.thread_time(), 60.0 * self.recipe.minutes
        while (spent := time.thread_time() - began) < seconds:
            name = self.recipe.games[int(self._random.integers(len(self.recipe.games)))]
            self.visit(name, self.recipe.step * (1.0 - spent / seconds))
            yield self.done

    def visit(self, name: str, step: float) -> float:
        """Learn a game from the weights as they are, and move them by that share of the way; the mean loss."""
        learner = self._learners[name]
        learner.begin_again(lambda net: put(net, self.weights))
        loss = fmean(learner.update() for _ in range(self.recipe.inner))
        for part, learned in parts(learner.net).items():
            if learned.shape == self.weights[part].shape:  # a game with other frames keeps its first convolution
                self.weights[part].lerp_(learned.cpu(), step)
        self.done += self.recipe.inner
        self.visits[name] += 1
        self.losses[name] = _SMOOTH * self.losses.get(name, loss) + (1.0 - _SMOOTH) * loss
        return loss

    def said(self) -> str:
        """How soon games are learned."""
        if not self.losses:
            return "no visits"
        return f"{sum(self.visits.values())} visits, mean loss in them {fmean(self.losses.values()):.3f}"

    def content(self) -> bytes:
        """The file as it is now: weights, and in the metadata recipe, visits and losses as JSON."""
        about = {"recipe": asdict(self.recipe), "updates": self.done, "visits": self.visits,
                 "losses": {name: round(value, 4) for name, value in self.losses.items()},
                 "torch": torch.__version__}  # fmt: skip
        tensors = {name: tensor.contiguous() for name, tensor in self.weights.items()}
        return save(tensors, metadata={"about": json.dumps(about)})


def read_games(roots: Sequence[Path], without: Collection[str], seed: int = 0) -> list[OtherGame]:
    """Games with sessions under the roots, loaded; what is left out is told on stderr.

    Raises:
        TrayAgentError: fewer than two games can be learned from, or one that is to be left out is not there.
    """
    known = sorted({listed.info.game for root in roots for listed in list_sessions(root).sessions})
    if not known:
        names = ", ".join(map(str, roots))
        raise TrayAgentError(f"no sessions under {names}; name folders that hold GAME/SESSION/session.json")
    if strangers := sorted(set(without) - set(known)):
        raise TrayAgentError(f"--without {' '.join(strangers)}: no sessions of it; there are {', '.join(known)}")
    games = games_under(roots, without, _FRAME_BYTES, seed, _skipped)
    _check_count(games)
    print(f"reading {len(games)} games: {', '.join(game.name for game in games)}", flush=True)
    for _ in load_others(games, _skipped):
        pass
    usable = [game for game in games if game.replay.learnable() >= MIN_TICKS]
    for game in games:
        if game not in usable:
            _skipped(game.name, f"fewer than {MIN_TICKS} ticks to learn from")
    _check_count(usable)
    return usable


def _check_count(games: Sequence[OtherGame]) -> None:
    if len(games) < _LEAST_GAMES:
        found = games[0].name if games else "none"
        raise TrayAgentError(f"games to learn from: {found}; it takes two to learn what games have in common")


def _skipped(what: str, why: str) -> None:
    print(f"left out: {what}: {why}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the command."""
    parser = argparse.ArgumentParser(
        "python -m tray_agent.training.reptile", description=_TEXT, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    folders = "folders that hold GAME/SESSION/: the program's own, or `learn` of an evaluation's recordings"
    parser.add_argument("--sessions", type=Path, nargs="+", required=True, metavar="ROOT", help=folders)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write (.safetensors)")
    parser.add_argument("--without", nargs="+", default=[], metavar="GAME", help="games to learn nothing from")
    parser.add_argument("--minutes", type=float, default=Recipe.minutes, metavar="M", help="CPU time of learning (10)")
    parser.add_argument("--inner", type=int, default=Recipe.inner, metavar="K", help="updates in a visit (20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from-nothing", action="store_true", help="do not begin with the shipped encoder")
    given = parser.parse_args(arguments)
    if given.minutes <= 0 or given.inner < 1:
        parser.error("--minutes must be above 0 and --inner at least 1")
    for folder in (*given.sessions, given.out.parent):
        if not folder.is_dir():
            parser.error(f"{folder}: no such folder")
    torch.set_num_threads(1)
    return make_file("reptile", given.out, lambda: _begin(given))


def _begin(given: argparse.Namespace) -> Reptile:
    without = tuple(sorted(set(given.without)))
    games = read_games(given.sessions, without, given.seed)
    begun_with = SCRATCH if given.from_nothing else BUNDLED
    names = tuple(game.name for game in games)
    recipe = Recipe(names, without, given.minutes, given.inner, seed=given.seed, begun_with=begun_with)
    return Reptile(recipe, games)


if __name__ == "__main__":
    sys.exit(main())

"""Make the shipped encoder: `python -m tray_agent.training.pretrain --out models/encoder.safetensors`.

Plays Atari games at random and teaches the encoder what `contrast` describes. The file is written again and again,
each time whole; Ctrl-C ends it and keeps the last one. Its metadata says how it was made and what its losses were.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from tray_agent.training import contrast
from tray_agent.training.contrast import Contrast, Dealer
from tray_agent.training.pretrain_data import AHEAD, EVALUATED, GAMES, HEIGHT, WIDTH, Play, played
from tray_agent.training.weights_file import make_file

TICKS = 1500
_INVERSE_WEIGHT = 1.0
_SMOOTH = 0.98


@dataclass(frozen=True)
class Recipe:
    """How an encoder was made; goes into its file.

    Attributes:
        games, ticks, seed: what was played, decisions of each.
        minutes: of learning, CPU time of one core.
    """

    games: tuple[str, ...] = GAMES
    ticks: int = TICKS
    seed: int = 0
    minutes: float = 15.0
    batch: int = contrast.BATCH
    learning_rate: float = contrast.LEARNING_RATE
    shift: int = contrast.SHIFT
    ahead: int = AHEAD
    momentum: float = contrast.MOMENTUM
    inverse_weight: float = _INVERSE_WEIGHT
    frame: tuple[int, int] = (WIDTH, HEIGHT)


class Pretraining:
    """One run. `updates()` does the work; one thread."""

    def __init__(self, recipe: Recipe, plays: Sequence[Play]) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.losses: dict[str, float] = {}
        """Of the batches learned from, smoothed."""
        self.done = 0
        self._dealer = Dealer(plays, recipe.seed)
        self._net = Contrast(len(plays))
        learned = [p for p in self._net.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(learned, recipe.learning_rate, weight_decay=1e-2, fused=True)
        self._learned = learned

    def updates(self) -> Iterator[int]:
        """Learn until the recipe's minutes are over; yields the count after each update."""
        began = time.thread_time()
        while (spent := time.thread_time() - began) < 60.0 * self.recipe.minutes:
            self._anneal(spent / (60.0 * self.recipe.minutes))
            self._update()
            yield self.done

    def _anneal(self, share: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * min(1.0, self.done / 100.0 + 0.01, 4.0 * (1.0 - share) + 0.02)

    def _update(self) -> None:
        self._net.train()
        with torch.autocast("cpu", torch.bfloat16):
            batch = self._dealer.deal(self.recipe.batch)
            pair, inverse = self._net.losses(batch)
        loss = pair + self.recipe.inverse_weight * inverse
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._learned, 10.0)
        if torch.isfinite(norm):
            self._optimizer.step()
            self._net.follow()
        self.done += 1
        for name, value in (("contrast", float(pair.detach())), ("inverse", float(inverse.detach()))):
            self.losses[name] = _SMOOTH * self.losses.get(name, value) + (1.0 - _SMOOTH) * value

    def weights(self) -> dict[str, torch.Tensor]:
        """What is shipped, as it is now."""
        return self._net.weights()

    def said(self) -> str:
        """Its losses."""
        return ", ".join(f"{name} {value:.3f}" for name, value in self.losses.items())

    def content(self) -> bytes:
        """The file as it is now: weights, and in the metadata recipe and losses as JSON."""
        about = {"recipe": asdict(self.recipe), "updates": self.done,
                 "losses": {name: round(value, 4) for name, value in self.losses.items()},
                 "licence": "Apache-2.0", "torch": torch.__version__}  # fmt: skip
        return save(self.weights(), metadata={"about": json.dumps(about)})


def run(recipe: Recipe, out: Path) -> int:
    """Play, learn, write; the exit code."""

    def begin() -> Pretraining:
        plays = []
        for number, rom in enumerate(recipe.games):
            print(f"playing {rom} ({number + 1} of {len(recipe.games)})", flush=True)
            plays.append(played(rom, recipe.ticks, recipe.seed + 10_000 * number))
        return Pretraining(recipe, plays)

    return make_file("pretrain", out, begin)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the command."""
    parser = argparse.ArgumentParser("python -m tray_agent.training.pretrain", description="Make the shipped encoder.")
    parser.add_argument("--out", type=Path, required=True, help="file to write, for example models/encoder.safetensors")
    parser.add_argument("--minutes", type=float, default=Recipe.minutes, help="CPU time of learning (default 15)")
    parser.add_argument("--games", nargs="+", default=list(GAMES), metavar="ROM", help="ROMs of ale-py to play")
    parser.add_argument("--ticks", type=int, default=TICKS, help=f"decisions played of each game (default {TICKS})")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if bad := sorted(EVALUATED & set(given.games)):
        parser.error(f"{', '.join(bad)}: evaluated games must stay unseen")
    if given.minutes <= 0 or given.ticks < 16:
        parser.error("--minutes must be above 0 and --ticks at least 16")
    if not given.out.parent.is_dir():
        parser.error(f"{given.out.parent}: no such folder")
    torch.set_num_threads(1)
    return run(Recipe(tuple(given.games), given.ticks, given.seed, given.minutes), given.out)


if __name__ == "__main__":
    sys.exit(main())

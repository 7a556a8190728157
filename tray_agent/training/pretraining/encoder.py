"""The encoder's pretraining, as `contrast` describes it (torch; one thread).

Its file holds stem and top of the convolutions, and in the metadata how they were made and what the losses were.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from safetensors.torch import save

from tray_agent.training.pretraining import contrast
from tray_agent.training.pretraining.budget import Budget
from tray_agent.training.pretraining.contrast import Contrast, Dealer
from tray_agent.training.pretraining.plays import AHEAD, Play
from tray_agent.training.pretraining.state_file import State, put_back, tensors_of

TICKS = 1500
_INVERSE_WEIGHT = 1.0
_SMOOTH = 0.98


@dataclass(frozen=True)
class Recipe:
    """How an encoder was made; goes into its file.

    Attributes:
        games: what was learned from.
        without: games that had sessions and were left out.
        play: "random" (packaged games, `ticks` decisions of each) or "recorded" (sessions, as much as has room in
            `memory_mb`).
        minutes: of learning, CPU time of one core.
    """

    games: tuple[str, ...]
    without: tuple[str, ...] = ()
    play: str = "random"
    ticks: int | None = TICKS
    memory_mb: int | None = None
    seed: int = 0
    minutes: float = 15.0
    batch: int = contrast.BATCH
    learning_rate: float = contrast.LEARNING_RATE
    shift: int = contrast.SHIFT
    ahead: int = AHEAD
    momentum: float = contrast.MOMENTUM
    inverse_weight: float = _INVERSE_WEIGHT


class EncoderPretraining:
    """One run. `updates()` does the work; one thread."""

    def __init__(self, recipe: Recipe, plays: Sequence[Play]) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.losses: dict[str, float] = {}
        """Of the batches learned from, smoothed."""
        self.done = 0
        self._about = {play.game: {"decisions": len(play.planes), "picture": play.size} for play in plays}
        self._budget = Budget(recipe.minutes)
        self._dealer = Dealer(plays, recipe.seed)
        self._net = Contrast(plays)
        learned = [p for p in self._net.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(learned, recipe.learning_rate, weight_decay=1e-2, fused=True)
        self._learned = learned

    def updates(self) -> Iterator[float]:
        """Learn until the recipe's minutes are over; yields the share that is done after each update."""
        for share in self._budget.shares():
            self._anneal(share)
            self._update()
            yield share

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
        """What the file holds, as it is now."""
        return self._net.weights()

    def said(self) -> str:
        """Its losses."""
        return ", ".join(f"{name} {value:.3f}" for name, value in self.losses.items())

    def content(self) -> bytes:
        """The file as it is now: weights, and in the metadata recipe and losses as JSON."""
        about = {"recipe": asdict(self.recipe), "updates": self.done, "played": self._about,
                 "losses": {name: round(value, 4) for name, value in self.losses.items()},
                 "torch": torch.__version__}  # fmt: skip
        return save(self.weights(), metadata={"about": json.dumps(about)})

    def summary(self) -> dict[str, object]:
        """Plain data."""
        return {"updates": self.done, "games": list(self.recipe.games), "losses": self.losses}

    def state(self) -> State:
        """What it needs to go on as if nothing had happened."""
        numbers = {"done": self.done, "spent": self._budget.spent, "losses": self.losses,
                   "random": self._dealer.random.bit_generator.state}  # fmt: skip
        return State(tensors_of(self._named(), self._optimizer), numbers)

    def go_on(self, state: State) -> None:
        """Go on from there.

        Raises:
            TrayAgentError: it is another network's.
        """
        put_back(state.tensors, self._named(), self._optimizer)
        self.done, self.losses = int(state.numbers["done"]), dict(state.numbers["losses"])
        self._budget.spent = float(state.numbers["spent"])
        self._dealer.random.bit_generator.state = state.numbers["random"]

    def _named(self) -> dict[str, torch.Tensor]:
        return self._net.state_dict(keep_vars=True)

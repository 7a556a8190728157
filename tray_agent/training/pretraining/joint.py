"""Weights that a new game begins with: one network learned on many games at once (torch; one thread).

Behaviour cloning of all games in turn, each drawn as often as any other. All have the same convolutions, FiLM and sound
branch (`shared_parts`), and games with pictures of one size the same trunk; heads and statistics of the picture are
each game's own. Each update is the product's: `Learner` with another replay, so that hours of play stream from disk.

What plays and what is kept is the moving average of the weights. A new game's FiLM says nothing, so what these games'
said on average (Perez et al. 2018, arXiv 1709.07871, eq. 1-2) is put into the norm that stands before it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from tray_agent.training.encoders.source import make_encoder
from tray_agent.training.encoders.start import COMMON, TRUNK, parts
from tray_agent.training.learner import Learner
from tray_agent.training.model import PolicyNet
from tray_agent.training.pretraining.budget import Budget
from tray_agent.training.pretraining.games import Game
from tray_agent.training.pretraining.policy_recipe import Recipe
from tray_agent.training.pretraining.state_file import State, put_back, tensors_of
from tray_agent.training.shared_parts import NAMES, TYPICAL, SharedParts, key

_NORM = "encoder.stem.4"
"""What FiLM scales and shifts."""


class _PartsAndTrunks(SharedParts):
    """With one trunk for all games whose pictures give features of one size."""

    def __init__(self, begun_with: str, seed: int) -> None:
        super().__init__(make_encoder(begun_with, TYPICAL), seed)
        self._trunks: dict[int, tuple[nn.Sequential, nn.Sequential]] = {}

    def join(self, net: PolicyNet, average: PolicyNet) -> None:
        """As for the shared parts; the first game of a size brings the trunk."""
        super().join(net, average)
        net.trunk, average.trunk = self._trunks.setdefault(net.encoder.size, (net.trunk, average.trunk))


class Joint:
    """One run. `updates()` does the work; one thread.

    Args:
        recipe: what to do.
        games: those of the recipe, each with enough to learn from.

    Raises:
        PlatformUnavailable: what it begins with can't be used.
    """

    def __init__(self, recipe: Recipe, games: Sequence[Game]) -> None:
        self.recipe = recipe
        self.skill: dict[str, float] = {}
        """By game, on its stretches that nobody learns from; measured at the end."""
        self._shared = _PartsAndTrunks(recipe.begun_with, recipe.seed)
        self._learners = {
            game.name: Learner(
                game.spec, game.vector, game.replay, recipe.seed,
                source=make_encoder(recipe.begun_with, game.spec), shared=self._shared,
            )
            for game in games
        }  # fmt: skip
        self._games = {game.name: game for game in games}
        self._random = np.random.default_rng(recipe.seed)
        self._budget = Budget(recipe.minutes)

    @property
    def done(self) -> int:
        """Updates so far."""
        return sum(learner.updates for learner in self._learners.values())

    @property
    def losses(self) -> dict[str, float]:
        """While learning, smoothed, by game."""
        return {name: learner.loss for name, learner in self._learners.items() if learner.updates}

    def updates(self) -> Iterator[float]:
        """Learn until the recipe's minutes are over, then measure; yields the share that is done after each update."""
        for share in self._budget.shares():
            self.learn(self.recipe.games[int(self._random.integers(len(self.recipe.games)))])
            yield share
        for name, learner in self._learners.items():
            if "skill" in (measures := learner.held_out()):
                self.skill[name] = measures["skill"]

    def learn(self, name: str) -> None:
        """An update of one game."""
        learner = self._learners[name]
        learner.update()
        for other in self._learners.values():  # the first one finds out how this machine computes faster
            other.take_probe(learner)

    def weights(self) -> dict[str, Tensor]:
        """What the file holds, as it is now."""
        tensors = {
            f"{name}.{part}": tensor
            for name in NAMES if f"{name}.".startswith(COMMON)
            for part, tensor in self._shared.average[key(name)].state_dict().items()
        }  # fmt: skip
        for learner in self._learners.values():
            trunk = {name: tensor for name, tensor in parts(learner.average).items() if name.startswith(TRUNK)}
            tensors = trunk | tensors
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        scale, shift = self._mean_film().chunk(2)
        tensors[f"{_NORM}.weight"] *= 1.0 + scale
        tensors[f"{_NORM}.bias"] *= 1.0 + scale
        tensors[f"{_NORM}.bias"] += shift
        return tensors

    def _mean_film(self) -> Tensor:
        """What FiLM says on average over the games."""
        with torch.no_grad():
            said = [
                learner.average.encoder.film(torch.tensor([self._games[name].vector]))[0]
                for name, learner in self._learners.items()
            ]
        return torch.stack(said).mean(0)

    def said(self) -> str:
        """How it goes."""
        return f"mean loss {fmean(self.losses.values()):.3f}" if self.losses else "nothing learned yet"

    def content(self) -> bytes:
        """The file as it is now: weights, and in the metadata recipe, losses and skill as JSON."""
        about = {"recipe": asdict(self.recipe), "updates": self.done, "torch": torch.__version__} | {
            name: {game: round(value, 4) for game, value in values.items()}
            for name, values in (("losses", self.losses), ("skill", self.skill))
        }
        return save(self.weights(), metadata={"about": json.dumps(about)})

    def summary(self) -> dict[str, object]:
        """Plain data."""
        return {"updates": self.done, "games": list(self.recipe.games), "losses": self.losses, "skill": self.skill}

    def state(self) -> State:
        """What it needs to go on as if nothing had happened."""
        numbers = {
            "spent": self._budget.spent, "random": self._random.bit_generator.state,
            "learners": {name: [one.updates, one.loss, one.bf16] for name, one in self._learners.items()},
            "replays": {name: game.replay.state() for name, game in self._games.items()},
        }  # fmt: skip
        return State(tensors_of(self._named(), self._shared.optimizer), numbers)

    def go_on(self, state: State) -> None:
        """Go on from there.

        Raises:
            TrayAgentError: it is another network's.
        """
        put_back(state.tensors, self._named(), self._shared.optimizer)
        numbers = state.numbers
        self._budget.spent = float(numbers["spent"])
        self._random.bit_generator.state = numbers["random"]
        for name, learner in self._learners.items():
            learner.updates, learner.loss, learner.bf16 = numbers["learners"][name]
            self._games[name].replay.go_to(numbers["replays"][name])

    def _named(self) -> dict[str, Tensor]:
        """Every tensor once, under the name it has in the first game that holds it."""
        named: dict[str, Tensor] = {}
        seen: set[int] = set()
        for game, learner in self._learners.items():
            for which, net in (("net", learner.net), ("average", learner.average)):
                for name, tensor in net.state_dict(keep_vars=True).items():
                    if id(tensor) not in seen:
                        seen.add(id(tensor))
                        named[f"{game}/{which}.{name}"] = tensor
        return named

    def close(self) -> None:
        """End all threads."""
        for name, learner in self._learners.items():
            learner.close()
            self._games[name].replay.close()

"""Weights that a new game is learned from soon, made of games watched before (Reptile; torch; one thread).

Nichol et al. 2018 (arXiv 1803.02999), algorithm 1: take a game at random, begin it with the weights w as a new game is
begun, let the product's own learner make k updates, which lead to w', and move w: w += step * (w' - w). The step
shrinks linearly to 0, so a file of a run that was broken off is less good than one of a shorter run.

A new game begins with heads, FiLM and moments of the optimiser that know nothing, so each visit does, too. The trunk,
where most weights are, is in w, one for each size of picture. A game's picture statistics are taken once.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from tray_agent.errors import TrayAgentError
from tray_agent.training.encoders.source import make_encoder
from tray_agent.training.encoders.start import TRUNK, parts, put
from tray_agent.training.learner import Learner
from tray_agent.training.model import PolicyNet
from tray_agent.training.pretraining.budget import Budget
from tray_agent.training.pretraining.games import Game
from tray_agent.training.pretraining.policy_recipe import ReptileRecipe
from tray_agent.training.pretraining.state_file import State
from tray_agent.training.shared_parts import TYPICAL

_SMOOTH = 0.9
_CHANCE = "chance"


class Reptile:
    """One run. `updates()` does the work; one thread.

    Args:
        recipe: what to do.
        games: those of the recipe, each with enough to learn from.

    Raises:
        PlatformUnavailable: what it begins with can't be used.
    """

    def __init__(self, recipe: ReptileRecipe, games: Sequence[Game]) -> None:
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
        self._budget = Budget(recipe.minutes)
        self._games = {game.name: game for game in games}
        self._learners = {game.name: Learner(game.spec, game.vector, game.replay, recipe.seed) for game in games}
        common = {name: tensor for name, tensor in parts(typical).items() if not name.startswith(TRUNK)}
        self.weights: dict[str, Tensor] = {name: tensor.clone() for name, tensor in common.items()}
        """What the file holds."""
        for learner in self._learners.values():  # a trunk for each size
            for name, tensor in parts(learner.net).items():
                self.weights.setdefault(name, tensor.cpu().clone())

    def updates(self) -> Iterator[float]:
        """Learn until the recipe's minutes are over; yields the share that is done after each visit."""
        first, *others = self._learners.values()
        if first.bf16 is None:
            first.update()  # finds out how this machine computes faster; what it learns is not kept
        for other in others:
            other.take_probe(first)
        for share in self._budget.shares():
            name = self.recipe.games[int(self._random.integers(len(self.recipe.games)))]
            self.visit(name, self.recipe.step * (1.0 - share))
            yield share

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

    def summary(self) -> dict[str, object]:
        """Plain data."""
        return {"updates": self.done, "games": list(self.recipe.games), "losses": self.losses, "visits": self.visits}

    def state(self) -> State:
        """What it needs to go on as if nothing had happened."""
        first, *_ = self._learners.values()
        numbers = {
            "done": self.done, "visits": self.visits, "losses": self.losses, "bf16": first.bf16,
            "spent": self._budget.spent, "random": self._random.bit_generator.state,
            "replays": {name: game.replay.state() for name, game in self._games.items()},
        }  # fmt: skip
        tensors = {name: tensor.clone().contiguous() for name, tensor in self.weights.items()}
        return State(tensors | {_CHANCE: torch.get_rng_state()}, numbers)

    def go_on(self, state: State) -> None:
        """Go on from there.

        Raises:
            TrayAgentError: it is another network's.
        """
        given, numbers = dict(state.tensors), state.numbers
        chance = given.pop(_CHANCE)
        if {name: one.shape for name, one in given.items()} != {name: one.shape for name, one in self.weights.items()}:
            raise TrayAgentError("the state is that of another network; begin without --resume")
        self.weights = given
        self.done, self.visits, self.losses = int(numbers["done"]), dict(numbers["visits"]), dict(numbers["losses"])
        self._budget.spent = float(numbers["spent"])
        self._random.bit_generator.state = numbers["random"]
        for name, learner in self._learners.items():
            learner.bf16 = numbers["bf16"]
            self._games[name].replay.go_to(numbers["replays"][name])
        torch.set_rng_state(chance)

    def close(self) -> None:
        """End all threads."""
        for name, learner in self._learners.items():
            learner.close()
            self._games[name].replay.close()

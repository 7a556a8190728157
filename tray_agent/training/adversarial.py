"""Adversarial imitation beside cloning: `trainer.adversarial` in the settings (torch).

Cloning looks at each tick by itself; whether the ticks of a stretch fit each other - how long a key is held, when it is
let go - nobody asks. Here a discriminator does. Nothing is played while learning, so neither form is all of GAIL (Ho &
Ermon 2016, arXiv 1606.03476), whose policy is judged on the pictures that it gets to see by playing.

`draw` belongs to who owns the replay; `loss` may be called on several threads at a time, each with its own network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tray_agent.training.chunks import Chunks, ChunkSource
from tray_agent.training.discriminator import ActionCode, Discriminator, Judge, Played
from tray_agent.training.model import PolicyNet
from tray_agent.training.replay import Batch, Replay
from tray_agent.training.together import Together

NONE = "none"
CHUNKS = "chunks"
SESSIONS = "sessions"
LENGTH = 8
"""Ticks of a stretch."""
EVERY = 4
"""One batch in so many has the additional loss: it takes another look at as many pictures, or at twice as many."""
_STRETCHES = 8
_WEIGHT = 0.25
_WARM_UP = 50  # steps of the discriminator before anybody listens to it

Inputs = Callable[[Batch], tuple[Tensor, Tensor, Tensor]]
"""A batch -> planes, sound and vectors, where the network is."""


@dataclass(frozen=True)
class Drawn:
    """Stretches of a batch's additional loss; the agent's only where they are wanted."""

    player: Chunks
    agent: Chunks | None = None


class Adversary(Protocol):
    """A form of adversarial imitation."""

    def draw(self) -> Drawn | None:
        """What the next batch's additional loss needs; None if that one has none."""
        ...

    def loss(self, net: PolicyNet, drawn: Drawn, together: Together) -> Tensor:
        """The additional loss, and a step of the discriminator; `together`: how the policy's buttons are chosen."""
        ...


def make_adversary(choice: str, net: PolicyNet, replay: Replay, inputs: Inputs, seed: int = 0) -> Adversary | None:
    """The form that `choice` names (`trainer.adversarial`), None for "none"."""
    if choice == CHUNKS:
        return ChunkAdversary(net, replay, inputs, seed)
    return SessionAdversary(net, replay, inputs, seed) if choice == SESSIONS else None


class _Parts:
    """What both forms have: where stretches come from, the code of actions, the judge."""

    def __init__(self, net: PolicyNet, replay: Replay, inputs: Inputs, seed: int = 0) -> None:
        self._source = ChunkSource(replay, LENGTH, seed)
        self._inputs = inputs
        self._code = ActionCode(net.spec.controls)
        weight = net.held.weight
        with torch.random.fork_rng(devices=[]):  # cloning alone goes on as it would without all this
            torch.manual_seed(seed)
            discriminator = Discriminator(weight.shape[1], self._code.size, LENGTH).to(weight.device)
        self._judge = Judge(discriminator)
        self._turn = 0

    def _is_turn(self) -> bool:
        self._turn += 1
        return self._turn % EVERY == 0

    def _ready(self) -> bool:
        return self._judge.steps > _WARM_UP

    def _rows(self, batch: Batch, like: Tensor) -> Tensor:
        return self._code.of(torch.from_numpy(batch.actions).to(like.device))


class ChunkAdversary(_Parts):
    """The policy against the player, part by part: on stretches of the player's pictures both say what they would do.

    The discriminator learns to tell them apart, the policy to be taken for the player. The pictures are the player's,
    also for the policy, so its own mistakes never lead it anywhere: this mends the timing of actions, not drift.
    """

    def draw(self) -> Drawn | None:
        """Stretches of the player's, each EVERY batches."""
        player = self._source.of_player(_STRETCHES) if self._is_turn() else None
        return Drawn(player) if player is not None else None

    def loss(self, net: PolicyNet, drawn: Drawn, together: Together) -> Tensor:
        """_WEIGHT times -log D of what the policy would do; what is returned has its gradient, not its value."""
        hidden = net.hidden(*self._inputs(drawn.player.batch))
        seen, rows = _stretches(hidden.detach().float()), self._code.sampled(net.heads(hidden), together)
        policy = Played(seen, _stretches(rows.detach()))
        self._judge.learn(Played(seen, _stretches(self._rows(drawn.player.batch, rows))), policy)
        if not self._ready():
            return torch.zeros((), device=rows.device)
        return _WEIGHT * (rows * self._judge.slope(policy).flatten(0, 1)).sum()


class SessionAdversary(_Parts):
    """The player's recorded stretches against the agent's own; what of these passes for the player's is learned from.

    As discriminator-weighted cloning (Xu et al. 2022, arXiv 2207.10050) the agent's ticks are cloned with a weight by
    what the discriminator says of their stretch; here that is D / (1 - D), which for the best discriminator is how much
    more likely the player plays so (Goodfellow et al. 2014, arXiv 1406.2661, proposition 1), 1 at most: no tick of the
    agent's counts more than the player's own. Unlike there the discriminator does not see the policy's likelihood, and
    the agent's stretches count as wrong ones, not as unlabelled ones. What the player took over from tells them apart,
    but is never learned from. Does nothing where the sessions hold no play of the agent's.
    """

    def draw(self) -> Drawn | None:
        """Stretches of both, each EVERY batches; None while there are none of the agent's."""
        agent = self._source.of_agent(_STRETCHES) if self._is_turn() else None
        player = self._source.of_player(_STRETCHES) if agent is not None else None
        return Drawn(player, agent) if player is not None else None

    def loss(self, net: PolicyNet, drawn: Drawn, together: Together) -> Tensor:
        """Weighted cross-entropy of the agent's ticks, mean over all of them."""
        assert drawn.agent is not None  # noqa: S101 - as `draw` gave it
        with torch.no_grad():
            watched = net.hidden(*self._inputs(drawn.player.batch))
        hidden = net.hidden(*self._inputs(drawn.agent.batch))
        rows = self._rows(drawn.agent.batch, hidden)
        agent = Played(_stretches(hidden.detach().float()), _stretches(rows))
        player = self._rows(drawn.player.batch, hidden)
        self._judge.learn(Played(_stretches(watched.float()), _stretches(player)), agent)
        if not self._ready():
            return torch.zeros((), device=rows.device)
        weights = self._judge.says(agent).clamp(max=0.0).exp().repeat_interleave(LENGTH)
        weights = weights * torch.from_numpy(~drawn.agent.strayed).to(rows.device)
        return (weights * self._code.surprise(net.heads(hidden), rows, together)).mean()


def _stretches(rows: Tensor) -> Tensor:
    """Rows of ticks one after another -> (stretches, LENGTH, row)."""
    return rows.reshape(len(rows) // LENGTH, LENGTH, rows.shape[1])

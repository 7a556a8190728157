"""How long after a picture the player acts on it, told from the play itself: `trainer.reaction` (torch).

A clone that learns with each picture what was done at that moment learns the player's delay as well, and adds its own.
To learn with it what was done a reaction time later takes that out, but ruins players who foresee. So: what a player
does at once can't be told from the picture before; what is done late can be told from all pictures back to the one that
made the player do it. Beside what is done now the policy's features must foretell what is held 1, 2, ... ticks later;
how well they foretell *changes* says how far ahead a picture decides (decisions/0016-reaction-time.md).
"""

import logging
import math
import threading

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.core.policy import PolicySpec
from tray_agent.training.model import PolicyNet
from tray_agent.training.replay import Batch, Replay

_log = logging.getLogger(__name__)

AT_ONCE = "none"
AUTO = "auto"
Held = npt.NDArray[np.bool_]

LONGEST_S = 0.35
"""No player is later than that."""
_SHORTEST_TICKS = 2  # one tick is within what the ticks themselves blur
_KEPT = 0.85  # of the best: what decides later ticks is foretold about as well
_LEAST_SKILL = 0.15
_LEAST_CHANGES = 20
_WEIGHT = 0.3
_LEARNING_RATE = 1e-3
_FIRST_STEPS = 400
LOOKED_AT = 1024
"""Held-out ticks that the delay is told from."""


def ticks_ahead(spec: PolicySpec) -> int:
    """How far ahead is foretold."""
    return math.ceil(LONGEST_S * spec.rate_hz)


def skills_ahead(foretold: Held, held: Held, known: Held) -> list[float]:
    """How well changes 0, 1, 2, ... ticks later are foretold: 0 chance, 1 always; [] where too little changes to tell.

    Mean over buttons of the balanced accuracy on those ticks in which the button changes, from -1 to 1.

    Args:
        foretold: (n, ahead + 1, buttons), for the tick itself and those after it.
        held: (n, ahead + 2, buttons), in the tick before, in the tick itself, and in those after it.
        known: (n, ahead + 2), which of those belong to the same stretch of play.
    """
    skills = []
    for k in range(foretold.shape[1]):
        both = known[:, k] & known[:, k + 1]
        before, now, guess = held[both, k], held[both, k + 1], foretold[both, k]
        recalls = [_recall(guess[:, b], now[:, b], before[:, b]) for b in range(held.shape[2])]
        found = [recall for recall in recalls if recall is not None]
        if not found:
            return []
        skills.append(float(np.mean(found)) * 2.0 - 1.0)
    return skills


def offset_of(skills: list[float]) -> int:
    """Ticks after which the player acts on a picture, 0 when that can't be told or is not worth a correction."""
    if not skills or max(skills) < _LEAST_SKILL:
        return 0
    last = int(np.argmax(skills))
    while last + 1 < len(skills) and skills[last + 1] >= _KEPT * max(skills):
        last += 1
    return last if last >= _SHORTEST_TICKS else 0


def _recall(guess: Held, now: Held, before: Held) -> float | None:
    """Mean share of right guesses over presses and releases; None where there are too few of either."""
    shares = []
    for change in (now & ~before, ~now & before):
        if change.sum() < _LEAST_CHANGES:
            return None
        shares.append(float((guess[change] == now[change]).mean()))
    return float(np.mean(shares))


def make_foresight(choice: str, net: PolicyNet, replay: Replay) -> "Foresight | None":
    """What `choice` names (`trainer.reaction`); None for "none", and for players without buttons."""
    return Foresight(net, replay) if choice == AUTO and net.spec.controls.buttons else None


class Foresight:
    """Foretells which buttons will be held, by the policy's features, and keeps a replay's offset.

    `loss` may be called on several threads at a time; all else belongs to the learner's thread.

    Args:
        net: whose features.
        replay: of the same game.
    """

    def __init__(self, net: PolicyNet, replay: Replay) -> None:
        self.ahead = ticks_ahead(net.spec)
        self._replay = replay
        self._buttons = len(net.spec.controls.buttons)
        weight = net.held.weight
        with torch.random.fork_rng(devices=[]):  # the policy itself begins as it would without all this
            self._head = nn.Linear(weight.shape[1], (self.ahead + 1) * self._buttons).to(weight.device)
        self._optimizer = torch.optim.AdamW(self._head.parameters(), _LEARNING_RATE)
        self._one_at_a_time = threading.Lock()
        self._steps = self._looked_at = 0

    def loss(self, hidden: Tensor, around: tuple[Held, Held]) -> Tensor:
        """What the policy's features lack to foretell, to be added to its loss; and a step of the head.

        Args:
            hidden: features of a batch, (n, width).
            around: `Replay.around` of the same ticks.
        """
        held, known = (torch.from_numpy(part[:, 1:]).to(hidden.device) for part in around)
        with self._one_at_a_time:
            self._optimizer.zero_grad()
            _missed(self._said(hidden.detach().float()), held, known).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            self._steps += 1
            weight, bias = self._head.weight.detach().clone(), self._head.bias.detach().clone()
        return _WEIGHT * _missed(self._in_ticks(functional.linear(hidden.float(), weight, bias)), held, known)

    def is_due(self) -> bool:
        """Whether the delay should be looked for: the head has made enough steps, and then twice as many each time."""
        return self._steps >= max(_FIRST_STEPS, 2 * self._looked_at)

    def look(self, hidden: Tensor, batch: Batch) -> None:
        """Set the replay's offset by how well the play is foretold.

        Args:
            hidden: features of `batch`.
            batch: held-out play.
        """
        self._looked_at = self._steps
        with torch.no_grad():
            foretold = self._said(hidden.to(self._head.weight.device).float()).cpu().numpy() >= 0.0
        skills = skills_ahead(foretold, *self._replay.around(batch.ticks, self.ahead))
        offset = offset_of(skills)
        if offset != self._replay.offset:
            _log.info("pictures are learned with what is done %d ticks after them (%s)", offset, np.round(skills, 2))
            self._replay.offset = offset

    def _said(self, hidden: Tensor) -> Tensor:
        """Logits (n, ahead + 1, buttons)."""
        return self._in_ticks(self._head(hidden))

    def _in_ticks(self, rows: Tensor) -> Tensor:
        return rows.reshape(-1, self.ahead + 1, self._buttons)


def _missed(said: Tensor, held: Tensor, known: Tensor) -> Tensor:
    """Mean cross-entropy of the ticks that are known."""
    return functional.binary_cross_entropy_with_logits(said[known], held[known].float())

"""Which buttons go together: one choice among the sets the player used, instead of one choice a button (torch).

Left and right are never held together, and in a maze one of four directions always is. Buttons that are drawn each on
its own know nothing of that: where the network is unsure they press two or none. So the logits of the buttons are
scores of sets - a set's is the sum of those held in it - and a softmax over the sets the player used gives their
chances: a conditional random field over all pairs with hard constraints learned from play. With all sets allowed it is
the same as one choice a button (decisions/0013-buttons-together.md).
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tray_agent.policy.decode import MOST_SETS

_LEAST = 1e-6
_UNKNOWN = -100  # what cross_entropy leaves out

Bits = npt.NDArray[np.bool_]


class Together:
    """The sets of one game.

    Args:
        used: sets of buttons, shape (sets, buttons), each once.
    """

    def __init__(self, used: Bits) -> None:
        few = 1 < len(used) <= MOST_SETS
        self.sets: tuple[tuple[int, ...], ...] = tuple(tuple(map(int, row)) for row in used) if few else ()
        """Empty where each button is on its own."""
        self._sets = torch.from_numpy(used.astype(np.float32))
        self._row = {row.tobytes(): i for i, row in enumerate(used)}

    def loss(self, logits: Tensor, held: Tensor) -> Tensor:
        """Mean of `each`; ticks with a set that is not known yet are left out."""
        if not self.sets:
            return functional.binary_cross_entropy_with_logits(logits, held)
        right = self._rows(held)
        if not (right >= 0).any():
            return logits.sum() * 0.0
        return functional.cross_entropy(self._scores(logits), right.to(logits.device)) / logits.shape[1]

    def each(self, logits: Tensor, held: Tensor) -> Tensor:
        """Cross-entropy a button of logits (n, buttons) and held bits (n, buttons), shape (n,); of unknown sets 0."""
        if not self.sets:
            return functional.binary_cross_entropy_with_logits(logits, held, reduction="none").mean(1)
        right = self._rows(held).to(logits.device)
        return functional.cross_entropy(self._scores(logits), right, reduction="none") / logits.shape[1]

    def sampled(self, logits: Tensor) -> Tensor:
        """Held bits by chance, shape (n, buttons), with a gradient to the logits.

        Straight-through: the bits are whole, their gradient is that of the relaxed sample at temperature 1. One choice
        a button: binary concrete (Maddison et al. 2017, arXiv 1611.00712); sets: Gumbel-softmax (Jang et al. 2017,
        arXiv 1611.01144, section 2.2).
        """
        if self.sets:
            chosen: Tensor = functional.gumbel_softmax(self._scores(logits), hard=True)
            return chosen @ self._sets.to(logits.device)
        chance = torch.rand_like(logits).clamp(_LEAST, 1.0 - _LEAST)
        soft = torch.sigmoid(logits + chance.logit())
        return (soft >= 0.5).float() + soft - soft.detach()

    def entropy(self, held: Bits) -> float:
        """Loss of the best constant prediction of (n, buttons)."""
        columns = [held] if self.sets else [column[:, None] for column in held.T]
        return float(np.mean([_entropy(column) for column in columns])) / (held.shape[1] if self.sets else 1)

    def likeliest(self, logits: Tensor) -> Bits:
        """Of logits (n, buttons), what is held in the likeliest set, shape (n, buttons)."""
        if not self.sets:
            return logits.numpy() >= 0.0
        return self._sets[self._scores(logits).argmax(1)].numpy() >= 0.5

    def _scores(self, logits: Tensor) -> Tensor:
        return logits @ self._sets.T.to(logits.device)

    def _rows(self, held: Tensor) -> Tensor:
        bits = held.cpu().numpy() >= 0.5
        return torch.tensor([self._row.get(row.tobytes(), _UNKNOWN) for row in bits])


def alone(buttons: int) -> Together:
    """Each of so many buttons on its own."""
    return Together(np.zeros((0, buttons), bool))


def _entropy(held: Bits) -> float:
    """Of the sets, nats."""
    shares = np.unique(held, axis=0, return_counts=True)[1] / len(held)
    return float(-(shares * np.log(shares)).sum())

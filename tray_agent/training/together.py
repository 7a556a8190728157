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

MOST = 256
"""Sets; where a player uses more, each button is on its own."""
_UNKNOWN = -100  # what cross_entropy leaves out

Bits = npt.NDArray[np.bool_]


class Together:
    """The sets of one game.

    Args:
        used: sets of buttons, shape (sets, buttons), each once.
    """

    def __init__(self, used: Bits) -> None:
        few = 1 < len(used) <= MOST
        self.sets: tuple[tuple[int, ...], ...] = tuple(tuple(map(int, row)) for row in used) if few else ()
        """Empty where each button is on its own."""
        self._sets = torch.from_numpy(used.astype(np.float32))
        self._row = {row.tobytes(): i for i, row in enumerate(used)}

    def loss(self, logits: Tensor, held: Tensor) -> Tensor:
        """Mean cross-entropy a button, of logits (n, buttons) and held bits (n, buttons).

        Ticks with a set that is not known yet are left out.
        """
        if not self.sets:
            return functional.binary_cross_entropy_with_logits(logits, held)
        right = self._rows(held.cpu().numpy() >= 0.5)
        if not (right >= 0).any():
            return logits.sum() * 0.0
        return functional.cross_entropy(self._scores(logits), right.to(logits.device)) / logits.shape[1]

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

    def _rows(self, held: Bits) -> Tensor:
        return torch.tensor([self._row.get(row.tobytes(), _UNKNOWN) for row in held])


def _entropy(held: Bits) -> float:
    """Of the sets, nats."""
    shares = np.unique(held, axis=0, return_counts=True)[1] / len(held)
    return float(-(shares * np.log(shares)).sum())

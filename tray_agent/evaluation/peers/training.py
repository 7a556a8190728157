"""What the peers that are torch networks share: a loop of Adam steps until a deadline (torch; the caller's thread)."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from tray_agent.evaluation.peers.history import Integers
from tray_agent.evaluation.peers.peer import LearnReport


@dataclass(frozen=True)
class Fit:
    """What a loop came to.

    Attributes:
        updates: steps.
        samples: drawn in all.
        seconds: of wall time.
    """

    updates: int
    samples: int
    seconds: float

    def report(self, began: float) -> LearnReport:
        """As a report on a learning that began at `began` (monotonic clock) and ends now."""
        rate = self.samples / self.seconds if self.seconds else 0.0
        return LearnReport(self.samples, time.monotonic() - began, rate, self.updates)


def prepare(threads: int, seed: int) -> None:
    """Set torch's threads and the seed of its generator, both for this process."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)


def device() -> torch.device:
    """Where networks learn: as our own learner does, on an accelerator where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def initialise(*parts: nn.Module) -> None:
    """Orthogonal weights of gain sqrt(2), no biases: torch's own make the signal smaller with each layer."""
    for part in parts:
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.orthogonal_(layer.weight, 2**0.5)
                nn.init.zeros_(cast("Tensor", layer.bias))


def batches(n: int, size: int, seed: int) -> Iterator[Integers]:
    """Without end: rows of shuffled passes over n samples; the rest of a pass that fills no batch is left out."""
    random = np.random.default_rng(seed)
    size = min(n, size)
    while True:
        order = random.permutation(n)
        for at in range(0, n - size + 1, size):
            yield order[at : at + size]


def fit(
    net: nn.Module, loss: Callable[[Integers], Tensor], n: int, batch: int, rate: float, deadline: float, seed: int
) -> Fit:
    """Adam steps on batches of n samples until one more would pass the deadline (monotonic clock)."""
    optimizer = torch.optim.Adam(net.parameters(), rate)
    net.train()
    began = now = time.monotonic()
    updates, step_s = 0, 0.0
    for rows in batches(n, batch, seed):
        if now + step_s > deadline:
            break
        value = loss(rows)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        updates += 1
        step_s, now = time.monotonic() - now, time.monotonic()
    net.eval()
    return Fit(updates, updates * min(batch, n), now - began)

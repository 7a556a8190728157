"""Several processes that learn one network: which one this is, and what they tell each other (torch.distributed).

    torchrun --nproc-per-node 2 -m tray_agent.training.offline ...

Data parallel (Li et al. 2020, arXiv 2006.15704): each has the same weights and batches of its own, and what is applied
are means of all gradients (`exchange`). gloo between CPUs, NCCL between GPUs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed as dist

from tray_agent.errors import PlatformUnavailable, WorkerFailed

T = TypeVar("T")
_PATIENCE = timedelta(hours=6)
"""Another machine may still be fetching sessions. Who has died is noticed at once: its connections close."""


@dataclass(frozen=True)
class Ranks:
    """This process among `count`, on this machine the one numbered `here`; `together`: all are on this machine.

    All methods are for all processes at the same time, and raise WorkerFailed when another one has ended.
    """

    rank: int = 0
    count: int = 1
    here: int = 0
    together: bool = True

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes, tells and decides."""
        return self.rank == 0

    def first(self, number: int) -> int:
        """The number of the one that leads."""
        if self.count == 1:
            return number
        told = torch.tensor([number])
        with others():
            dist.broadcast(told, 0)
        return int(told)

    def all_of(self, value: T) -> list[T]:
        """Everybody's, by rank."""
        if self.count == 1:
            return [value]
        values: list[T | None] = [None] * self.count
        with others():
            dist.all_gather_object(values, value)
        return [one for one in values if one is not None]


@contextmanager
def others() -> Iterator[None]:
    """What fails inside the block does so because another process has ended: WorkerFailed."""
    try:
        yield
    except RuntimeError as error:  # also what gloo and NCCL raise
        reason = str(error).partition("\n")[0]
        raise WorkerFailed(f"another process of this run has ended; what it says tells why ({reason})") from error


def join() -> Ranks:
    """As torchrun started it; alone without.

    Raises:
        PlatformUnavailable: this torch has no gloo.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Ranks()
    if not dist.is_available() or not dist.is_gloo_available():
        raise PlatformUnavailable("this PyTorch was built without gloo", "Start one process, without torchrun.")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    together = os.environ.get("LOCAL_WORLD_SIZE") == str(count)
    return Ranks(dist.get_rank(), count, int(os.environ.get("LOCAL_RANK", "0")), together)


def leave(ranks: Ranks) -> None:
    """After the last thing that all do."""
    if ranks.count > 1:
        dist.destroy_process_group()

"""How several processes make their gradients one, with little waiting for each other (torch.distributed).

A gradient is handed over when it is found, and the mean of all of an update is taken up when the next one has been
found: what travels does so meanwhile, and who is late catches up. So every mean is applied one update late (Pipe-SGD,
Li et al. 2018, arXiv 1811.03619). All apply the same means in the same order, and stay equal to the last bit.

Between processes of one machine gradients lie in memory that they share: through gloo's sockets 7.6 MB take 12 ms.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch import distributed as dist

from tray_agent.training.offline.ranks import Ranks, others

Gradient = tuple[Tensor | None, ...]
_SHARED = "/dev/shm"  # noqa: S108 - Linux keeps it in memory
_TURNS = 2
"""While one update's gradients are read the next one's are written."""


class _Carrier(Protocol):
    def send(self, parts: Sequence[Tensor]) -> dist.Work | None:
        """Hand over this process' gradient; what has to be waited for before it has arrived, if anything."""

    def mean(self) -> Tensor:
        """Of what all have handed over the last time, flat; it stays until two more have been."""


class Exchange:
    """One process' side. All call the same methods equally often, each from one thread.

    Every method raises WorkerFailed when another process has ended.

    Args:
        ranks: this process among all.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._carrier: _Carrier | None = None
        self._told = torch.zeros(1, dtype=torch.int64)
        self._travelling: list[dist.Work] = []

    def swap(self, gradient: Gradient, note: int) -> tuple[Gradient | None, int]:
        """Hand over a gradient; the mean of all processes' gradients of the update before, None at the first one.

        Args:
            gradient: of this process' batch.
            note: goes with it, not negative.

        Returns:
            The mean, to be used before the next call, and the greatest note of the update before, 0 at the first one.
        """
        own = [part for part in gradient if part is not None]
        before, greatest = None, self.settle()
        if self._carrier is None:
            self._carrier = self._new_carrier(own)
        else:
            parts = iter(torch.split(self._carrier.mean(), [part.numel() for part in own]))
            before = tuple(None if part is None else next(parts).view_as(part) for part in gradient)
        with others():
            sent = self._carrier.send(own)
            self._told = torch.tensor([note])
            told = dist.all_reduce(self._told, dist.ReduceOp.MAX, async_op=True)
        self._travelling = [work for work in (sent, told) if work is not None]
        return before, greatest

    def settle(self) -> int:
        """Wait until all have handed over what they found; the greatest note. To be called before the processes end."""
        with others():
            for work in self._travelling:
                work.wait()
        self._travelling = []
        return int(self._told)

    def _new_carrier(self, parts: Sequence[Tensor]) -> _Carrier:
        size = sum(part.numel() for part in parts)
        if self._ranks.together and parts[0].device.type == "cpu":
            room = _shared_room(self._ranks, size)
            if room is not None:
                return _Memory(room, self._ranks.rank)
        return _Sent(parts[0], size, self._ranks.count)


class _Memory:
    """By memory that all processes share, float32 (turns, processes, size)."""

    def __init__(self, room: Tensor, rank: int) -> None:
        self._room, self._rank = room, rank
        self._mean = torch.empty(room.shape[-1])
        self._sent = 0

    def send(self, parts: Sequence[Tensor]) -> None:  # it has arrived when all have said so, by their notes
        torch.cat([part.reshape(-1) for part in parts], out=self._room[self._sent % _TURNS, self._rank])
        self._sent += 1

    def mean(self) -> Tensor:
        # nobody writes here before all have sent the next one, that is, have read this one
        before, *more = torch.unbind(self._room[(self._sent - 1) % _TURNS])
        for count, gradient in enumerate(more, start=2):  # half the time of torch.mean
            before = torch.lerp(before, gradient, 1.0 / count, out=self._mean)
        return before


class _Sent:
    """By gloo or NCCL."""

    def __init__(self, like: Tensor, size: int, count: int) -> None:
        self._flat = like.new_empty(_TURNS, size)  # kept: fresh memory takes as long as the exchange
        self._count = count
        self._sent = 0

    def send(self, parts: Sequence[Tensor]) -> dist.Work | None:
        flat = self._flat[self._sent % _TURNS]
        torch.cat([part.reshape(-1) for part in parts], out=flat)
        self._sent += 1
        work: dist.Work | None = dist.all_reduce(flat, async_op=True)
        return work

    def mean(self) -> Tensor:
        return self._flat[(self._sent - 1) % _TURNS].div_(self._count)


def _shared_room(ranks: Ranks, size: int) -> Tensor | None:
    """What `_Memory` needs, None where the system has too little of it; it goes when the processes have ended."""
    total = _TURNS * ranks.count * size
    name = ""
    if ranks.leads:
        with suppress(OSError):
            descriptor, name = tempfile.mkstemp(prefix="tray-agent-gradients-", dir=_SHARED)
            try:
                _reserve(descriptor, 4 * total)
            except OSError:
                Path(name).unlink()
                name = ""
            finally:
                os.close(descriptor)
    name = ranks.all_of(name)[0]
    if not name:
        return None
    try:
        room: Tensor | None = torch.from_file(name, shared=True, size=total, dtype=torch.float32)
    except RuntimeError:
        room = None
    all_have = all(ranks.all_of(room is not None))
    if ranks.leads:
        Path(name).unlink(missing_ok=True)
    return room.view(_TURNS, ranks.count, size) if room is not None and all_have else None


def _reserve(descriptor: int, size: int) -> None:
    """Raises OSError when there is too little memory, where writing to it later would end the process."""
    if sys.platform == "linux":
        os.posix_fallocate(descriptor, 0, size)
    else:
        raise OSError("files in memory are known of Linux only")

"""A learner's file of one game: network, average, optimiser, counts (safetensors; the trainer's main thread)."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tray_agent.runtime.atomic_file import write_atomic
from tray_agent.training.handover import Handover
from tray_agent.training.model import FROZEN, PolicyNet
from tray_agent.training.muon import kept_of, state_from

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """What a file holds the tensors of.

    Attributes:
        net, average: all but what is frozen, which is large and never changes.
        parameters: those of `net` that are learned, in the order of the file.
        optimizer: whose moments of them are kept.
    """

    net: PolicyNet
    average: PolicyNet
    parameters: Sequence[nn.Parameter]
    optimizer: torch.optim.Optimizer


@dataclass(frozen=True)
class Counts:
    """How far learning is: updates, ticks held when statistics were taken, how much of the memory plays."""

    updates: int
    statistics_at: int
    handover: Handover


def write_checkpoint(path: Path, kept: Kept, architecture: str, counts: Counts, beside: str = "") -> None:
    """Write a file atomically.

    Args:
        path: the file.
        kept: tensors in it.
        architecture: what `read_checkpoint` has to ask for.
        counts: numbers in it.
        beside: whatever else the writer wants to find again, with `read_beside`.

    Raises:
        OSError: disk full or not writable; the old checkpoint stays.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, save(dict(_tensors(kept)), metadata={
        "architecture": architecture, "spec": kept.net.spec.digest, "updates": str(counts.updates),
        "statistics_at": str(counts.statistics_at), "steps": str(_steps(kept)),
        "memory": str(counts.handover.share), "beside": beside,
    }))  # fmt: skip


def read_beside(path: Path) -> str:
    """What a file holds beside tensors and counts; "" where that is nothing.

    Raises:
        OSError, SafetensorError: it can't be read.
    """
    with safe_open(path, framework="pt") as file:
        return str((file.metadata() or {}).get("beside", ""))


def read_checkpoint(path: Path, kept: Kept, architecture: str) -> Counts | None:
    """Take a file's tensors into `kept`; None (and nothing changed) if there is none that fits."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if (metadata.get("architecture"), metadata.get("spec")) != (architecture, kept.net.spec.digest):
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        handover = Handover(float(metadata.get("memory", "0.0")))
        counts = Counts(int(metadata["updates"]), int(metadata["statistics_at"]), handover)
        _take_tensors(kept, tensors, int(metadata["steps"]))
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        if path.exists():
            _log.warning("checkpoint %s is not usable (%s); learning begins anew", path, error)
        return None
    return counts


def _take_tensors(kept: Kept, tensors: dict[str, Tensor], steps: int) -> None:
    """All or nothing. Raises ValueError."""
    count = len(kept.parameters)
    moments = [_of(tensors, f"adam.{i}.") for i in range(count)]
    nets = [(net, _of(tensors, prefix)) for net, prefix in ((kept.net, "net."), (kept.average, "average."))]
    for net, own in nets:
        _check_fit(net, own)
    for net, own in nets:
        net.load_state_dict(own, strict=False)
    for parameter, own in zip(kept.parameters, moments, strict=True):
        if state := state_from(parameter, own, steps):  # heads of controls that the game does not have never move
            kept.optimizer.state[parameter] = state


def _steps(kept: Kept) -> int:
    """How many steps the optimiser has made."""
    state = kept.optimizer.state.get(kept.parameters[0])
    return int(state["step"]) if state else 0


def _tensors(kept: Kept) -> Iterator[tuple[str, Tensor]]:
    for net, prefix in ((kept.net, "net."), (kept.average, "average.")):
        for name, tensor in _own_state(net).items():
            yield prefix + name, tensor.detach().cpu().contiguous().clone()
    for i, parameter in enumerate(kept.parameters):
        if state := kept.optimizer.state.get(parameter):
            for letter, tensor in kept_of(state):
                yield f"adam.{i}.{letter}", tensor.cpu().contiguous()


def _of(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _own_state(net: PolicyNet) -> dict[str, Tensor]:
    """What is kept of a network."""
    return {name: tensor for name, tensor in net.state_dict().items() if not name.startswith(FROZEN)}


def _check_fit(net: PolicyNet, tensors: dict[str, Tensor]) -> None:
    expected = {name: tensor.shape for name, tensor in _own_state(net).items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        raise ValueError("its tensors are not the network's")

"""What a run needs to go on after it was killed, in a file beside the one that it makes (safetensors, torch)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tray_agent.errors import TrayAgentError
from tray_agent.runtime.atomic_file import write_atomic
from tray_agent.training.muon import kept_in, kept_of, state_from

_CHANCE = "chance"


@dataclass(frozen=True)
class State:
    """A moment of a run.

    Attributes:
        tensors: by name.
        numbers: plain data.
    """

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]


def state_path(out: Path) -> Path:
    """Where the state of a run that makes `out` is kept."""
    return out.with_name(f"{out.name}.state")


def write_state(path: Path, recipe: dict[str, Any], state: State) -> None:
    """Write a file atomically. Raises OSError."""
    about = json.dumps({"recipe": recipe, "numbers": state.numbers})
    write_atomic(path, save(state.tensors, metadata={"state": about}))


def read_state(path: Path, recipe: dict[str, Any]) -> State:
    """The state of a run that does what the recipe says.

    Raises:
        TrayAgentError: there is none, it is damaged, or the run was begun with something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        begun, numbers = dict(about["recipe"]), dict(about["numbers"])
    except FileNotFoundError as error:
        raise TrayAgentError(
            f"there is no {path} to go on from (a run that is done leaves none); begin without --resume"
        ) from error
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrayAgentError(f"{path} can't be used ({error}); begin without --resume") from error
    asked = json.loads(json.dumps(recipe))
    if changed := sorted(name for name in begun.keys() | asked.keys() if begun.get(name) != asked.get(name)):
        told = "; ".join(f"{name} was {begun.get(name)}, is {asked.get(name)}" for name in changed)
        raise TrayAgentError(f"{path} is of a run begun with something else ({told}). Give the same, or no --resume")
    return State(tensors, numbers)


def tensors_of(named: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Copies of weights, of the optimiser's moments of them, and the generator of chance."""
    kept = {_CHANCE: torch.get_rng_state()}
    for name, tensor in named.items():
        kept[f"w.{name}"] = tensor.detach().cpu().contiguous().clone()
        if state := optimizer.state.get(tensor):
            kept |= {f"{letter}.{name}": moment.cpu().contiguous().clone() for letter, moment in kept_of(state)}
            kept[f"s.{name}"] = state["step"].cpu().clone()
    return kept


def put_back(given: Mapping[str, Tensor], named: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    """Inverse of `tensors_of`.

    Raises:
        TrayAgentError: they are of another network; nothing is changed.
    """
    wanted = {f"w.{name}": tensor.shape for name, tensor in named.items()}
    if {name: tensor.shape for name, tensor in given.items() if name.startswith("w.")} != wanted:
        raise TrayAgentError("the state is that of another network; begin without --resume")
    with torch.no_grad():
        for name, tensor in named.items():
            tensor.copy_(given[f"w.{name}"])
            if f"s.{name}" in given:
                optimizer.state[tensor] = state_from(tensor, kept_in(given, name), int(given[f"s.{name}"]))
    torch.set_rng_state(given[_CHANCE])

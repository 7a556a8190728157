"""The checkpoint of a shared model: one safetensors file, the one owner of its format (torch).

Tensors: `net.*`, `average.*`, `m.*`, `v.*` of the shared parts, and the same as `<game>/...` for each game's own; `m`
and `v` are the optimiser's moments, kept in bfloat16. Metadata: `architecture`, `steps`, and `games`, a JSON object of
game -> vector, spec and counts. The file is replaced atomically: a kill at any moment leaves the old or the new one.
"""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tray_agent.core.policy import PolicySpec
from tray_agent.runtime.atomic_file import write_atomic

_log = logging.getLogger(__name__)
NAME = "shared.safetensors"
"""In the folder of all checkpoints."""
FORMAT = "shared-2"
Tensors = dict[str, Tensor]
_MOMENTS = ("m.", "v.")
_DAMAGE = (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class GameParts:
    """What one game has of its own.

    Attributes:
        vector, spec: of the game.
        updates, statistics_at, steps: counts of its learner.
        tensors: by name, beginning with net., average., m. or v.
    """

    vector: tuple[float, ...]
    spec: PolicySpec
    updates: int
    statistics_at: int
    steps: int
    tensors: Tensors


@dataclass(frozen=True)
class SharedCheckpoint:
    """All of a shared model.

    Attributes:
        architecture: what networks and file must agree in.
        steps: of the optimiser over the shared parts.
        tensors: the shared parts.
        games: each game's own parts.
    """

    architecture: str
    steps: int = 0
    tensors: Tensors = field(default_factory=dict)
    games: dict[str, GameParts] = field(default_factory=dict)


def write_shared(path: Path, checkpoint: SharedCheckpoint) -> int:
    """Replace the file; returns its size.

    Raises:
        OSError: disk full or not writable; the old file stays.
    """
    tensors = _packed(checkpoint.tensors, "")
    for name, game in checkpoint.games.items():
        tensors |= _packed(game.tensors, f"{name}/")
    metadata = {
        "architecture": f"{FORMAT} {checkpoint.architecture}", "steps": str(checkpoint.steps),
        "games": json.dumps({name: _game_json(game) for name, game in checkpoint.games.items()}),
    }  # fmt: skip
    data = save(tensors, metadata=metadata)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, data)
    return len(data)


def read_shared(path: Path, architecture: str) -> SharedCheckpoint | None:
    """What the file holds; None if there is none, or none that fits.

    One that can't be used is put aside as `NAME.unusable`, because the next one written takes its place.
    """
    if not path.exists():
        return None
    try:
        return _read(path, architecture)
    except _DAMAGE as error:
        _log.warning("the shared model %s is not usable (%s); it is put aside and learning begins anew", path, error)
        try:
            path.replace(path.with_name(f"{path.name}.unusable"))
        except OSError as left:
            _log.warning("it could not be put aside: %s", left)
        return None


def _read(path: Path, architecture: str) -> SharedCheckpoint:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("architecture") != f"{FORMAT} {architecture}":
            raise ValueError(f"it is of {metadata.get('architecture')!r}")
        described = json.loads(metadata["games"])
        tensors: dict[str, Tensors] = {name: {} for name in ("", *described)}
        for key in file.keys():  # noqa: SIM118 - not a dict
            game, _, name = key.rpartition("/")
            tensors[game][name] = file.get_tensor(key)
    games = {name: _game(data, tensors[name]) for name, data in described.items()}
    return SharedCheckpoint(architecture, int(metadata["steps"]), tensors[""], games)


def _packed(tensors: Tensors, prefix: str) -> Tensors:
    return {
        prefix + name: tensor.detach().to("cpu", torch.bfloat16 if name.startswith(_MOMENTS) else None)
        .contiguous().clone()
        for name, tensor in tensors.items()
    }  # fmt: skip


def _game_json(game: GameParts) -> dict[str, Any]:
    return {
        "vector": list(game.vector), "spec": game.spec.to_json(), "updates": game.updates,
        "statistics_at": game.statistics_at, "steps": game.steps,
    }  # fmt: skip


def _game(data: dict[str, Any], tensors: Tensors) -> GameParts:
    return GameParts(
        vector=tuple(map(float, data["vector"])),
        spec=PolicySpec.from_json(data["spec"]),
        updates=int(data["updates"]),
        statistics_at=int(data["statistics_at"]),
        steps=int(data["steps"]),
        tensors=tensors,
    )

"""What a trainer is asked to do: made by the daemon, sent as its first message, read by the trainer (no torch)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tray_agent.core.policy import PolicySpec

BATCH = 64
"""Ticks in one update."""
_FOLDERS = ("sessions", "models", "checkpoints")
_PLAIN = (
    "game", "bundle_every_s", "replay_bytes", "nice", "threads", "seed", "encoder", "shared", "vectors", "adversarial",
    "reaction",
)  # fmt: skip


@dataclass(frozen=True)
class TrainerJob:
    """One game to learn.

    Attributes:
        game, vector, spec: what is learned.
        sessions, models, checkpoints: root folders.
        bundle_every_s: seconds between bundles.
        replay_bytes: memory for frames.
        nice, threads, seed: how the process runs.
        encoder, shared, vectors, adversarial, reaction: as under `trainer` in the settings.
    """

    game: str
    vector: tuple[float, ...]
    spec: PolicySpec
    sessions: Path
    models: Path
    checkpoints: Path
    bundle_every_s: float = 20.0
    replay_bytes: int = 2 << 30
    nice: int = 10
    threads: int = 1
    seed: int = 0
    encoder: str = "bundled"
    shared: bool = False
    vectors: str = "given"
    adversarial: str = "none"
    reaction: str = "none"

    def message(self) -> dict[str, Any]:
        """The "config" message."""
        paths = {name: str(getattr(self, name)) for name in _FOLDERS}
        plain = {name: getattr(self, name) for name in _PLAIN}
        return {"op": "config", "spec": self.spec.to_json(), "vector": list(self.vector)} | paths | plain

    @staticmethod
    def from_message(data: dict[str, Any]) -> "TrainerJob":
        """Inverse of `message`.

        Raises:
            KeyError, TypeError: a field is missing.
        """
        fields: dict[str, Any] = {name: data[name] for name in _PLAIN} | {n: Path(data[n]) for n in _FOLDERS}
        return TrainerJob(spec=PolicySpec.from_json(data["spec"]), vector=tuple(data["vector"]), **fields)

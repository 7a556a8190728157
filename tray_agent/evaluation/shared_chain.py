"""One shared model over several games: learned one after another, each played at once and again at the end.

A chain is as many cells as games. `<folder>/<chain>/` holds a JSON file for each finished step, the bundle made right
after each game's own learning, and the checkpoint after the last finished one; steps that are there are not taken anew.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.cell import Cell
from tray_agent.evaluation.learning import TimedLearning, status_of
from tray_agent.evaluation.playing import play_bundle
from tray_agent.evaluation.recording import Tell, record
from tray_agent.evaluation.runner import run_process
from tray_agent.evaluation.store import commit, machine
from tray_agent.policy.bundle import load_bundle, write_bundle
from tray_agent.runtime.atomic_file import write_atomic
from tray_agent.sessions.layout import game_folder
from tray_agent.settings.games import GameProfile
from tray_agent.settings.snapshot import load_settings

SHARED = "shared"
"""Policy of a chain's cells."""
_COMMAND = (sys.executable, "-P", "-m", "tray_agent.evaluation.run_shared")
_CHECKPOINT = "shared.safetensors"


@dataclass(frozen=True)
class Step:
    """A part of a chain that is kept when it is finished.

    Attributes:
        number: of the game.
        again: False: learn it, then play it; True: play it with what the model is after all games.
    """

    number: int
    again: bool

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.number:02d}.{'again' if self.again else 'learned'}"


@dataclass(frozen=True)
class Chain:
    """Games in the order in which they are learned, with their budgets."""

    cells: tuple[Cell, ...]

    @property
    def key(self) -> str:
        """Name of its folder: another one whenever any field of any cell differs."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()[:12]

    @property
    def steps(self) -> list[Step]:
        """All of it, in order; the last game's own bundle is what the model is after all games."""
        count = len(self.cells)
        return [Step(i, again=False) for i in range(count)] + [Step(i, again=True) for i in range(count - 1)]

    def label(self, step: Step) -> str:
        """For progress lines."""
        what = f"again, after all {len(self.cells)} games" if step.again else f"game {step.number + 1} of one model"
        return f"{self.cells[step.number].game}: {what}"

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data."""
        return [cell.to_json() for cell in self.cells]

    @staticmethod
    def from_json(data: list[dict[str, Any]]) -> "Chain":
        """Inverse of `to_json`."""
        return Chain(tuple(map(Cell.from_json, data)))


def run_chain(
    chain: Chain, folder: Path, recordings: Path, tell: Callable[[str, str, float], None], fresh: bool
) -> dict[str, dict[str, Any]]:
    """Results of all steps by name; those not kept yet (or all, if `fresh`) are taken, each in a process of its own.

    Args:
        chain: what to do.
        folder: of all chains.
        recordings: folder of recordings.
        tell: progress: label of the step, what is done, which share of it.
        fresh: begin anew.

    Raises:
        TrayAgentError: a step could not be taken; those before it are kept.
    """
    own = folder / chain.key
    if fresh:
        shutil.rmtree(own, ignore_errors=True)
    for path in (own, recordings):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    for step in chain.steps:
        path = own / f"{step.name}.json"
        if not path.exists():
            label = chain.label(step)
            arguments = [json.dumps(chain.to_json()), step.name, str(own), str(recordings)]

            def say(text: str, share: float, label: str = label) -> None:
                tell(label, text, share)

            result = run_process([*_COMMAND, *arguments], label, say)
            when = datetime.now(UTC).isoformat(timespec="seconds")
            kept = {"cell": chain.cells[step.number].to_json(), "commit": commit(), "machine": machine(),
                    "created": when, "result": result}  # fmt: skip
            write_atomic(path, json.dumps(kept, indent=1) + "\n")
        results[step.name] = json.loads(path.read_text())["result"]
    return results


def take_step(chain: Chain, name: str, folder: Path, recordings: Path, tell: Tell) -> dict[str, Any]:
    """Take one step; called in its process.

    Raises:
        TrayAgentError: it can't be taken.
    """
    step = next(one for one in chain.steps if one.name == name)
    cell = chain.cells[step.number]
    profile = load_settings().game(cell.game)
    if step.again:
        bundle = _bundle_of(folder / f"{len(chain.cells) - 1:02d}.{_CHECKPOINT}", step.number, cell, folder)
        return play_bundle(cell, profile, profile.spec(), bundle, cell.episodes, tell)
    with tempfile.TemporaryDirectory(prefix="tray-agent-shared-") as scratch:
        return _learn(chain, step.number, profile, folder, recordings, Path(scratch), tell)


def _learn(
    chain: Chain, number: int, profile: GameProfile, folder: Path, recordings: Path, scratch: Path, tell: Tell
) -> dict[str, Any]:
    """Learn a game beside those before it, from the checkpoint they left; keep bundle and checkpoint."""
    cell, spec = chain.cells[number], profile.spec()
    for earlier in chain.cells[: number + 1]:
        _watched(earlier, recordings, scratch / "sessions", tell)
    checkpoint = scratch / "checkpoints" / _CHECKPOINT
    checkpoint.parent.mkdir()
    if number:
        shutil.copy(folder / f"{number - 1:02d}.{_CHECKPOINT}", checkpoint)
    learned = TimedLearning(cell, profile, spec, scratch / "sessions", scratch, shared=True).run(cell.train_s, tell)
    last = learned.snapshots[-1].folder
    kept = folder / "bundles" / f"{number:02d}"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(last, kept)
    played = play_bundle(cell, profile, spec, last, cell.episodes, tell)
    _keep_checkpoint(checkpoint, folder, number)
    return {
        **played, "learned": status_of(learned), "others": list(learned.status.others),
        "checkpoint_mb": round(checkpoint.stat().st_size / 1e6, 1),
    }  # fmt: skip


def _keep_checkpoint(checkpoint: Path, folder: Path, number: int) -> None:
    """Only the newest is needed to go on; the one before it goes when the step after it has used it."""
    target = folder / f"{number:02d}.{_CHECKPOINT}"
    part = target.with_suffix(".part")
    shutil.copy(checkpoint, part)
    part.replace(target)
    for old in range(number - 1):
        (folder / f"{old:02d}.{_CHECKPOINT}").unlink(missing_ok=True)


def _watched(cell: Cell, recordings: Path, sessions: Path, tell: Tell) -> None:
    """A game's recorded sessions beside those of others."""
    profile = load_settings().game(cell.game)
    recorded = record(cell, profile, profile.spec(), recordings, tell)
    shutil.copytree(game_folder(recorded.learn, profile.name), game_folder(sessions, profile.name))


def _bundle_of(checkpoint: Path, number: int, cell: Cell, folder: Path) -> Path:
    """A game's bundle as the model is now; habits and all else but the weights as in the one made at its own time."""
    from tray_agent.training.export import Exporter  # torch: only where it is needed
    from tray_agent.training.model import ARCHITECTURE
    from tray_agent.training.shared import network_in
    from tray_agent.training.shared_file import read_shared

    model = read_shared(checkpoint, ARCHITECTURE)
    if model is None or cell.game not in model.games:
        raise TrayAgentError(f"{checkpoint} does not hold {cell.game}; take the chain anew without --resume")
    before = load_bundle(folder / "bundles" / f"{number:02d}").manifest
    spec: PolicySpec = before.spec
    onnx, parity = Exporter(spec).export(network_in(model, cell.game))
    return write_bundle(folder / "again", replace(before, parity=parity), onnx, f"{number:02d}")

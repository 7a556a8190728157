"""Steps of a chain: learn a game into the shared model and play it, or play it with what the model is at the end.

Runs in the step's own process (`run_shared`).
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.cell import Cell
from tray_agent.evaluation.learning import TimedLearning, status_of
from tray_agent.evaluation.playing import play_bundle
from tray_agent.evaluation.recording import Tell, record
from tray_agent.evaluation.shared_chain import Chain
from tray_agent.policy.bundle import load_bundle, write_bundle
from tray_agent.sessions.layout import game_folder
from tray_agent.settings.games import GameProfile
from tray_agent.settings.snapshot import load_settings

CHECKPOINT = "shared.safetensors"
"""As `training.shared_file.NAME`."""


def take_step(chain: Chain, name: str, folder: Path, recordings: Path, tell: Tell) -> dict[str, Any]:
    """Take one step; called in its process.

    Raises:
        TrayAgentError: it can't be taken.
    """
    step = next(one for one in chain.steps if one.name == name)
    cell = chain.cells[step.number]
    profile = load_settings().game(cell.game)
    if step.again:
        bundle = _bundle_of(folder / f"{len(chain.cells) - 1:02d}.{CHECKPOINT}", step.number, cell, folder)
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
    checkpoint = scratch / "checkpoints" / CHECKPOINT
    checkpoint.parent.mkdir()
    if number:
        shutil.copy(folder / f"{number - 1:02d}.{CHECKPOINT}", checkpoint)
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
    target = folder / f"{number:02d}.{CHECKPOINT}"
    part = target.with_suffix(".part")
    shutil.copy(checkpoint, part)
    part.replace(target)
    for old in range(number - 1):
        (folder / f"{old:02d}.{CHECKPOINT}").unlink(missing_ok=True)


def _watched(cell: Cell, recordings: Path, sessions: Path, tell: Tell) -> None:
    """A game's recorded sessions beside those of others."""
    profile = load_settings().game(cell.game)
    recorded = record(cell, profile, profile.spec(), recordings, tell)
    shutil.copytree(game_folder(recorded.learn, profile.name), game_folder(sessions, profile.name))


def _bundle_of(checkpoint: Path, number: int, cell: Cell, folder: Path) -> Path:
    """A game's bundle as the model is now; habits and all else but the weights as in the one made at its own time."""
    from tray_agent.training.export import Exporter  # not at the top: the processes that play would load torch as well
    from tray_agent.training.model import ARCHITECTURE
    from tray_agent.training.shared import network_in
    from tray_agent.training.shared_file import read_shared

    model = read_shared(checkpoint, ARCHITECTURE)
    if model is None or cell.game not in model.games:
        raise TrayAgentError(f"{checkpoint} does not hold {cell.game}; take the chain anew without --resume")
    before = load_bundle(folder / "bundles" / f"{number:02d}").manifest
    onnx, parity = Exporter(before.spec).export(network_in(model, cell.game))
    return write_bundle(folder / "again", replace(before, parity=parity), onnx, f"{number:02d}")

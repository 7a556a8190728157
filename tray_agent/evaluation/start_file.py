"""The file of weights that the policy `ours-start` begins with, as `tray-agent pretrain` makes it (no torch)."""

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.cell import Cell

GAME = "{game}"
"""Stands for the game's name in a path: leaving one out takes a file for each."""


def start_of(pattern: str, game: str) -> tuple[str, str]:
    """Full path and digest of the file for a game.

    Raises:
        TrayAgentError: there is no such file, it is none of `tray-agent pretrain`, or it knows this very game.
    """
    path = Path(pattern.replace(GAME, game)).expanduser().absolute()
    try:
        with safe_open(path, framework="np") as file:
            recipe = json.loads(file.metadata()["about"])["recipe"]
        games = {*recipe["games"], *recipe.get("before", ())}
        digest = _digest(path)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        remedy = "Make it with: tray-agent pretrain policy"
        raise TrayAgentError(f"{path} is no file to begin {game} with ({error}). {remedy}") from error
    if game in games:
        raise TrayAgentError(f"{path} has learned from {game} itself. Make one with --without {game}")
    return str(path), digest


def check_unchanged(cell: Cell) -> None:
    """Raises TrayAgentError when the cell's file is not the one it was made for."""
    try:
        changed = bool(cell.start) and _digest(Path(cell.start)) != cell.start_digest
    except OSError as error:
        raise TrayAgentError(f"{cell.start} is gone: {error}") from error
    if changed:
        raise TrayAgentError(f"{cell.start} was written anew meanwhile. Evaluate again when it is finished")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]

"""One shared model over several games: learned one after another, each played at once and again at the end.

A chain is as many cells as games. `<folder>/<chain>/` holds a JSON file for each finished step, the bundle made right
after each game's own learning, and the checkpoint after the last finished one; steps that are there are not taken anew.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tray_agent.evaluation.cell import Cell
from tray_agent.evaluation.runner import run_process
from tray_agent.runtime.atomic_file import write_atomic
from tray_agent.runtime.origin import commit, machine

SHARED = "shared"
"""Policy of a chain's cells (or `cell.LEARNED_VECTORS`), and the folder of chains."""
_COMMAND = (sys.executable, "-P", "-m", "tray_agent.evaluation.run_shared")


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

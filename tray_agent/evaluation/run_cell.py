"""The process that takes one cell: `python -m tray_agent.evaluation.run_cell CELL FOLDER`, started by `runner`.

Prints JSON lines: {"progress": text, "share": 0..1}, and last {"result": {...}} or {"error": text}.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.agent import take_agent
from tray_agent.evaluation.cell import ENCODERS, REFERENCES, Cell
from tray_agent.evaluation.live.names import is_live, profile_name
from tray_agent.evaluation.peer_cell import take_peer
from tray_agent.evaluation.references import take_references
from tray_agent.evaluation.start_file import check_unchanged
from tray_agent.settings.snapshot import load_settings

_TELL_EVERY_S = 0.5


class Printer:
    """Progress as JSON lines, not too many."""

    def __init__(self) -> None:
        self._text = ""
        self._next = 0.0

    def __call__(self, text: str, share: float) -> None:
        now = time.monotonic()
        if text.split(",", maxsplit=1)[0] == self._text and now < self._next:
            return
        self._text, self._next = text.split(",", maxsplit=1)[0], now + _TELL_EVERY_S
        emit({"progress": text, "share": round(min(1.0, share), 4)})


def emit(line: dict[str, Any]) -> None:
    """One line for the runner."""
    print(json.dumps(line), flush=True)


def take(cell: Cell, recordings: Path) -> dict[str, Any]:
    """Measure a cell.

    Raises:
        TrayAgentError: it can't be measured here; the message says why.
    """
    profile = load_settings().game(profile_name(cell.game))
    check_unchanged(cell)
    tell = Printer()
    if cell.policy == REFERENCES and not is_live(cell.game):
        return take_references(cell, tell)
    with tempfile.TemporaryDirectory(prefix="tray-agent-cell-") as scratch:
        if is_live(cell.game):
            from tray_agent.evaluation.live.cell import take_live  # X11: only where it is wanted

            return take_live(cell, profile, Path(scratch), tell)
        one = take_agent if cell.policy in ENCODERS else take_peer
        return one(cell, profile, recordings, Path(scratch), tell)


def main() -> int:
    """Entry of the process."""
    cell, recordings = Cell.from_json(json.loads(sys.argv[1])), Path(sys.argv[2])
    return answer(lambda: take(cell, recordings))


def answer(measure: Callable[[], dict[str, Any]]) -> int:
    """Print what `measure` returns, or why it could not; the process's exit code."""
    try:
        emit({"result": measure()})
    except TrayAgentError as error:
        emit({"error": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Finished cells on disk: one JSON file each, owned by this module."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.cell import Cell
from tray_agent.runtime.atomic_file import write_atomic
from tray_agent.runtime.origin import commit, machine


@dataclass(frozen=True)
class Kept:
    """A finished cell.

    Attributes:
        cell: what was measured.
        result: what came out.
        commit: of the code it was taken at ("" outside a checkout; "+" at its end: with changes not committed).
        machine: where.
        created: when, ISO 8601 in UTC.
    """

    cell: Cell
    result: dict[str, Any]
    commit: str
    machine: str
    created: str


class CellStore:
    """Results under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, cell: Cell) -> Kept | None:
        """The kept result, None if there is none.

        Raises:
            TrayAgentError: its file is damaged.
        """
        path = self._path(cell)
        try:
            data = json.loads(path.read_text())
            return Kept(Cell.from_json(data["cell"]), data["result"], data["commit"], data["machine"], data["created"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrayAgentError(f"{path} is damaged ({error}). Delete it and run again with --resume") from error

    def put(self, cell: Cell, result: dict[str, Any]) -> None:
        """Keep a result; all or nothing.

        Raises:
            OSError: it can't be written.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = {
            "cell": cell.to_json(), "commit": commit(), "machine": machine(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"), "result": result,
        }  # fmt: skip
        write_atomic(self._path(cell), json.dumps(content, indent=1) + "\n")

    def _path(self, cell: Cell) -> Path:
        return self.folder / f"{cell.key}.json"

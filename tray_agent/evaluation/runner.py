"""Runs the cells that are missing, one after the other, each in a process of its own (the caller's thread)."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import psutil

from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.cell import Cell
from tray_agent.evaluation.store import CellStore, Kept

_COMMAND = (sys.executable, "-P", "-m", "tray_agent.evaluation.run_cell")
_END_S = 10.0
NOT_TAKEN = "not taken"
"""Progress of a cell that failed begins so."""


def run_missing(
    cells: list[Cell], store: CellStore, recordings: Path, tell: Callable[[Cell, str, float], None], fresh: bool
) -> tuple[dict[str, Kept], dict[str, str]]:
    """Results of all cells by key; those not kept yet (or all, if `fresh`) are taken now, each kept as it finishes.

    Returns:
        the results, and for cells that failed the reason by label.
    """
    kept: dict[str, Kept] = {}
    failed: dict[str, str] = {}
    for cell in cells:
        found = None if fresh else store.get(cell)
        if found is None:
            try:
                store.put(cell, take(cell, recordings, partial(tell, cell)))
            except TrayAgentError as error:
                failed[cell.label] = str(error)
                tell(cell, f"{NOT_TAKEN}: {error}", 1.0)
                continue
            found = store.get(cell)
        if found is not None:
            kept[cell.key] = found
    return kept, failed


def take(cell: Cell, recordings: Path, tell: Callable[[str, float], None]) -> dict[str, Any]:
    """One cell's result, from a process of its own; an exception here (Ctrl-C) ends that process and its children.

    Raises:
        TrayAgentError: it could not be taken.
    """
    recordings.mkdir(mode=0o700, parents=True, exist_ok=True)
    return run_process([*_COMMAND, json.dumps(cell.to_json()), str(recordings)], cell.label, tell)


def run_process(arguments: list[str], label: str, tell: Callable[[str, float], None]) -> dict[str, Any]:
    """The result of a process that prints JSON lines as `run_cell` does; it ends when this call does.

    Raises:
        TrayAgentError: it ended without a result.
    """
    with (
        tempfile.TemporaryFile() as noise,
        # its own session: Ctrl-C in the terminal is ours to answer
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=noise, text=True, start_new_session=True) as process,
    ):
        try:
            result = _follow(label, process, tell)
            if result is None:
                process.wait()
                raise TrayAgentError(f"{label} could not be taken: {_last_line(noise, process.returncode)}")
            return result
        finally:
            _end(process)


def _follow(label: str, process: "subprocess.Popen[str]", tell: Callable[[str, float], None]) -> dict[str, Any] | None:
    """The result, None when the process ends without one."""
    assert process.stdout is not None  # noqa: S101 - asked for
    for line in process.stdout:
        try:
            message = json.loads(line)
        except ValueError:
            continue  # a library that prints
        if "result" in message:
            result: dict[str, Any] = message["result"]
            return result
        if "error" in message:
            raise TrayAgentError(f"{label}: {message['error']}")
        tell(message["progress"], message["share"])
    return None


def _last_line(noise: IO[bytes], code: int | None) -> str:
    noise.seek(0)
    lines = noise.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with code {code} and said nothing"


def _end(process: "subprocess.Popen[str]") -> None:
    """The process and all it started: trainers and games outlive a parent that is killed."""
    try:
        started = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for one in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    for one in psutil.wait_procs(started, _END_S)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()

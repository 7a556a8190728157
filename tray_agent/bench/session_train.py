"""Part `train` of `bench sessions`: `tray-agent train` by two processes of torchrun against one, a thread each.

Both learn the same session for the same time, in turns. Each turn is a child that is ended with it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tray_agent.bench.figures import progress
from tray_agent.bench.session_found import Found
from tray_agent.bench.session_plays import Plays
from tray_agent.errors import PlatformUnavailable, WorkerFailed
from tray_agent.stage.displays import end
from tray_agent.training.job import BATCH

_MINUTES = 10.0
_ROUNDS = 2
_LIMIT_S = 240.0
_TRAIN = ("-m", "tray_agent.training.offline")
_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
_NOTE = (
    f"train: {_MINUTES:g} min of play; reading, looks at held-out play and checkpoints are within; it says something "
    "only where two cores are idle"
)


def measure(plays: Plays, options: argparse.Namespace) -> Found:
    """Samples a second, medians over rounds.

    Raises:
        PlatformUnavailable: torch or the game's package is missing.
        WorkerFailed: a turn failed.
    """
    if find_spec("torch") is None:
        raise PlatformUnavailable("There is no training without torch", "Run: pip install torch")
    play = plays.play(options.games[0], _MINUTES, keep_pictures=False)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for number in range(_ROUNDS):
        for processes, found in rates.items():
            out = plays.folder / f"train.{processes}.{number}"
            summary = _learned(play.game, play.session, processes, options.seconds, out)
            found.append(summary["updates"] * BATCH * processes / summary["seconds"])
            progress(f"  round {number + 1} of {_ROUNDS}, {processes} processes: {found[-1]:.0f} samples/s")
    return Found(ratio(rates), [_NOTE])


def ratio(rates: dict[int, list[float]]) -> dict[str, float | int]:
    """Flat numbers of samples a second by number of processes."""
    one, two = (statistics.median(rates[processes]) for processes in (1, 2))
    return {
        "train_2_processes_vs_1": round(two / one, 3),
        "train_1_process_per_s": round(one, 1),
        "train_2_processes_per_s": round(two, 1),
    }


def _learned(game: str, session: Path, processes: int, seconds: float, out: Path) -> dict[str, Any]:
    """The run's summary."""
    command = [sys.executable, "-P", *((*_TORCHRUN, str(processes)) if processes > 1 else ()), *_TRAIN]
    command += [str(session), "--game", game, "--minutes", f"{seconds / 60:.4f}", "--threads", "1", "--no-use"]
    command += ["--patience", "100000", "--out", str(out), "--json"]
    environment = os.environ | {"TRAY_AGENT_HOME": str(out.with_suffix(".home")), "OMP_NUM_THREADS": "1"}
    log = out.with_suffix(".log")
    with log.open("wb") as errors:
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True,  # Ctrl+C is for us: we end it
        )  # fmt: skip
        try:
            said, _ = child.communicate(timeout=seconds + _LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise WorkerFailed(f"{processes} processes did not end in time") from error
        finally:
            end(child, _LIMIT_S)
    lines = [line for line in said.decode(errors="replace").splitlines() if line.startswith("{")]
    if child.returncode or not lines:
        last = log.read_text(errors="replace").strip().splitlines()[-5:]
        raise WorkerFailed(f"{processes} processes could not learn: {'; '.join(last)}")
    summary: dict[str, Any] = json.loads(lines[-1])
    return summary

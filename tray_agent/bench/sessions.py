"""`bench sessions`: what sessions cost and what they are good for, each figure in the same run as its alternative.

Parts: `disk` (bytes, against a pickle of raw frames and against ffmpeg), `overhead` (CPU while a 1080p window is
recorded), `read` (random windows, against OpenCV and lerobot), `train` (two processes against one), `crash` (kill -9).
Caller's thread; each part starts and ends what it needs. What is missing here costs that part only.
"""

import argparse
import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tray_agent.bench.arguments import above_zero, positive
from tray_agent.core.media import VideoQuality
from tray_agent.errors import PlatformUnavailable, TrayAgentError

if TYPE_CHECKING:
    from tray_agent.bench.session_found import Found
    from tray_agent.bench.session_plays import Plays

PARTS = ("disk", "overhead", "read", "train", "crash")
AT_LEAST = {
    "disk_vs_raw_pickle": 100.0,
    "read_vs_opencv_seek": 3.0,
    "read_vs_lerobot": 1.0,
    "train_2_processes_vs_1": 1.8,
}
AT_MOST = {"disk_vs_ffmpeg": 1.3, "overhead_core": 0.1, "crash_max_lost_s": 1.0}
_GAMES = ("pong", "breakout", "doom-health")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--only", type=_parts, default=PARTS, metavar="PART,...", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--games", nargs="+", default=list(_GAMES), metavar="G", help=f"({' '.join(_GAMES)})")
    parser.add_argument("--quality", choices=get_args(VideoQuality), help="of the sessions' pictures (as configured)")
    parser.add_argument("--minutes", type=above_zero, default=2.0, metavar="M", help="game time recorded of each (2)")
    parser.add_argument(
        "--seconds", type=above_zero, default=30.0, metavar="S", help="of recording, and of learning (30)"
    )
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="turns of each reader (3)")
    parser.add_argument("--windows", type=positive, default=150, metavar="N", help="read in a turn (150)")
    parser.add_argument("--kills", type=positive, default=200, metavar="N", help="of writers (200)")
    parser.add_argument("--beside", type=positive, default=6, metavar="N", help="writers at the same time (6)")
    parser.add_argument(
        "--rate", type=above_zero, default=20.0, metavar="HZ", help="of the writers that are killed (20)"
    )
    parser.epilog = "Run it while nothing else does: overhead, read and train say little otherwise."


def _parts(text: str) -> tuple[str, ...]:
    chosen = text.split(",")
    if unknown := sorted(set(chosen) - set(PARTS)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no such part; there are {', '.join(PARTS)}")
    return tuple(part for part in PARTS if part in chosen)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; `metrics` begins with the figures that have targets.

    `wanted` tells the targets, `missed` which of the measured figures miss theirs, `missing` what could not be
    measured and why, `notes` how it was done.

    Raises:
        PlatformUnavailable: nothing at all could be measured here.
    """
    from tray_agent.bench.figures import machine, progress
    from tray_agent.bench.session_found import Found
    from tray_agent.bench.session_plays import Plays
    from tray_agent.settings.snapshot import load_settings
    from tray_agent.stage.displays import terminated_like_interrupted

    quality = options.quality or load_settings().app.recording.quality
    facts, found = machine(), Found(notes=[f"pictures are kept as {quality}"])
    with terminated_like_interrupted(), tempfile.TemporaryDirectory(prefix="ta-sessions-") as folder:
        plays = Plays(Path(folder), quality)
        for part in options.only:
            progress(f"sessions: {part} ...")
            try:
                found.add(_measured(part, plays, options))
            except (TrayAgentError, ImportError) as error:
                found.missing[part] = str(error)
                progress(f"  not measured: {error}")
    if not found.metrics:
        raise PlatformUnavailable("; ".join(f"{what}: {why}" for what, why in found.missing.items()))
    return {"bench": "sessions", "machine": facts} | report(found)


def report(found: "Found") -> dict[str, Any]:
    """What the command line shows of it; the figures with targets come first."""
    first = {name: found.metrics[name] for name in (*AT_LEAST, *AT_MOST) if name in found.metrics}
    missed = [name for name, value in first.items() if not is_met(name, value)]
    wanted = {name: f">= {AT_LEAST[name]:g}" if name in AT_LEAST else f"<= {AT_MOST[name]:g}" for name in first}
    return {
        "metrics": first | found.metrics, "wanted": wanted, "missed": missed, "missing": found.missing,
        "notes": found.notes,
    }  # fmt: skip


def is_met(name: str, value: float) -> bool:
    """Whether a figure reaches its target."""
    return value >= AT_LEAST[name] if name in AT_LEAST else value <= AT_MOST[name]


def _measured(part: str, plays: "Plays", options: argparse.Namespace) -> "Found":
    """One part; its module is loaded only now, so that a library that is missing costs that part only."""
    found: Found = importlib.import_module(f"tray_agent.bench.session_{part}").measure(plays, options)
    return found

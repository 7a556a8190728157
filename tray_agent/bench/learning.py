"""`bench learning`: samples a second of the product's learner and of the imitation library's, with the same network.

A scripted player plays a packaged game, watched as ever; both learn the same frames of it, NatureCNN over four grey
frames of 84 x 84, on as many cores, in turns. A process for each turn; here the caller's thread only.

It says something on a quiet machine alone: beside other work torch's threads, which are the library's, wait for each
other at every layer, and the ratio flatters us.
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from tray_agent.bench.arguments import above_zero, positive
from tray_agent.errors import PlatformUnavailable

_GAME = "pong"
_SIDE = 84
_COMMAND = (sys.executable, "-P", "-m", "tray_agent.bench.learning_round")
_IMITATION, _SAME, _OWN = "imitation", "same_network", "own_network"
DIFFERS = (
    "batches: 32 samples (the library's default), 64 (ours)",
    "ours adds to the network: a sound branch, LayerNorm and dropout around the 512 units, heads of controls that the "
    "game does not have; the library's adds a value head",
    "loss: one class for each combination of buttons that occurred, entropy and the sum of all squared weights (the "
    "library); a bit for each button (ours)",
    "numbers: float32 (the library); bfloat16 where that is quicker on this machine, channels last (ours)",
    "cores: torch's own threads (the library); a lane with weights of its own on each core (ours)",
    "Adam (the library); Muon and fused AdamW, clipped gradients and a moving average of the weights (ours)",
    "ours leaves held-out stretches out, and draws rare combinations of buttons more often",
)
"""What is not the same on both sides."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--seconds", type=above_zero, default=10.0, metavar="S", help="of each turn (10)")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="turns of each (3)")
    parser.add_argument("--threads", type=positive, default=2, metavar="T", help="cores for each (2)")
    parser.add_argument("--minutes", type=above_zero, default=2.0, metavar="M", help="game time watched before (2)")
    parser.epilog = (
        "Run it while nothing else does: other work slows the library's threads far more than ours. "
        f"What differs beside the learning machinery: {'; '.join(DIFFERS)}."
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; `metrics` holds medians over the rounds, and ratios to the imitation library's.

    Raises:
        PlatformUnavailable: torch, the imitation library or the game is missing.
        TrayAgentError: a turn failed.
    """
    from tray_agent.bench.figures import machine, progress
    from tray_agent.stage.displays import terminated_like_interrupted

    _check()
    facts = machine()
    rounds: list[dict[str, dict[str, Any]]] = []
    with terminated_like_interrupted(), tempfile.TemporaryDirectory(prefix="ta-learning-") as folder:
        progress(f"learning: watching {options.minutes:g} min of {_GAME} ...")
        record_play(Path(folder), options.minutes)
        for number in range(options.rounds):
            progress(f"learning: round {number + 1} of {options.rounds}, {options.seconds:g} s each ...")
            rounds.append({way: _turn(way, Path(folder), options) for way in (_IMITATION, _SAME, _OWN)})
            progress("  " + ", ".join(f"{way} {one['samples_per_s']:.0f}/s" for way, one in rounds[-1].items()))
    metrics = summary(rounds) | {"threads": options.threads, "rounds": options.rounds, "seconds": options.seconds}
    return {"bench": "learning", "machine": facts, "metrics": metrics, "differs": list(DIFFERS)}


def _check() -> None:
    """Before a minute is spent on watching."""
    from tray_agent.evaluation.peers.registry import PEERS

    try:
        PEERS["imitation"]()
    except ImportError as error:
        raise PlatformUnavailable(f"bench learning can't run here: {error}", "Run: pip install torch") from error


def record_play(folder: Path, minutes: float) -> None:
    """A session under `folder`: what both learn. Raises PlatformUnavailable: the game's package is missing."""
    from tray_agent.evaluation.cell import OURS, Cell
    from tray_agent.evaluation.recording import watch
    from tray_agent.settings.snapshot import load_settings

    profile = load_settings().game(_GAME)
    spec = replace(profile.spec(), frame_width=_SIDE, frame_height=_SIDE)
    watch(Cell(_GAME, OURS), profile, spec, folder, seed=0, minutes=minutes, tell=lambda _text, _share: None)


def _turn(way: str, sessions: Path, options: argparse.Namespace) -> dict[str, Any]:
    from tray_agent.evaluation.runner import run_process

    arguments = [*_COMMAND, way, str(sessions), str(options.threads), str(options.seconds)]
    return run_process(arguments, f"bench learning, {way}", lambda _text, _share: None)


def summary(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, float | int]:
    """Flat numbers of rounds, each {way: numbers of its turn}: medians, ratios, sizes."""
    rates = {way: [one[way]["samples_per_s"] for one in rounds] for way in (_IMITATION, _SAME, _OWN)}
    medians = {way: statistics.median(found) for way, found in rates.items()}
    ratios = [ours / theirs for ours, theirs in zip(rates[_SAME], rates[_IMITATION], strict=True)]
    found: dict[str, float | int] = {
        "ratio": round(medians[_SAME] / medians[_IMITATION], 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
        "ratio_own_network": round(medians[_OWN] / medians[_IMITATION], 2),
    }
    found |= {f"{way}_samples_per_s": round(median, 1) for way, median in medians.items()}
    for name in ("parameters", "batch"):
        found |= {f"{way}_{name}": rounds[-1][way][name] for way in (_IMITATION, _SAME, _OWN)}
    return found | {"ticks": rounds[-1][_SAME]["ticks"]}

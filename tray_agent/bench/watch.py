"""`bench watch`: what watching and learning cost a real game, and whether the daemon misses pictures or grows.

A real game (chocolate-doom) is played with real key presses, in turns without and with the real daemon; the X server
tells how many pictures it showed. Then the daemon goes on watching for `--minutes`. Caller's thread only; other
processes: X servers, openbox, the game, the daemon with its guard and trainer.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tray_agent.bench.arguments import positive
from tray_agent.errors import WorkerFailed

if TYPE_CHECKING:
    from tray_agent.bench.watch_scene import DoomScene, TickCounts, WatchingDaemon

_SETTLE_S = 2.0
_SAMPLE_S = 1.0
_FULL_S = 75.0  # the rolling buffers reach back 60 s: only then is the memory all taken
_FIT_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--minutes", type=float, default=2.0, help="length of the last watch (2); 30 for the full run")
    parser.add_argument(
        "--rounds", type=positive, default=3, help="how often to compare without and with the daemon (3)"
    )
    parser.add_argument("--round-seconds", type=float, default=15.0, help="measured time of each half of a round (15)")
    parser.add_argument("--rate", type=float, default=20.0, metavar="HZ", help="how often the daemon looks (20)")
    parser.add_argument("--audio", action="store_true", help="have it listen as well (needs PulseAudio)")


@dataclass
class _Tally:
    """What was measured so far."""

    without: list[float] = field(default_factory=list)
    watched: list[float] = field(default_factory=list)
    counts: "list[TickCounts]" = field(default_factory=list)
    rss_mb: list[tuple[float, float]] = field(default_factory=list)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; see `_metrics` for what comes out.

    Raises:
        PlatformUnavailable: a program is missing here.
        WorkerFailed: the game or the daemon did not start, ended, or watched nothing.
    """
    from tray_agent.bench.figures import machine, progress
    from tray_agent.bench.watch_scene import DoomScene
    from tray_agent.stage.displays import terminated_like_interrupted

    facts, tally = machine(), _Tally()
    with terminated_like_interrupted(), tempfile.TemporaryDirectory(prefix="ta-watch-") as folder, ExitStack() as stack:
        scene = DoomScene(Path(folder))
        stack.callback(scene.close)
        scene.start()
        for number in range(options.rounds):
            progress(f"watch: round {number + 1} of {options.rounds}: the game alone ...")
            tally.without.append(_alone(scene, options.round_seconds))
            progress(f"  {tally.without[-1]:.1f} frames/s; with the daemon ...")
            is_last = number == options.rounds - 1
            ends = _watched(scene, Path(folder) / "home", options, tally, 60.0 * options.minutes * is_last)
            progress(f"  {tally.watched[-1]:.1f} frames/s")
    return {"bench": "watch", "machine": facts, "metrics": _metrics(tally) | ends}


def _alone(scene: "DoomScene", seconds: float) -> float:
    scene.play(_SETTLE_S)
    return _frame_rate(scene, seconds)


def _frame_rate(scene: "DoomScene", seconds: float) -> float:
    began = time.monotonic()
    frames = scene.play(seconds)
    return frames / (time.monotonic() - began)


def _watched(
    scene: "DoomScene", home: Path, options: argparse.Namespace, tally: _Tally, go_on_s: float
) -> dict[str, float | int]:
    """One half round with the daemon; the last one goes on for longer. Its numbers at the end."""
    from tray_agent.bench.watch_scene import WatchingDaemon

    with WatchingDaemon(scene, home, options.rate, options.audio) as daemon:
        scene.play(_SETTLE_S)
        began, cpu_s = time.monotonic(), daemon.cpu_s()
        tally.watched.append(_frame_rate(scene, options.round_seconds))
        _go_on(scene, daemon, tally, go_on_s)
        cpu_share = (daemon.cpu_s() - cpu_s) / (time.monotonic() - began)
        status = daemon.status()
        tally.counts.append(daemon.counts() - daemon.at_start)
    watch, learn = status["watch"], status["learn"]
    if not watch["ticks"] or not watch["actions"]:
        raise WorkerFailed(f"the daemon watched nothing: {watch}; problems: {status['problems']}")
    return {
        "watched_ticks": watch["ticks"], "watched_actions": watch["actions"], "updates": learn["updates"],
        "updates_per_s": learn["updates_per_s"], "bundles": learn["bundles"], "trainer_crashes": learn["crashes"],
        "daemon_cpu_share": round(cpu_share, 4),
    }  # fmt: skip


def _go_on(scene: "DoomScene", daemon: "WatchingDaemon", tally: _Tally, seconds: float) -> None:
    from tray_agent.bench.figures import progress

    began = told = time.monotonic()
    tally.rss_mb.append((0.0, daemon.rss_mb()))
    while (now := time.monotonic()) - began < seconds:
        scene.play(min(_SAMPLE_S, seconds - (now - began)))
        tally.rss_mb.append((time.monotonic() - began, daemon.rss_mb()))
        if now - told > 60.0:
            told = now
            progress(f"  {(now - began) / 60:.0f} min: daemon {tally.rss_mb[-1][1]:.0f} MB")


def _metrics(tally: _Tally) -> dict[str, float | int]:
    """Flat numbers: frame rates, lost and late frames as shares, memory of the daemon's own process.

    `rss_growth_mb_per_10min` is there only when the watch was long enough to tell it.
    """
    frames = sum(count.frames for count in tally.counts)
    lost = max(sum(count.missed for count in tally.counts), sum(count.lost for count in tally.counts))
    without, watched = (sum(rates) / len(rates) for rates in (tally.without, tally.watched))
    ratios = [b / a for a, b in zip(tally.without, tally.watched, strict=True)]
    found: dict[str, float | int] = {
        "game_fps_ratio": round(watched / without, 4),
        "game_fps_ratio_min": round(min(ratios), 4),
        "game_fps_alone": round(without, 2),
        "game_fps_watched": round(watched, 2),
        "frames": frames,
        "frames_lost": lost,
        "frames_lost_share": round(lost / max(1, frames + lost), 5),
        "frames_late_share": round(sum(count.late for count in tally.counts) / max(1, frames), 5),
        "daemon_rss_mb": round(max(mb for _, mb in tally.rss_mb), 1),
        "rss_span_s": round(tally.rss_mb[-1][0], 1),
    }
    return found | growth(tally.rss_mb)


def growth(rss_mb: list[tuple[float, float]]) -> dict[str, float | int]:
    """Straight line through (seconds, MB), without the first quarter: buffers fill up, allocators come to rest."""
    from tray_agent.bench.figures import slope

    begins_s = max(_FULL_S, rss_mb[-1][0] / 4)
    settled = [(t, mb) for t, mb in rss_mb if t >= begins_s]
    if not settled or settled[-1][0] - settled[0][0] < _FIT_S:
        return {}
    return {"rss_growth_mb_per_10min": round(600.0 * slope(settled), 2)}

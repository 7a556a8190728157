"""`tray-agent demo`: about two minutes, no display needed."""

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.settings import paths
from tray_agent.settings.snapshot import load_settings

_TEXT = """A scripted player plays a real game; the daemon watches and learns meanwhile; then the play hotkey is
pressed and what was learned plays. Nothing outside the demo's own game is looked at or pressed."""


def add_parser(subparsers: Any) -> None:
    """Add the verb `demo`."""
    parser = subparsers.add_parser(
        "demo", help="see the whole loop on a packaged game, with a score", description=_TEXT
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--window", action="store_true", help="show the game live (needs a display)")
    parser.add_argument(
        "--game", default="doom-health", help="a packaged game of `tray-agent games list` (doom-health)"
    )
    parser.add_argument("--watch-seconds", type=float, default=50.0, metavar="S", help="how long it watches (50)")
    parser.add_argument("--episodes", type=int, default=5, metavar="N", help="episodes of agent and references (5)")
    parser.add_argument("--speed", type=float, default=6.0, metavar="X", help="times the game's own speed (6)")
    parser.add_argument("--folder", type=Path, help="where bundle, session and video go")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from tray_agent.demo.loop import Demo, DemoOptions
    from tray_agent.errors import UnknownGame

    profile = load_settings().game(args.game)
    if profile.environment is None:
        raise UnknownGame(f"{args.game} is a window, not a packaged game; the demo needs one with `environment`")
    folder = (args.folder or paths.data_folder() / "demo" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}").absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    console = Console(stderr=True)
    options = DemoOptions(profile, folder, args.watch_seconds, args.episodes, args.speed, window=args.window)
    began = time.monotonic()
    with console.status("starting") as line:
        last_stage = ""

        def tell(stage: str, text: str) -> None:
            nonlocal last_stage
            if stage != last_stage:
                console.print(f"[bold]{time.monotonic() - began:5.0f} s  {stage:8}[/bold] {text}")
                last_stage = stage
            line.update(f"{stage}: {text}")

        result = Demo(options, tell).run()
    summary = _summary(result, args.game, time.monotonic() - began)
    if args.json:
        print(json.dumps(summary))
    else:
        _show(Console(), summary, args.game)
    return ExitCode.OK


def _summary(result: Any, game: str, seconds: float) -> dict[str, Any]:
    refs = result.references
    scores = {"random": refs.random, "constant": refs.constant, "player": refs.player, "agent": result.agent}
    means = {name: round(fmean(values), 2) for name, values in scores.items()}
    kill = {"guard_max_ms": max(result.kill_ms), "observed_ms": result.kill_observed_ms}
    metrics = {
        **{f"score_{name}": value for name, value in means.items()},
        "normalised": round(refs.normalised(fmean(result.agent)), 4),
        "kill_max_ms": max([*result.kill_observed_ms, *result.kill_ms]),
        "first_bundle_s": result.learned.get("first_bundle_s"),
        "watched_ticks": result.watched["ticks"], "watched_seconds": result.watched["seconds"],
        "updates": result.learned["updates"], "seconds": round(seconds, 1),
    }  # fmt: skip
    return {"game": game, "metrics": metrics, "normalised": metrics["normalised"], "scores": scores,
            "constant_keys": refs.constant_keys, "kill": kill, "watched": result.watched,
            "learned": result.learned, "played": result.played, "bundle": result.bundle,
            "session": result.session, "video": result.video}  # fmt: skip


def _show(console: Console, summary: dict[str, Any], game: str) -> None:
    table = Table("who", "mean score", "episodes", title=f"{game}: {len(summary['scores']['agent'])} episodes each")
    names = {"random": "random keys", "constant": f"holding {summary['constant_keys']}", "player": "the player",
             "agent": "the agent"}  # fmt: skip
    for name, label in names.items():
        scores = summary["scores"][name]
        table.add_row(label, f"{fmean(scores):.1f}", "  ".join(f"{s:.0f}" for s in scores))
    console.print(table)
    m = summary["metrics"]
    console.print(f"The agent got [bold]{m['normalised']:.0%}[/bold] of the way from no skill to its player.")
    console.print(f"Watched {m['watched_seconds']:.0f} s of play ({m['watched_ticks']} ticks), learned in "
                  f"{m['updates']} updates; the first policy came after {m['first_bundle_s']} s.")  # fmt: skip
    console.print(f"Kill hotkey to all keys up: {m['kill_max_ms']:.1f} ms at most.")
    for name in ("bundle", "session", "video"):
        console.print(f"{name:8} {summary[name]}", soft_wrap=True)

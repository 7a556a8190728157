"""`tray-agent import PATH... --game G`: other programs' recordings become sessions, so that it learns from them too."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.importing.registry import AUTO, FORMATS, formats
from tray_agent.importing.run import Outcome, Wanted, run_import
from tray_agent.settings import paths
from tray_agent.settings.snapshot import load_settings

_TEXT = """Reads recordings that other programs made of a game and writes them as sessions of it, with its frame size,
rate and controls. The trainer then learns from them as from what you played yourself. Actions that stand for none of
the game's controls are left out and named at the end; --map says what they are."""
_EPILOG = """examples:
  tray-agent import --list-formats
  tray-agent import recordings/ --game minecraft --limit 20
  tray-agent import run.pkl --game my-game --rate 10 --map 0=left --map 1=right
  tray-agent import trials/ --game pong --format atari --map FIRE=space --map UP="""
_MOST_LISTED = 20


def add_parser(subparsers: Any) -> None:
    """Add the verb `import`."""
    parser = subparsers.add_parser(
        "import", help="learn from recordings of other programs",
        description=_TEXT, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders")
    parser.add_argument("--game", metavar="G", help="the game they are recordings of (see `tray-agent games list`)")
    names = [AUTO, *(one.name for one in FORMATS)]
    parser.add_argument("--format", choices=names, default=AUTO, help="what they are; auto (the default) looks")
    parser.add_argument("--list-formats", action="store_true", help="say what can be read, and stop")
    parser.add_argument("--limit", type=_at_least_1, metavar="N", help="stop after N sessions")
    parser.add_argument(
        "--map", action="append", type=_mapping, default=[], metavar="THEIRS=OURS",
        help="their action is this control of ours (left, KeyW, MouseX, up+space for two); nothing after = leaves it "
        "out; repeatable",
    )  # fmt: skip
    untold = "steps a second, for recordings that don't tell; the game's own rate if left out"
    parser.add_argument("--rate", type=_rate, metavar="HZ", help=untold)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _at_least_1(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def _rate(text: str) -> float:
    if not 0 < float(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1000")
    return float(text)


def _mapping(text: str) -> tuple[str, str]:
    theirs, separator, ours = text.rpartition("=")
    if not separator or not theirs:
        raise argparse.ArgumentTypeError(f"{text!r} is not THEIRS=OURS")
    return theirs, ours.strip()


def _run(args: argparse.Namespace) -> int:
    if args.list_formats:
        return _list(args)
    if not args.paths or not args.game:
        lacking = "a file or folder" if not args.paths else "--game"
        print(f"tray-agent import: name {lacking}, or ask for --list-formats", file=sys.stderr)
        return ExitCode.USAGE
    settings = load_settings()
    profile = settings.game(args.game)
    wanted = Wanted(
        formats(args.format), profile, dict(args.map), args.rate, args.limit, settings.app.limits.disk_gb * 1e9,
        settings.app.recording.quality,
    )  # fmt: skip
    root = settings.app.folders.data or paths.data_folder() / "sessions"
    outcome = Outcome()
    console = Console(stderr=True)
    try:
        with console.status("looking") as line:
            run_import(args.paths, wanted, root, outcome, _teller(outcome, profile.rate_hz, line.update))
    finally:  # also after Ctrl-C or an error: what is whole stays, and is told
        _tell_result(outcome, args)
    return ExitCode.OK if outcome.imported else ExitCode.FAILURE


def _teller(outcome: Outcome, rate_hz: float, update: Callable[[str], None]) -> Callable[[str, int], None]:
    def tell(item: str, ticks: int) -> None:
        done = f"{len(outcome.imported)} imported, {len(outcome.skipped)} left out"
        update(escape(f"{done}; {item}: {ticks / rate_hz:.0f} s"))

    return tell


def _list(args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps({"ok": True, "formats": [{"name": one.name, "about": one.about} for one in FORMATS]}))
    else:
        for one in FORMATS:
            print(f"{one.name:<10} {one.about}")
    return ExitCode.OK


def _tell_result(outcome: Outcome, args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(_as_json(outcome, args.game), ensure_ascii=False))
        return
    for item, written in outcome.imported:
        share = written.actions / max(1, written.ticks)
        print(f"{item}: {written.seconds:g} s, something pressed in {share:.0%} of it -> {written.folder}")
    for item, why in outcome.skipped:
        print(f"left out: {item}: {why}")
    for theirs, (count, why) in list(outcome.lost.items())[:_MOST_LISTED]:
        print(f"not used: {theirs} (pressed in {count} steps): {why}")
    if len(outcome.lost) > _MOST_LISTED:
        print(f"not used: {len(outcome.lost) - _MOST_LISTED} more actions (--json names them)")
    print(f"{len(outcome.imported)} imported, {len(outcome.skipped)} left out")


def _as_json(outcome: Outcome, game: str) -> dict[str, Any]:
    return {
        "ok": bool(outcome.imported),
        "game": game,
        "imported": [
            {"item": item, "session": str(w.folder), "ticks": w.ticks, "seconds": w.seconds, "actions": w.actions}
            for item, w in outcome.imported
        ],
        "skipped": [{"item": item, "why": why} for item, why in outcome.skipped],
        "not_used": [{"action": a, "steps": count, "why": why} for a, (count, why) in outcome.lost.items()],
    }

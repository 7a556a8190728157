"""`tray-agent export SESSION... --format F --out FOLDER`: sessions for other programs."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from tray_agent import app
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.exporting.registry import FORMATS
from tray_agent.exporting.run import Exported, run_export
from tray_agent.sessions.selection import find_session
from tray_agent.settings.snapshot import load_settings

_TEXT = """Writes recorded sessions in a format that other programs read, each session an episode. Nothing is sent
anywhere; what you do with the folder is up to you: it shows what was on the screen, and your inputs."""
_EPILOG = """SESSION is a folder, a name, how a name begins, latest, or GAME/latest.

examples:
  tray-agent export latest --format mp4 --out clip
  tray-agent export 20260921T10 20260921T11 --format lerobot --out my-game-dataset"""


def add_parser(subparsers: Any) -> None:
    """Add the verb `export`."""
    formats = "; ".join(f"{one.name}: {one.about}" for one in FORMATS.values())
    parser = subparsers.add_parser(
        "export", help="write sessions for other programs (LeRobot, Minari, MCAP, MP4)",
        description=_TEXT, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("sessions", nargs="+", metavar="SESSION", help="see below")
    parser.add_argument("--format", choices=sorted(FORMATS), required=True, help=formats)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="must not exist yet")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    root = app.folders(load_settings().app).sessions
    folders = list(dict.fromkeys(find_session(root, text) for text in args.sessions))
    form = FORMATS[args.format]
    with Console(stderr=True).status("reading") as line:
        exported = run_export(folders, form, args.out, _teller(len(folders), line.update))
    if args.json:
        print(json.dumps(_as_json(exported, form.name, form.lacks)))
    else:
        _tell_result(exported, form.lacks)
    return ExitCode.OK


def _teller(sessions: int, update: Callable[[str], None]) -> Callable[[int, int], None]:
    def tell(episode: int, ticks: int) -> None:
        if ticks % 50 == 0:
            update(f"session {episode + 1} of {sessions}: {ticks} ticks")

    return tell


def _tell_result(exported: Exported, lacks: tuple[str, ...]) -> None:
    for number, (name, ticks, seconds) in enumerate(exported.episodes):
        print(f"episode {number}: {name}, {ticks} ticks, {seconds:.1f} s")
    for name, why in exported.left_out:
        print(f"left out: {name}: {why}")
    for one in lacks:
        print(f"not in it: {one}")
    counts = f"{len(exported.episodes)} episodes, {exported.ticks} ticks, {exported.bytes / 1e6:.1f} MB"
    print(f"{counts} -> {exported.folder}")


def _as_json(exported: Exported, name: str, lacks: tuple[str, ...]) -> dict[str, Any]:
    return {
        "ok": True,
        "format": name,
        "folder": str(exported.folder.absolute()),
        "episodes": [{"session": n, "ticks": ticks, "seconds": seconds} for n, ticks, seconds in exported.episodes],
        "ticks": exported.ticks,
        "bytes": exported.bytes,
        "left_out": [{"session": n, "why": why} for n, why in exported.left_out],
        "not_in_it": list(lacks),
    }

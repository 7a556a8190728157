"""`tray-agent bench NAME`: one benchmark, its numbers as a table or as one JSON object."""

import argparse
import importlib
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from tray_agent.clients.cli.exit_codes import ExitCode

_BENCHES = {
    "capture": "CPU of one 1080p frame, grabbed and reduced, against a memcpy and against mss + cv2",
    "loop": "picture changes -> policy -> key arrives, on X11, at 20 and 60 Hz",
    "kill": "hotkey, SIGKILL, SIGSTOP -> all keys up, while both cores are busy",
    "watch": "a real game's frame rate with and without watching and learning",
}


def add_parser(subparsers: Any) -> None:
    """Add the verb `bench`."""
    parser = subparsers.add_parser("bench", help="measure this machine: capture, loop, kill, watch")
    names = parser.add_subparsers(dest="bench", required=True, metavar="NAME")
    for name, text in _BENCHES.items():
        one = names.add_parser(name, help=text, description=text)
        one.add_argument("--json", action="store_true", help="print one JSON object with flat `metrics`")
        module = importlib.import_module(f"tray_agent.bench.{name}")
        module.add_arguments(one)
        one.set_defaults(run=_run, module=module)


def _run(args: argparse.Namespace) -> int:
    result = args.module.run(args)
    if args.json:
        print(json.dumps(result))
        return ExitCode.OK
    table = Table("metric", "value", title=f"bench {args.bench}")
    for name, value in result["metrics"].items():
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)
    return ExitCode.OK

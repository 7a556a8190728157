"""`tray-agent pretrain`: makes what new games are begun with, in a process of its own, which holds torch."""

import argparse
import sys
from typing import Any

from tray_agent.clients.cli.train import wait_for
from tray_agent.training.pretraining.options import TEXT, add_arguments, options_of, to_message

_COMMAND = (sys.executable, "-P", "-m", "tray_agent.training.pretraining")


def add_parser(subparsers: Any) -> None:
    """Add the verb `pretrain`."""
    parser = subparsers.add_parser(
        "pretrain", help="make what new games are begun with, of many games", description=TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    as_json = ["--json"] if getattr(args, "json", False) else []
    return wait_for([*_COMMAND, *to_message(options_of(args)), *as_json])

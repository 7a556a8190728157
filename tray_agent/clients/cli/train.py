"""`tray-agent train`: learns from recorded sessions in a process of its own, which holds torch."""

import argparse
import signal
import subprocess
import sys
from typing import Any

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.training.offline.options import add_arguments, options_of, to_message

_COMMAND = (sys.executable, "-P", "-m", "tray_agent.training.offline", "--resolved")


def add_parser(subparsers: Any) -> None:
    """Add the verb `train`."""
    parser = subparsers.add_parser("train", help="learn from recorded sessions, as long as you like")
    add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    options = options_of(args)
    as_json = ["--json"] if getattr(args, "json", False) else []
    return wait_for([*_COMMAND, to_message(options), *as_json])


def wait_for(command: list[str]) -> int:
    """Run a process that learns to its end; its exit code is the verb's."""
    child = subprocess.Popen(command)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the child, too, which ends by itself
    try:
        code = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else ExitCode.FAILURE

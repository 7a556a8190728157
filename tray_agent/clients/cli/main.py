"""`tray-agent`: one parser, one table of verbs. Verbs talk to the daemon's socket, or work on their own."""

import argparse
import logging
import os
import sys
from typing import Any

from tray_agent import __version__
from tray_agent.clients.cli import (
    bench,
    daemon_verbs,
    demo,
    doctor,
    evaluate,
    export_sessions,
    games,
    import_recordings,
    models,
    pretrain,
    sessions,
    train,
)
from tray_agent.clients.cli.exit_codes import ExitCode, exit_code
from tray_agent.errors import TrayAgentError

_DESCRIPTION = """Watches you play a game, learns meanwhile, then plays it your way.

Start it with `tray-agent run`, bring your game to the front, press Ctrl+Alt+W and play.
Ctrl+Alt+P hands the game over; touch anything, or press Ctrl+Alt+K, to take it back."""
_EPILOG = "exit codes: " + ", ".join(f"{int(code)} {code.name.lower().replace('_', ' ')}" for code in ExitCode)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="tray-agent",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tray-agent {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell more on stderr")
    verbs: Any = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for module in (
        daemon_verbs,
        demo,
        doctor,
        games,
        sessions,
        models,
        import_recordings,
        export_sessions,
        train,
        pretrain,
        evaluate,
        bench,
    ):
        module.add_parser(verbs)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; the exit code. Errors go to stderr as one message, never a traceback."""
    try:
        return _run(arguments)
    except BrokenPipeError:
        # whoever read our output (`| head -1`) has enough; the interpreter's own flush at exit must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK


def _run(arguments: list[str] | None) -> int:
    try:
        args = build_parser().parse_args(arguments)
    finally:
        sys.stdout.flush()  # --help and --version
    level = logging.INFO if args.verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except TrayAgentError as error:
        print(f"tray-agent {args.verb}: {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return code

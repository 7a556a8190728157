"""How the `sessions` verbs ask, answer and fail (main thread)."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from tray_agent import app
from tray_agent.clients.cli.exit_codes import ExitCode, exit_code
from tray_agent.errors import TrayAgentError
from tray_agent.settings.snapshot import load_settings

Handler = Callable[[argparse.Namespace], int]


def guarded(handler: Handler, args: argparse.Namespace) -> int:
    """Run a verb; what goes wrong is told as one message, with --json as one object as well."""
    try:
        return handler(args)
    except TrayAgentError as error:
        return fail(args, str(error), exit_code(error))


def fail(args: argparse.Namespace, message: str, code: ExitCode) -> int:
    """Tell what went wrong; the exit code."""
    if args.json:
        print_json({"ok": False, "error": message})
    print(message, file=sys.stderr)
    return code


def print_json(data: dict[str, object]) -> None:
    """One object on one line."""
    print(json.dumps(data, ensure_ascii=False))


def sessions_root() -> Path:
    """Where this user's sessions lie. Raises SettingsError."""
    return app.folders(load_settings().app).sessions


def agreed(args: argparse.Namespace, question: str) -> bool:
    """Whether the person said yes: by --yes, or on the terminal."""
    if args.yes:
        return True
    if args.json or not sys.stdin.isatty():
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}

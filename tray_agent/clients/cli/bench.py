"""`tray-agent bench NAME`: one benchmark, its numbers as a table or as one JSON object."""

import argparse
import importlib
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from tray_agent.clients.cli.exit_codes import ExitCode, exit_code
from tray_agent.errors import PlatformUnavailable

_BENCHES = {
    "capture": "CPU of one 1080p frame, grabbed and reduced, against a memcpy and against mss + cv2",
    "loop": "picture changes -> policy -> key arrives, on X11, at 20 and 60 Hz",
    "kill": "hotkey, SIGKILL, SIGSTOP -> all keys up, while both cores are busy",
    "watch": "a real game's frame rate with and without watching and learning",
    "learning": "samples a second, against the imitation library on the same frames with the same network",
    "sessions": "sessions on disk: size, CPU of recording, random reading, training by two processes, kill -9",
}


class _LateParser(argparse.ArgumentParser):
    """Loads its benchmark only when that one is asked for: other verbs need not wait for what it imports."""

    module = ""
    _loaded: Any = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As usual, after the benchmark has added its options; ends the program where it can't be loaded."""
        if self._loaded is None:
            try:
                self._loaded = importlib.import_module(f"tray_agent.bench.{self.module}")
            except ImportError as error:
                problem = _unavailable(self.module, error)
                self.exit(exit_code(problem), f"{self.prog}: {problem}\n")
            self._loaded.add_arguments(self)
            self.set_defaults(module=self._loaded)
        return super().parse_known_args(args, namespace)


def _unavailable(name: str, error: ImportError) -> PlatformUnavailable:
    return PlatformUnavailable(f"bench {name} can't run here: {error}", "It needs Linux, and Xvfb")


def add_parser(subparsers: Any) -> None:
    """Add the verb `bench`."""
    parser = subparsers.add_parser("bench", help="measure this machine: capture, loop, kill, watch, learning, sessions")
    names = parser.add_subparsers(dest="bench", required=True, metavar="NAME", parser_class=_LateParser)
    for name, text in _BENCHES.items():
        one = names.add_parser(name, help=text, description=text)
        one.module = name
        one.add_argument("--json", action="store_true", help="print one JSON object with flat `metrics`")
        one.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    try:
        result = args.module.run(args)
    except ImportError as error:
        raise _unavailable(args.bench, error) from error
    if args.json:
        print(json.dumps(result))
        return ExitCode.OK
    _show(result)
    return ExitCode.OK


def _show(result: dict[str, Any]) -> None:
    """As a table, with targets where a benchmark knows them; below it what could not be measured, and how it was."""
    console, wanted = Console(), result.get("wanted", {})
    table = Table("metric", "value", *(["wanted"] if wanted else []), title=f"bench {result['bench']}")
    for name, value in result["metrics"].items():
        row = [name, f"{value:.4g}" if isinstance(value, float) else str(value)]
        if wanted:
            row.append(wanted.get(name, "") + ", missed" * (name in result["missed"]))
        table.add_row(*row)
    console.print(table)
    for name, why in result.get("missing", {}).items():
        console.print(f"not measured: {name}: {why}", markup=False, highlight=False)
    for note in result.get("notes", ()):
        console.print(note, markup=False, highlight=False)

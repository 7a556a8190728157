"""`tray-agent doctor`: what works on this machine, how that was tried, and how to mend what doesn't. Main thread."""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tray_agent import __version__, app
from tray_agent.clients.cli import doctor_checks as checks
from tray_agent.clients.cli.doctor_checks import Check, failed, guarded
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.errors import PlatformUnavailable
from tray_agent.settings.app import AppSettings

NEEDED = ("capture", "key recording", "key pressing", "takeover", "hotkeys", "player", "disk", "settings")
"""Without these the program can't do its work on this machine's own desktop."""
_ON_DESKTOP = ("capture", "window in front", "key recording", "key pressing", "takeover", "hotkeys")
_STYLES = {"works": "bold green", "degraded": "bold yellow", "missing": "bold red"}
_SIGNS = {"works": "+", "degraded": "~", "missing": "x"}


def add_parser(subparsers: Any) -> None:
    """Add the verb; the parsed arguments carry `run(args) -> int`."""
    text = "try every backend on this machine; tell what works and how to mend what doesn't"
    parser = subparsers.add_parser("doctor", help=text, description=text)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Try everything. OK when the program can do its work here, else UNAVAILABLE."""
    console = Console(stderr=True)
    results: list[Check] = []
    with console.status("") as status:
        results.extend(all_checks(lambda name: status.update(f"trying {name}")))
    usable = not any(r["state"] == "missing" and r["name"] in NEEDED for r in results)
    if args.json:
        system = {"program": __version__, "python": platform.python_version(), "system": platform.platform()}
        print(json.dumps({"ok": usable, **system, "checks": results}, ensure_ascii=False))
    else:
        _print_table(results, usable)
    return ExitCode.OK if usable else ExitCode.UNAVAILABLE


def all_checks(on_begin: Callable[[str], None]) -> Iterator[Check]:
    """Every check, one after the other (some use the same devices)."""
    on_begin("settings")
    line, settings = checks.check_settings()
    yield line
    yield from _desktop_checks(settings, on_begin)
    single: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("sound", checks.check_sound),
        ("tray", checks.check_tray),
        ("player", checks.check_player),
        ("gpu", checks.check_gpu),
        ("disk", lambda: checks.check_disk(settings)),
    )
    for name, check in single:
        on_begin(name)
        yield guarded(name, check)
    on_begin("pads")
    yield from checks.check_pads()


def _desktop_checks(settings: AppSettings, on_begin: Callable[[str], None]) -> Iterator[Check]:
    try:
        desktop = app.real_desktop(settings)
    except PlatformUnavailable as error:
        yield from (failed(name, error) for name in _ON_DESKTOP)
        return
    on_begin("capture")
    yield guarded("capture", lambda: checks.check_capture(desktop))
    on_begin("window in front")
    yield guarded("window in front", lambda: checks.check_window(desktop))
    several: tuple[tuple[tuple[str, str], Callable[[], list[Check]]], ...] = (
        (("key recording", "key pressing"), lambda: checks.check_keys(desktop)),
        (("takeover", "hotkeys"), lambda: checks.check_guard(desktop, settings)),
    )
    for names, group in several:
        on_begin(" and ".join(names))
        try:
            yield from group()
        except Exception as error:  # noqa: BLE001  # one broken backend must not hide the others
            yield from (failed(name, error) for name in names)


def _print_table(results: list[Check], usable: bool) -> None:
    table = Table(title="Tray Agent on this machine", show_lines=True)
    for column in ("", "what", "tried", "what to do"):
        table.add_column(column, overflow="fold")
    for result in results:
        style = _STYLES[result["state"]]
        state = Text(f"{_SIGNS[result['state']]} {result['state']}", style=style)
        table.add_row(state, Text(result["name"]), Text(result["tried"]), Text(result["remedy"]))
    console = Console(file=sys.stdout)
    console.print(table)
    verdict = "Tray Agent can watch, learn and play on this machine."
    lacking = "It can't play on this desktop as it is: see the red lines. `tray-agent demo` needs no desktop."
    console.print(Text(verdict if usable else lacking, style="bold"))

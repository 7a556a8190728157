"""`tray-agent page`: a session as one HTML file to look at."""

import argparse
import time
import webbrowser
from pathlib import Path
from typing import Any

from rich.console import Console

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.settings import paths

_TEXT = """Makes one HTML file of a session: film and sound, what was pressed, and with --bundle what that policy would
have pressed. It opens in a browser from disk; nothing is loaded from anywhere."""
_KEPT_PAGES = 5
_STAGES = {"policy": "asking the policy", "film": "making the film", "page": "writing the page"}


def add_parser(subparsers: Any) -> None:
    """Add the verb `page`."""
    parser = subparsers.add_parser("page", help="look at a session in a browser", description=_TEXT)
    parser.add_argument("session", type=Path, metavar="SESSION", help="the session's folder")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: one in the cache folder)")
    parser.add_argument("--bundle", type=Path, metavar="B", help="folder of a bundle to compare with")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from tray_agent.page.write import write_page

    session = args.session.absolute()
    out = args.out.absolute() if args.out else _cached(session)
    began = time.monotonic()
    console = Console(stderr=True)
    with console.status("reading") as line:
        size = write_page(session, out, args.bundle, lambda stage, done: line.update(f"{_STAGES[stage]}: {done:.0%}"))
    console.print(f"{size / 1e6:.1f} MB in {time.monotonic() - began:.0f} s")
    print(out)
    if args.open and not webbrowser.open(out.as_uri()):
        console.print("no browser was found; open the file yourself")
    return ExitCode.OK


def _cached(session: Path) -> Path:
    """A page of this session in the cache folder; of the others there only the newest stay."""
    folder = paths.cache_folder() / "pages"
    folder.mkdir(mode=0o700, exist_ok=True)
    out = folder / f"{session.parent.name}-{session.name}.html"
    others = sorted((p for p in folder.glob("*.html") if p != out), key=lambda p: p.stat().st_mtime)
    for old in others[: -(_KEPT_PAGES - 1)]:
        old.unlink(missing_ok=True)
    return out

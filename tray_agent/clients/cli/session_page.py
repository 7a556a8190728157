"""`tray-agent sessions show --html` and `sessions play`: a session as one HTML file to look at (main thread)."""

import argparse
import sys
import time
import webbrowser
from pathlib import Path

from rich.console import Console

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.session_answers import print_json
from tray_agent.settings import paths

_KEPT_PAGES = 5
_STAGES = {"policy": "asking the policy", "film": "making the film", "page": "writing the page"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `show` that are about the page."""
    parser.add_argument(
        "--html", type=Path, nargs="?", const=Path(), metavar="FILE",
        help="make a page to look at instead: film, sound and keys on a time axis; in the cache folder without FILE",
    )  # fmt: skip
    add_bundle(parser)
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """The option for a policy beside the player."""
    parser.add_argument(
        "--bundle", type=Path, metavar="B", help="folder of a bundle; the page shows what it would press"
    )


def is_wanted(args: argparse.Namespace) -> bool:
    """Whether it is a page that was asked for."""
    return args.html is not None or args.bundle is not None or args.open


def make_page(args: argparse.Namespace, session: Path) -> int:
    """Write the page, say where, open it if asked to; the exit code.

    Raises:
        SessionError, BundleError: see `write_page`.
    """
    out = args.html.absolute() if args.html not in {None, Path()} else _cached(session)
    _write(args, session, out)
    if args.open:
        _open(out)
    return ExitCode.OK


def play(args: argparse.Namespace, session: Path) -> int:
    """Write the page into the cache folder and open it; the exit code says whether it was opened.

    Raises:
        SessionError, BundleError: see `write_page`.
    """
    out = _cached(session)
    _write(args, session, out)
    return ExitCode.OK if _open(out) else ExitCode.UNAVAILABLE


def _write(args: argparse.Namespace, session: Path, out: Path) -> None:
    from tray_agent.page.write import write_page

    began = time.monotonic()
    console = Console(stderr=True)
    with console.status("reading") as line:
        size = write_page(session, out, args.bundle, lambda stage, done: line.update(f"{_STAGES[stage]}: {done:.0%}"))
    console.print(f"{size / 1e6:.1f} MB in {time.monotonic() - began:.0f} s")
    if args.json:
        print_json({"ok": True, "page": str(out), "bytes": size})
    else:
        print(out)


def _open(page: Path) -> bool:
    if webbrowser.open(page.as_uri()):
        return True
    print("no browser was found; open the file yourself", file=sys.stderr)
    return False


def _cached(session: Path) -> Path:
    """A page of this session in the cache folder; of the others there only the newest stay."""
    folder = paths.cache_folder() / "pages"
    folder.mkdir(mode=0o700, exist_ok=True)
    out = folder / f"{session.parent.name}-{session.name}.html"
    others = sorted((p for p in folder.glob("*.html") if p != out), key=lambda p: p.stat().st_mtime)
    for old in others[: -(_KEPT_PAGES - 1)]:
        old.unlink(missing_ok=True)
    return out

"""`tray-agent models ...`: list, show, compare, rollback, share, import, export. Needs no daemon; main thread."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tray_agent import app
from tray_agent.clients.cli import model_tables as tables
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.errors import BundleError, SessionError
from tray_agent.policy.bundle import Manifest, load_bundle, make_current
from tray_agent.policy.runs import find_run, list_runs, roll_back
from tray_agent.policy.share import Received, keep, receive, share
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.settings.snapshot import Settings, load_settings

Handler = Callable[[argparse.Namespace, Settings], int]
_WHICH = "a folder, GAME (the one in use), GAME/RUN, or the beginning of RUN"


def add_parser(subparsers: Any) -> None:
    """Add the verb `models`; the parsed arguments carry `run(args) -> int`."""
    models = subparsers.add_parser("models", help="list, compare, take back, share, import and export what was learned")
    verbs = models.add_subparsers(dest="models_verb", required=True, metavar="VERB")
    listing = _verb(verbs, "list", _list, "show the bundles of all games")
    listing.add_argument("game", nargs="?", default="", metavar="GAME", help="of this game only")
    showing = _verb(verbs, "show", _show, "tell what a bundle says about itself")
    showing.add_argument("bundle", metavar="BUNDLE", help=_WHICH)
    comparing = _verb(verbs, "compare", _compare, "let two bundles decide on the same recorded ticks",
                      "tray-agent models compare doom doom/20261121T1")  # fmt: skip
    comparing.add_argument("a", metavar="A", help=_WHICH)
    comparing.add_argument("b", metavar="B", help="the same")
    comparing.add_argument("--session", type=Path, action="append", metavar="FOLDER",
                           help="recorded play to compare on; the game's newest if left out; repeatable")  # fmt: skip
    back = _verb(verbs, "rollback", _rollback, "put an earlier bundle in use", "tray-agent models rollback doom")
    back.add_argument("game", metavar="GAME")
    back.add_argument(
        "bundle", nargs="?", default="", metavar="RUN", help="or its beginning; the one before if left out"
    )
    _add_sharing(verbs)


def _add_sharing(verbs: Any) -> None:
    sharing = _verb(verbs, "share", _share, "write a bundle as one zip for somebody else",
                    "tray-agent models share doom --out doom.zip --preview")  # fmt: skip
    sharing.add_argument("bundle", metavar="BUNDLE", help=_WHICH)
    sharing.add_argument("--out", type=Path, required=True, metavar="FILE.zip")
    sharing.add_argument("--preview", action="store_true",
                         help="add a clip of your newest session: it shows your game's window")  # fmt: skip
    sharing.add_argument("--score", type=Path, metavar="FILE", help="a cell of `evaluate`, or what its --json printed")
    sharing.add_argument("--sign", type=Path, metavar="KEY", help="ed25519 private key, PEM")
    taking = _verb(verbs, "import", _import, "check a shared zip and store what is in it",
                   "tray-agent models import doom.zip --use")  # fmt: skip
    taking.add_argument("zip", type=Path, metavar="FILE.zip")
    taking.add_argument("--game", default="", help="which of your games it is for; as the zip says if left out")
    taking.add_argument("--trust", type=Path, metavar="PUBKEY", help="refuse it unless the owner of this key signed it")
    taking.add_argument("--use", action="store_true", help="also put it in use")
    taking.add_argument("--yes", action="store_true", help="do not ask")
    giving = _verb(verbs, "export", _export, "write a bundle's graph and manifest for other programs",
                   "tray-agent models export doom --format onnx --out doom-onnx")  # fmt: skip
    giving.add_argument("bundle", metavar="BUNDLE", help=_WHICH)
    giving.add_argument("--format", choices=("onnx", "tflite"), default="onnx", help="onnx if left out")
    giving.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="it must not exist")


def _verb(verbs: Any, name: str, handler: Handler, summary: str, example: str = "") -> argparse.ArgumentParser:
    epilog = f"example: {example}" if example else None
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=summary, description=summary, epilog=epilog)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=lambda args: handler(args, load_settings()))
    return parser


def _tell(args: argparse.Namespace, data: dict[str, Any], show: Callable[[], None]) -> int:
    if args.json:
        print(json.dumps(data, ensure_ascii=False))
    else:
        show()
    return ExitCode.OK


def _models(settings: Settings) -> Path:
    return app.folders(settings.app).models


def _list(args: argparse.Namespace, settings: Settings) -> int:
    runs = list_runs(_models(settings), args.game)
    rows = [tables.row(run) for run in runs]
    return _tell(args, {"models": str(_models(settings)), "bundles": rows}, lambda: tables.show_list(rows))


def _show(args: argparse.Namespace, settings: Settings) -> int:
    folder = find_run(_models(settings), args.bundle)
    manifest = load_bundle(folder).manifest
    return _tell(args, {"folder": str(folder), **manifest.to_json()}, lambda: tables.show_manifest(folder, manifest))


def _compare(args: argparse.Namespace, settings: Settings) -> int:
    from tray_agent.evaluation.compare_bundles import compare

    a, b = (load_bundle(find_run(_models(settings), words)) for words in (args.a, args.b))
    sessions = args.session or [_newest_session(settings, a.manifest)]
    found = compare(a, b, sessions)
    result = {"bundles": {"a": str(a.folder), "b": str(b.folder)}, "sessions": [str(s) for s in sessions], **found}
    return _tell(args, result, lambda: tables.show_comparison(result))


def _fitting_sessions(settings: Settings, manifest: Manifest) -> list[Path]:
    sessions = list_sessions(app.folders(settings.app).sessions, manifest.game).sessions
    return [listed.folder for listed in sessions if listed.info.spec.digest == manifest.spec.digest]


def _newest_session(settings: Settings, manifest: Manifest) -> Path:
    fitting = _fitting_sessions(settings, manifest)
    if not fitting:
        raise SessionError(
            f"there is no recorded session of {manifest.game} for this bundle's profile. Watch some play"
        )
    return fitting[-1]


def _rollback(args: argparse.Namespace, settings: Settings) -> int:
    was, bundle = roll_back(_models(settings), args.game, args.bundle, settings.games.get(args.game))
    result = {"game": args.game, "was": was.name if was else None, "is": bundle.folder.name}

    def show() -> None:
        print(f"{args.game}: was {result['was'] or 'none'}, is {result['is']}")
        print(
            "A running daemon takes it at once. Learning goes on from where it was: its next bundle replaces this one."
        )

    return _tell(args, result, show)


def _share(args: argparse.Namespace, settings: Settings) -> int:
    from tray_agent.evaluation.score_file import measured_score
    from tray_agent.sessions.preview import preview

    bundle = load_bundle(find_run(_models(settings), args.bundle))
    score = measured_score(args.score, bundle.manifest.game) if args.score else None
    clip = preview(_newest_session(settings, bundle.manifest)) if args.preview else b""
    sizes = share(bundle, args.out, score=score, preview=clip, key=args.sign)
    result = {"out": str(args.out), "bundle": str(bundle.folder), "signed": args.sign is not None, "bytes": sizes}

    def show() -> None:
        signed = "signed" if args.sign else "not signed: nobody can tell who made it (--sign)"
        print(f"{args.out}: {', '.join(f'{name} {size:,} bytes' for name, size in sizes.items())}; {signed}")

    return _tell(args, result, show)


def _export(args: argparse.Namespace, settings: Settings) -> int:
    from tray_agent.policy.export import export_onnx, export_tflite, sentences

    bundle = load_bundle(find_run(_models(settings), args.bundle))
    if args.format == "onnx":
        made = export_onnx(bundle, args.out)
    else:
        sessions = _fitting_sessions(settings, bundle.manifest)
        made = export_tflite(bundle, args.out, sessions[-1] if sessions else None)
    result = {"out": str(args.out), "format": args.format, "bundle": str(bundle.folder), **made}

    def show() -> None:
        print(f"{args.out}: {', '.join(f'{name} {size:,} bytes' for name, size in made['bytes'].items())}")
        for sentence in sentences(made) if args.format == "tflite" else ():
            print(sentence)

    return _tell(args, result, show)


def _import(args: argparse.Namespace, settings: Settings) -> int:
    received = receive(args.zip, settings.games, args.game, args.trust)
    tables.show_received(received)
    if not args.yes:
        _ask(received)
    models = _models(settings)
    folder = keep(received, models)
    if args.use:
        make_current(folder)
    name = f"{folder.parent.name} {folder.name}"
    result = {"folder": str(folder), "in_use": args.use, "signature": received.signature}
    hint = "It is in use now." if args.use else f"Not in use yet: `tray-agent models rollback {name}` puts it in use."
    return _tell(args, result, lambda: print(f"Stored in {folder}. {hint}"))


def _ask(received: Received) -> None:
    """Raises BundleError unless a person at the terminal says yes."""
    if not sys.stdin.isatty():
        raise BundleError("nobody is at a terminal to agree to this; say --yes. Nothing was stored")
    print(f"Store it as a bundle of {received.manifest.game}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise BundleError("you did not agree. Nothing was stored")

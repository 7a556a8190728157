"""`tray-agent games ...`: list, check, add, which, schema. Works without a daemon; runs on the main thread."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tray_agent.clients.cli import new_game
from tray_agent.clients.cli.exit_codes import ExitCode, exit_code
from tray_agent.clients.cli.front_window import open_probe, pick
from tray_agent.core.events import WindowInfo
from tray_agent.errors import TrayAgentError
from tray_agent.runtime.atomic_file import write_atomic
from tray_agent.settings.app import AppSettings
from tray_agent.settings.games import SHIPPED, GameProfile, GamesFile
from tray_agent.settings.load import Problem, check, parse
from tray_agent.settings.match import match
from tray_agent.settings.schema import APP_SCHEMA, GAMES_SCHEMA, schemas
from tray_agent.settings.snapshot import Files, load_games, load_settings

Handler = Callable[[argparse.Namespace], int]


def add_parser(subparsers: Any) -> None:
    """Add the verb `games`; the parsed arguments carry `run(args) -> int`."""
    games = subparsers.add_parser("games", help="list, check and add the games the agent knows")
    verbs = games.add_subparsers(dest="games_verb", required=True, metavar="VERB")
    _verb(verbs, "list", _list, "show every game, and where the files are")
    checking = _verb(verbs, "check", _check, "tell what is wrong with the configuration: file:line:column and remedy")
    checking.add_argument("file", nargs="?", type=Path, help="one file; all that count if left out")
    adding = "tray-agent games add my-game --pick --keys left,right,space"
    _add_arguments(_verb(verbs, "add", _add, "write a new game into your games.yaml", adding))
    which = _verb(verbs, "which", _which, "tell which game the window in front is")
    which.add_argument(
        "--after", type=_seconds, default=0.0, metavar="S", help="look in S seconds: time to switch to it"
    )
    schema = _verb(verbs, "schema", _schema, "print the JSON Schema of games.yaml")
    schema.add_argument("--app", action="store_true", help="of tray_agent.yaml instead")
    schema.add_argument("--write", type=Path, metavar="FOLDER", help="write both schemas there instead")


def _verb(verbs: Any, name: str, handler: Handler, summary: str, example: str = "") -> argparse.ArgumentParser:
    epilog = f"example: {example}" if example else None
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=summary, description=summary, epilog=epilog)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=lambda args: _guarded(handler, args))
    return parser


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a-z, 0-9, - and _")
    parser.add_argument("--pick", action="store_true", help="click on the game's window to fill in process and title")
    parser.add_argument("--process", help="name of the program; * stands for anything")
    parser.add_argument("--title", help="regular expression found in the window's title")
    parser.add_argument("--environment", help="a packaged game instead of a window")
    parser.add_argument("--vector", type=int, help="id of the game; the next free one if left out")
    parser.add_argument("--keys", type=_key_list, help="comma-separated, for example left,right,space")
    parser.add_argument("--mouse", action="store_true", help="the game uses mouse movement and the left button")
    parser.add_argument("--region", type=_region, help="left,top,width,height in the window; all of it if left out")
    parser.add_argument("--rate", type=float, help="decisions a second")
    parser.add_argument("--audio", action="store_true", help="sound matters")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 60:
        raise argparse.ArgumentTypeError("0 to 60")
    return value


def _key_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _region(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError("four numbers: left,top,width,height")
    return numbers


def _guarded(handler: Handler, args: argparse.Namespace) -> int:
    try:
        return handler(args)
    except TrayAgentError as error:
        return _fail(args, str(error), exit_code(error))


def _print_json(data: dict[str, object]) -> None:
    print(json.dumps(data, ensure_ascii=False))


def _list(args: argparse.Namespace) -> int:
    files = Files.standard()
    games = load_settings(files).games
    if args.json:
        rows = [_as_json(profile) for profile in games.values()]
        _print_json({"ok": True, "games": rows, "yours": str(files.user_games), "shipped": str(files.shipped_games)})
        return ExitCode.OK
    for profile in games.values():
        controls = ", ".join(profile.controls.names)
        print(f"{profile.name:<18} {_where(profile):<34} {profile.rate_hz:>5g} Hz  {controls}")
    none_yet = "" if files.user_games.exists() else " (none yet)"
    print(f"\nShipped: {files.shipped_games}\nYours:   {files.user_games}{none_yet}")
    return ExitCode.OK


def _where(profile: GameProfile) -> str:
    if profile.match is None:
        return f"package: {profile.environment}"
    return " ".join(part for part in (profile.match.process, profile.match.title) if part)


def _as_json(profile: GameProfile) -> dict[str, object]:
    return {
        **profile.model_dump(mode="json", by_alias=True),
        "controls": list(profile.controls.names),
        "vector8": profile.vector8,
    }


def _check(args: argparse.Namespace) -> int:
    files = Files.standard()
    paths = [args.file] if args.file else [path for path in files.all() if path.exists()]
    problems = [problem for path in paths for problem in _problems(path, files)]
    notes = [] if problems or args.file else _notes(files)
    if args.json:
        rows = [problem.to_json() for problem in problems]
        _print_json({"ok": not problems, "files": [str(p) for p in paths], "problems": rows, "notes": notes})
    else:
        print("\n".join([*map(str, problems), *notes]) or f"No mistakes in {', '.join(map(str, paths))}.")
    return ExitCode.BAD_CONFIG if problems else ExitCode.OK


def _problems(path: Path, files: Files) -> list[Problem]:
    if _is_app_file(path):
        return check(path, AppSettings)[1]
    shipped = path.exists() and path.samefile(files.shipped_games)
    context = {} if shipped else {SHIPPED: load_games(files.shipped_games, files.shipped_games)}
    return check(path, GamesFile, context)[1]


def _is_app_file(path: Path) -> bool:
    """By its name, and failing that by what stands in it."""
    if path.name in ("games.yaml", "tray_agent.yaml"):
        return path.name == "tray_agent.yaml"
    try:
        with path.open("rb") as stream:
            found = parse(stream.read(1 << 20), str(path)).data
    except OSError:
        return False
    return "games" not in found and bool(found.keys() & AppSettings.model_fields.keys())


def _notes(files: Files) -> list[str]:
    """What is allowed but may surprise."""
    settings = load_settings(files)
    return [
        f"note: {name}: the keys of the {hotkey} hotkey are all controls of this game, so playing may press it."
        for name, profile in settings.games.items()
        for hotkey in settings.app.hotkeys.within(profile.controls)
    ]


def _add(args: argparse.Namespace) -> int:
    files = Files.standard()
    shipped = load_games(files.shipped_games, files.shipped_games)
    target = files.user_games.resolve()  # a link stays a link
    own = new_game.own_games(target, shipped)
    if args.name in own:
        return _fail(args, f"{target} has a game {args.name!r} already. Edit it there.", ExitCode.REFUSED)
    window = _pick() if args.pick else None
    vector = new_game.next_id(own) if args.vector is None else args.vector
    text = new_game.profile_text(args, window, vector)
    try:
        schema = files.shipped_games.parent / "schema" / GAMES_SCHEMA
        write_atomic(target, new_game.appended(target, args.name, text, shipped, schema))
    except OSError as error:
        reason = error.strerror or str(error)
        return _fail(args, f"{target}: can't be written: {reason}. Nothing was changed.", ExitCode.FAILURE)
    if args.json:
        _print_json({"ok": True, "name": args.name, "file": str(target), "added": text})
    else:
        print(f"Added to {target}:\n\n{text}\nLook through it, above all the keys. A running daemon knows it already.")
    return ExitCode.OK


def _fail(args: argparse.Namespace, message: str, code: ExitCode) -> int:
    if args.json:
        _print_json({"ok": False, "error": message})
    print(message, file=sys.stderr)
    return code


def _pick() -> WindowInfo:
    with open_probe() as probe:
        other = probe.active()
        print("Bring the game's window to the front: click on it.", file=sys.stderr, flush=True)
        return pick(probe, other)


def _which(args: argparse.Namespace) -> int:
    games = load_settings().games
    with open_probe() as probe:
        time.sleep(args.after)  # the user asked for this pause
        window = probe.active()
    found = match(window, games.values()) if window else None
    if args.json:
        seen = {"process": window.process, "title": window.title, "rect": list(window.rect)} if window else None
        _print_json({"ok": found is not None, "game": found.name if found else None, "window": seen})
    elif window is None:
        print("No window is in front.")
    else:
        answer = found.name if found else "No game. 'tray-agent games add NAME --pick' adds one."
        print(f"{answer}\nprocess: {window.process or '(unknown)'}\ntitle:   {window.title}\nrect:    {window.rect}")
    return ExitCode.OK if found else ExitCode.FAILURE


def _schema(args: argparse.Namespace) -> int:
    texts = schemas()
    if args.write is None:
        print(texts[APP_SCHEMA if args.app else GAMES_SCHEMA], end="")
        return ExitCode.OK
    try:
        args.write.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_atomic(args.write / name, text)
    except OSError as error:
        return _fail(args, f"{args.write}: can't be written: {error.strerror or error}.", ExitCode.FAILURE)
    if args.json:
        _print_json({"ok": True, "files": [str(args.write / name) for name in texts]})
    return ExitCode.OK

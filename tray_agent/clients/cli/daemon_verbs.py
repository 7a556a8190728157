"""`run`, and the verbs that talk to a running daemon: watch, play, stop, status, quit; and `release-all`."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tray_agent import app
from tray_agent.clients.cli import dry_run, region_pick
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.daemon.control import request
from tray_agent.errors import PlatformUnavailable
from tray_agent.settings.snapshot import load_settings


def add_parser(subparsers: Any) -> None:
    """Add the verbs; the parsed arguments carry `run(args) -> int`."""
    run = subparsers.add_parser("run", help="start the daemon: tray icon, hotkeys, watching, learning, playing")
    run.add_argument("--game", default="", help="care for this game only; else the window in front decides")
    run.add_argument("--output", choices=("keys", "log"), default="keys",
                     help="log: press nothing, write what would be pressed to a JSONL file")  # fmt: skip
    run.add_argument("--no-tray", action="store_true", help="no icon")
    run.add_argument("--env-socket", type=Path, help="a packaged game that runs already (see tray_agent.platforms.env)")
    run.add_argument("--env-speed", type=float, default=1.0, help="how fast that game runs")
    run.set_defaults(run=_run)
    for name, text in (
        ("watch", "begin watching and learning (again: end it)"),
        ("play", "hand the game to the agent"),
        ("stop", "end playing and watching"),
        ("quit", "end the daemon"),
        ("status", "tell what it is doing"),
    ):
        verb = subparsers.add_parser(name, help=text, description=text)
        verb.add_argument("--json", action="store_true", help="print one JSON object")
        if name in {"watch", "play"}:
            verb.add_argument("--wait", type=float, default=15.0, metavar="S",
                              help="time to bring the game to the front, from this terminal (default 15)")  # fmt: skip
        verb.set_defaults(run=_ask)
        if name == "play":
            _add_play(verb)
        if name == "watch":
            region_pick.add_pick(verb, "it is written into games.yaml, so that the agent looks there when it plays")
            verb.set_defaults(run=_watch)
    _add_record(subparsers)
    release = subparsers.add_parser(
        "release-all", help="let go of every key that was left pressed; works with the daemon dead"
    )
    release.add_argument("--json", action="store_true", help="print one JSON object")
    release.set_defaults(run=_release_all)


def _add_record(subparsers: Any) -> None:
    text = "watch a game without learning meanwhile; `stop` ends it"
    record = subparsers.add_parser("record", help=text, description=text)
    record.add_argument("game", metavar="GAME", help="must be, or come, to the front")
    region_pick.add_pick(record, "for this recording only, unless it is kept")
    record.add_argument("--keep", action="store_true",
                        help="write what was picked into games.yaml: the agent always looks there")  # fmt: skip
    record.add_argument("--minutes", type=float, metavar="M", help="end it after M minutes")
    record.add_argument("--json", action="store_true", help="print one JSON object")
    record.add_argument("--wait", type=float, default=15.0, metavar="S",
                        help="time to bring the game to the front, from this terminal (default 15)")  # fmt: skip
    record.set_defaults(run=_record)


def _add_play(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--output", choices=("log", "keys", "pad"),
                      help="play only if nothing else is used. log: nothing is pressed at all (the daemon was started "
                      "with --output log), and it tells where it writes what would be; keys: keyboard and mouse; pad: "
                      "a gamepad. Left out: whatever the game's controls are")  # fmt: skip
    dry_run.add_arguments(verb)
    verb.set_defaults(run=_play)


def _play(args: argparse.Namespace) -> int:
    if args.from_session is not None:
        return dry_run.run(args)
    if args.bundle is not None or args.video is not None:
        print("tray-agent play: --bundle and --video belong to --from-session", file=sys.stderr)
        return ExitCode.USAGE
    code = _ask(args, f"play_{args.output}" if args.output else "")
    if code == ExitCode.OK and args.output == "log":
        print(f"nothing is pressed; what would be goes to {app.would_press()}", file=sys.stderr)
    return code


def _run(args: argparse.Namespace) -> int:
    options = app.RunOptions(args.game, args.env_socket, args.env_speed, args.output, not args.no_tray)
    app.run_daemon(options, lambda text: print(text, file=sys.stderr, flush=True))
    return ExitCode.OK


def _watch(args: argparse.Namespace) -> int:
    if args.pick:
        request(app.socket_path(), {"op": "status"})  # without a daemon nothing is picked in vain
        if region_pick.picked(load_settings().games.values(), keep=True) is None:
            return ExitCode.REFUSED
    return _ask(args)


def _ask(args: argparse.Namespace, operation: str = "") -> int:
    if args.verb in {"watch", "play"}:
        needed = "game_in_front" if args.verb == "play" else "game"
        _wait_for_game(lambda status: bool(status[needed]), args.wait)
    return _tell(args, request(app.socket_path(), {"op": operation or args.verb}))


def _record(args: argparse.Namespace) -> int:
    if args.keep and not args.pick:
        print("tray-agent record: --keep belongs to --pick", file=sys.stderr)
        return ExitCode.USAGE
    profile = load_settings().game(args.game)
    wanted: dict[str, Any] = {"op": "record", "game": args.game, "minutes": args.minutes}
    if args.pick:
        request(app.socket_path(), {"op": "status"})  # without a daemon nothing is picked in vain
        if (rect := region_pick.picked([profile], args.keep)) is None:
            return ExitCode.REFUSED
        wanted["region"] = rect
    _wait_for_game(lambda status: bool(status["game"] == args.game), args.wait)
    return _tell(args, request(app.socket_path(), wanted))


def _tell(args: argparse.Namespace, answer: dict[str, Any]) -> int:
    if args.json:
        print(json.dumps(answer.get("status", answer)))
    elif answer["ok"]:
        print(_describe(answer["status"]) if "status" in answer else f"{args.verb}: ok")
    if answer["ok"]:
        return ExitCode.OK
    print(f"tray-agent {args.verb}: {answer['error']}", file=sys.stderr)
    return ExitCode.REFUSED if answer.get("code") == "refused" else ExitCode.FAILURE


def _wait_for_game(is_there: Callable[[dict[str, Any]], bool], wait_s: float) -> None:
    """Typed in a terminal, a verb finds the terminal in front: give the person time to switch to the game."""
    end, told = time.monotonic() + wait_s, False
    while not is_there(request(app.socket_path(), {"op": "status"})["status"]) and time.monotonic() < end:
        if not told:
            print(f"bring the game to the front ({wait_s:.0f} s) ...", file=sys.stderr)
            told = True
        time.sleep(0.25)


def _describe(status: dict[str, Any]) -> str:
    watch, learn, play, ticks = status["watch"], status["learn"], status["play"], status["ticks"]
    lines = [
        f"{status['mode']}: {status['detail'] or 'nothing to tell'}",
        f"game     {status['game'] or 'none'}{' (in front)' if status['game_in_front'] else ''}",
    ]
    if watch["ticks"]:
        lines.append(
            f"watched  {watch['seconds']:.0f} s, {watch['ticks']} ticks, something pressed in {watch['actions']}"
        )
    if learn["updates"]:
        loss = f", loss {learn['loss']:.3f}" if learn["loss"] is not None else ""
        lines.append(f"learned  {learn['state']}: {learn['ticks']} ticks of {learn['sessions']} sessions, "
                     f"{learn['updates']} updates ({learn['updates_per_s']:.0f}/s){loss}")  # fmt: skip
    if learn["held_out"]:
        measures = ", ".join(f"{k.replace('_', ' ')} {v:.3g}" for k, v in learn["held_out"].items())
        lines.append(f"held out {measures}")
    if status["bundle"]:
        readiness = status["bundle"]["readiness"]
        if readiness:
            lines.append(f"ready?   {readiness['state']}: {readiness['why']}")
        lines.append(f"policy   {Path(status['bundle']['folder']).name}")
    if learn["held_back"]:
        lines.append(f"not used {learn['held_back']}")
    lines += [f"skipped  {one}" for one in learn["skipped"]]
    if play["decisions"]:
        lines.append(f"played   {play['decisions']} decisions, {play['late']} late, "
                     f"p99 {play['inference_p99_ms']:.1f} ms")  # fmt: skip
    if status["last_stop"]:
        stop = status["last_stop"]
        lines.append(f"stopped  {stop['kind']}: {stop['reason']}, all keys up after {stop['latency_ms']:.1f} ms")
    if ticks["frames"]:
        lines.append(f"frames   {ticks['frames']} taken, {ticks['late_frames']} late, {ticks['lost_frames']} lost")
    lines += _deleted(status["disk"])
    lines.append(f"memory   {status['memory_mb']:.0f} MB (daemon)")
    return "\n".join([*lines, *(f"problem  {p}" for p in status["problems"])])


def _deleted(disk: dict[str, Any]) -> list[str]:
    gone = disk["deleted"]
    last = ", ".join(gone[-3:])
    return [f"deleted  {len(gone)} old sessions to stay below {disk['limit_gb']:g} GB, last {last}"] if gone else []


def _release_all(args: argparse.Namespace) -> int:
    backend = "win32" if sys.platform == "win32" else "x11"
    if backend == "x11" and not os.environ.get("DISPLAY"):
        raise PlatformUnavailable("there is no display (DISPLAY is not set)", "Set DISPLAY to the desktop's, often :0")
    released = app.release_all(backend, {})
    if args.json:
        print(json.dumps({"released": released}))
    else:
        print(f"let go of {', '.join(released)}" if released else "no key was left pressed")
    return ExitCode.OK

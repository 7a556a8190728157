"""`tray-agent sessions ...`: the verbs, list and show. Works without a daemon; runs on the main thread."""

import argparse
from pathlib import Path
from typing import Any

from tray_agent.clients.cli import export_sessions, session_edits, session_forget, session_page
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.plain_numbers import duration, position, size_text, time_text
from tray_agent.clients.cli.session_answers import Handler, guarded, print_json, sessions_root
from tray_agent.sessions.details import Details, details
from tray_agent.sessions.overview import Overview, Overviews, overviews
from tray_agent.sessions.selection import find_session

_WHICH = "SESSION is a folder, a name, how a name begins, latest, or GAME/latest."


def add_parser(subparsers: Any) -> None:
    """Add the verb `sessions`; the parsed arguments carry `run(args) -> int`."""
    sessions = subparsers.add_parser(
        "sessions", help="what was recorded: list, show, play, export, keep, delete, trim, repair, forget"
    )
    verbs = sessions.add_subparsers(dest="sessions_verb", required=True, metavar="VERB")
    _verb(verbs, "list", _list, "show every session").add_argument(
        "game", nargs="?", metavar="GAME", help="of this game only"
    )
    showing = _verb(verbs, "show", _show, "tell all about one session, or make a page of it to look at")
    _session(showing)
    session_page.add_arguments(showing)
    playing = _verb(verbs, "play", _play, "open a session in the browser: film, sound, and what was pressed")
    _session(playing)
    session_page.add_bundle(playing)
    export_sessions.add_parser(verbs)
    _add_edits(verbs)
    forget = _verb(verbs, "forget", session_forget.forget_last, "delete whatever was recorded last, kept or not")
    forget.add_argument("--last", type=duration, required=True, metavar="TIME", help="30s, 10m, 2h or 1d")
    forget.add_argument("--game", help="of this game only")
    _add_yes(forget)


def _add_edits(verbs: Any) -> None:
    delete = _verb(verbs, "delete", session_edits.delete, "delete sessions")
    _session(delete, nargs="+")
    delete.add_argument("--force", action="store_true", help="kept ones as well")
    _add_yes(delete)
    keeping = _verb(verbs, "keep", session_edits.keep_one, "never let this session be cleaned up")
    _session(keeping)
    keeping.add_argument("--off", action="store_true", help="take the mark away")
    keeping.add_argument("--note", default="", metavar="TEXT", help="what it is kept for")
    kept = "keep a stretch of a session, under a new name; where pictures are not lossless it may begin 2 s later"
    trim = _verb(verbs, "trim", session_edits.trim_one, kept, "tray-agent sessions trim latest --from 1:30 --to 4:00")
    _session(trim)
    for name, dest in (("--from", "first"), ("--to", "last")):
        trim.add_argument(name, dest=dest, type=position, metavar="TIME", help="90, 1:30 or 0:01:30 since its start")
    repair = _verb(verbs, "repair", session_edits.repair_all, "note the end of sessions that a crash left without one")
    which = repair.add_mutually_exclusive_group()
    which.add_argument("session", nargs="*", default=[], metavar="SESSION", help="see below; all if left out")
    which.add_argument("--all", action="store_true", help="every one that needs it; as without SESSION")


def _verb(verbs: Any, name: str, handler: Handler, summary: str, example: str = "") -> argparse.ArgumentParser:
    epilog = _WHICH + (f" Example: {example}" if example else "")
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=summary, description=summary, epilog=epilog)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=lambda args: guarded(handler, args))
    return parser


def _session(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument("session", nargs=nargs, metavar="SESSION", help="see below")


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _list(args: argparse.Namespace) -> int:
    root = sessions_root()
    found = overviews(root, args.game)
    total = {
        "sessions": len(found.sessions),
        "seconds": round(sum(one.seconds for one in found.sessions), 2),
        "ticks": sum(one.ticks for one in found.sessions),
        "bytes": sum(one.bytes for one in found.sessions),
    }
    if args.json:
        rows = [one.to_json() for one in found.sessions]
        damaged = {str(folder): why for folder, why in found.damaged.items()}
        print_json({"ok": True, "folder": str(root), "sessions": rows, "total": total, "damaged": damaged})
    else:
        _print_list(found, total, root)
    return ExitCode.OK


def _print_list(found: Overviews, total: dict[str, Any], root: Path) -> None:
    for one in found.sessions:
        print(_row(one))
    for folder, why in found.damaged.items():
        print(f"damaged: {folder.parent.name}/{folder.name}: {why}. Try: tray-agent sessions repair {folder.name}")
    if not found.sessions and not found.damaged:
        print("Nothing was recorded yet.")
    print(f"\n{total['sessions']} sessions, {time_text(total['seconds'])}, {total['ticks']} ticks, "
          f"{size_text(total['bytes'])} in {root}")  # fmt: skip


def _row(one: Overview) -> str:
    notes = [
        "" if one.state == "whole" else str(one.state),
        f"kept{': ' + one.note if one.note else ''}" if one.kept else "",
        f"{one.takeovers} takeovers" if one.takeovers else "",
        f"by {one.recorder}" if one.recorder else "",
    ]
    return (f"{one.folder.name}  {one.started:%Y-%m-%d %H:%M}  {one.info.game:<18} {time_text(one.seconds):>8} "
            f"{one.ticks:>8} ticks {size_text(one.bytes):>9}  {', '.join(filter(None, notes))}").rstrip()  # fmt: skip


def _show(args: argparse.Namespace) -> int:
    folder = find_session(sessions_root(), args.session)
    if session_page.is_wanted(args):
        return session_page.make_page(args, folder)
    found = details(folder)
    if args.json:
        print_json({"ok": True, **found.to_json()})
    else:
        print("\n".join(_described(found)))
    return ExitCode.OK


def _play(args: argparse.Namespace) -> int:
    return session_page.play(args, find_session(sessions_root(), args.session))


def _described(found: Details) -> list[str]:
    one, info = found.overview, found.overview.info
    came = f"{found.achieved_hz:g}" if found.achieved_hz is not None else "unknown"
    flags = ", ".join(f"{name.lower().replace('_', ' ')} {n}" for name, n in found.by_flag.items() if n)
    lines = [
        f"session   {one.folder.name}" + (f" ({one.state})" if one.state != "whole" else ""),
        f"folder    {one.folder}",
        f"game      {info.game}",
        f"started   {one.started:%Y-%m-%d %H:%M:%S}",
        f"length    {time_text(one.seconds)}, paused {found.pauses} times for {time_text(found.paused_s)}",
        f"ticks     {found.ticks} ({flags})" if flags else f"ticks     {found.ticks}",
        f"rate      {found.rate_hz:g} a second asked, {came} achieved, {found.dropped} dropped",
        f"picture   {info.spec.frame_width}x{info.spec.frame_height}, quality {info.quality}",
        _sound_line(found),
        f"events    {found.events}",
        f"made by   {one.recorder or 'unknown'} ({', '.join(f'{k} {v}' for k, v in info.tools.items())})",
    ]
    if one.kept:
        lines.append(f"kept      {one.note}".rstrip())
    if found.takeovers_s:
        lines.append(f"takeovers {', '.join(map(time_text, found.takeovers_s))}")
    if info.closed and info.closed.get("repaired"):
        lines.append(f"repaired  {info.closed.get('lost_s', 0)} s were lost")
    lines.append("controls  ticks   times")
    lines += [f"  {use.name:<14} {use.ticks:>6} {use.presses:>7}" for use in found.controls]
    lines.append(f"files     {size_text(one.bytes)}")
    return lines + [f"  {name:<14} {size_text(size):>9}" for name, size in found.files.items()]


def _sound_line(found: Details) -> str:
    if found.sound_s is None:
        return "sound     not recorded"
    return f"sound     {time_text(found.sound_s)}, " + (f"loudest {found.loudest:.2f}" if found.loudest else "silent")

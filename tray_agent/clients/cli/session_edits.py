"""`sessions keep | delete | trim | repair`: verbs that change sessions (main thread, no daemon needed)."""

import argparse
from pathlib import Path
from typing import Any

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.plain_numbers import size_text, time_text
from tray_agent.clients.cli.session_answers import agreed, fail, print_json, sessions_root
from tray_agent.errors import SessionError
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.keep import is_kept, keep, unkeep
from tray_agent.sessions.lock import is_written
from tray_agent.sessions.overview import overview
from tray_agent.sessions.removal import remove, sweep
from tray_agent.sessions.repair import Repaired, repair
from tray_agent.sessions.selection import find_session
from tray_agent.sessions.trim import trim


def keep_one(args: argparse.Namespace) -> int:
    """`sessions keep`."""
    if args.off and args.note:
        raise SessionError("--off takes the mark away with its note; leave --note out")
    folder = find_session(sessions_root(), args.session)
    if args.off:
        unkeep(folder)
    else:
        keep(folder, args.note)
    if args.json:
        print_json({"ok": True, "session": str(folder), "kept": is_kept(folder)})
    else:
        print(f"{folder.name} is {'kept' if is_kept(folder) else 'not kept any more'}")
    return ExitCode.OK


def delete(args: argparse.Namespace) -> int:
    """`sessions delete`."""
    root = sessions_root()
    folders = list(dict.fromkeys(find_session(root, text) for text in args.session))
    refused = [f"{folder.name} {why}" for folder in folders if (why := _why_not_deleted(folder, args.force))]
    if refused:
        return fail(args, "; ".join(refused) + ". Nothing was deleted.", ExitCode.REFUSED)
    if not agreed(args, f"Delete {', '.join(folder.name for folder in folders)}?"):
        return fail(args, "Nothing was deleted. Say --yes to do it without being asked.", ExitCode.REFUSED)
    for folder in folders:
        remove(folder)
    sweep(root)
    if args.json:
        print_json({"ok": True, "deleted": [str(folder) for folder in folders]})
    else:
        print(f"deleted {', '.join(folder.name for folder in folders)}")
    return ExitCode.OK


def _why_not_deleted(folder: Path, force: bool) -> str:
    if is_written(folder):
        return "is being written: stop watching first (tray-agent stop)"
    return "is marked keep (--force deletes it all the same)" if is_kept(folder) and not force else ""


def trim_one(args: argparse.Namespace) -> int:
    """`sessions trim`."""
    old = find_session(sessions_root(), args.session)
    if args.first is None and args.last is None:
        raise SessionError("say what to keep: --from, --to, or both, for example --from 0:10 --to 12:00")
    if args.first is not None and args.last is not None and args.last <= args.first:
        raise SessionError("--to must be later than --from")
    before = overview(old)
    after = overview(trim(old, args.first, args.last))
    if args.json:
        print_json({"ok": True, "session": after.to_json(), "replaces": before.folder.name})
    else:
        print(f"{after.folder.name} takes the place of {before.folder.name}: {time_text(after.seconds)} of "
              f"{time_text(before.seconds)}, {size_text(after.bytes)} of {size_text(before.bytes)}")  # fmt: skip
    return ExitCode.OK


def repair_all(args: argparse.Namespace) -> int:
    """`sessions repair`; without names, or with --all, every session that needs it and is not being written."""
    root = sessions_root()
    folders = [find_session(root, text) for text in args.session] or _without_end(root)
    sweep(root)
    done: list[Repaired] = []
    failed: dict[Path, str] = {}
    for folder in folders:
        try:
            done.append(repair(folder))
        except SessionError as error:
            failed[folder] = str(error)
    if args.json:
        problems = {str(folder): why for folder, why in failed.items()}
        print_json({"ok": not failed, "sessions": [_as_json(one) for one in done], "problems": problems})
    else:
        print("\n".join([*map(_told, done), *failed.values()]) or "Every session has an orderly end.")
    return ExitCode.FAILURE if failed else ExitCode.OK


def _without_end(root: Path) -> list[Path]:
    listing = list_sessions(root)
    ended_badly = [one.folder for one in listing.sessions if one.info.closed is None and not is_written(one.folder)]
    return [*ended_badly, *listing.damaged]


def _as_json(one: Repaired) -> dict[str, Any]:
    return {
        "name": one.folder.name, "folder": str(one.folder), "repaired": one.done, "ticks": one.ticks,
        "lost_ticks": one.lost_ticks, "lost_s": one.lost_s, "cut": one.cut, "rebuilt_from": one.rebuilt_from,
    }  # fmt: skip


def _told(one: Repaired) -> str:
    if not one.done:
        return f"{one.folder.name}: nothing to repair"
    cut = ", ".join(f"{name} by {size} bytes" for name, size in one.cut.items())
    text = f"{one.folder.name}: repaired, {one.ticks} ticks left, {one.lost_s:g} s lost"
    text += f" (cut {cut})" if cut else ""
    return text + (f"; metadata rebuilt like those of {one.rebuilt_from}" if one.rebuilt_from else "")

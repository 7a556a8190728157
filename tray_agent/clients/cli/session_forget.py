"""`sessions forget`: take back what was recorded last, and say what else may know of it (main thread)."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tray_agent import app
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.plain_numbers import time_text
from tray_agent.clients.cli.session_answers import agreed, fail, print_json, sessions_root
from tray_agent.daemon.control import request
from tray_agent.daemon.daemon import Folders
from tray_agent.errors import DaemonUnreachable
from tray_agent.policy.bundle import bundles_since
from tray_agent.sessions.forget import ForgetPlan, forget, plan_forgetting
from tray_agent.sessions.removal import sweep
from tray_agent.settings.snapshot import load_settings

_HOW = ("Files were deleted, not overwritten: until the disk uses their place again, special tools may find parts of "
        "them. Backups and copies are not touched.")  # fmt: skip


def forget_last(args: argparse.Namespace) -> int:
    """`sessions forget`."""
    root = sessions_root()
    since_ns = int((datetime.now(UTC).timestamp() - args.last) * 1e9)
    sweep(root)  # what a kill left half done may hold play as well
    plan = plan_forgetting(root, since_ns, args.game)
    if plan.written:
        names = ", ".join(folder.name for folder in plan.written)
        hint = f"{names} is being written. Stop watching first: tray-agent stop. Nothing was forgotten."
        return fail(args, hint, ExitCode.REFUSED)
    if (plan.delete or plan.cut) and not agreed(args, _question(plan)):
        return fail(args, "Nothing was forgotten. Say --yes to do it without being asked.", ExitCode.REFUSED)
    new = forget(root, plan)
    knowing = _what_still_knows(app.folders(load_settings().app), plan.games, since_ns)
    if args.json:
        print_json({
            "ok": True, "deleted": [str(folder) for folder in plan.delete],
            "cut": {str(old): str(now) for (old, _), now in zip(plan.cut, new, strict=True)},
            "overwritten": False, "still_known_to": knowing,
        })  # fmt: skip
    else:
        print("\n".join(_told(plan, new, knowing, args.last)))
    return ExitCode.OK


def _question(plan: ForgetPlan) -> str:
    parts = [
        f"delete {', '.join(folder.name for folder in plan.delete)}" if plan.delete else "",
        f"cut the end of {', '.join(folder.name for folder, _ in plan.cut)}" if plan.cut else "",
    ]
    text = " and ".join(filter(None, parts))
    return f"{text[0].upper()}{text[1:]}?"


def _told(plan: ForgetPlan, new: list[Path], knowing: dict[str, Any], last_s: float) -> list[str]:
    if not plan.delete and not plan.cut:
        return [f"Nothing was recorded in the last {time_text(last_s)}."]
    lines = [f"deleted  {folder}" for folder in plan.delete]
    lines += [f"cut      {old.name}, now {now.name}" for (old, _), now in zip(plan.cut, new, strict=True)]
    lines.append(_HOW)
    learned = [*knowing["bundles"], *knowing["checkpoints"]]
    if learned:
        lines += ["Learned since then, so perhaps from it (delete what you do not want; watching makes new ones):"]
        lines += [f"  {path}" for path in learned]
    if knowing["daemon"]:
        lines.append("The daemon runs and may still hold it in memory. End it with: tray-agent quit")
    return lines


def _what_still_knows(folders: Folders, games: tuple[str, ...], since_ns: int) -> dict[str, Any]:
    """Bundles and checkpoints made since, and whether a daemon runs, whose memory holds the last play."""
    since = datetime.fromtimestamp(since_ns / 1e9, UTC)
    bundles = [str(folder) for game in games for folder in bundles_since(folders.models, game, since)]
    files = [f for f in folders.checkpoints.rglob("*") if f.is_file() and f.stat().st_mtime_ns >= since_ns]
    return {
        "bundles": bundles,
        "checkpoints": [str(f) for f in sorted(files)] if games else [],
        "daemon": bool(games) and _daemon_runs(folders.socket),
    }


def _daemon_runs(socket: Path) -> bool:
    try:
        return bool(request(socket, {"op": "status"})["ok"])
    except DaemonUnreachable:
        return False

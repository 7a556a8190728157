"""`tray-agent play --from-session SESSION`: what a bundle would press on a recording. Nothing is pressed."""

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from tray_agent import app
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.core.controls import FloatVector
from tray_agent.core.sample import TickSample
from tray_agent.daemon.learning import decoding_of
from tray_agent.dry_run.run import dry_run
from tray_agent.dry_run.summary import summary
from tray_agent.errors import BundleError, UnknownGame
from tray_agent.policy.bundle import Bundle, current_folder, load_bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.selection import find_session
from tray_agent.settings.snapshot import Settings, load_settings

_SEED = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what belongs to a dry run to the verb `play`."""
    group = parser.add_argument_group("a dry run on a recording; needs no daemon and no game")
    group.add_argument("--from-session", metavar="SESSION",
                       help="a folder, a name, how a name begins, latest, or GAME/latest")  # fmt: skip
    group.add_argument("--bundle", type=Path, metavar="FOLDER", help="the game's current one if left out")
    group.add_argument("--video", type=Path, metavar="FILE.mp4", help="the recording with both hands below it")


def run(args: argparse.Namespace) -> int:
    """Run it and tell.

    Raises:
        TrayAgentError: session or bundle can't be used, or the video not written.
    """
    from tray_agent.dry_run.overlay import OverlayVideo  # draws: no other verb needs that

    settings = load_settings()
    folders = app.folders(settings.app)
    reader = SessionReader(find_session(folders.sessions, args.from_session))
    bundle = load_bundle(args.bundle or _current(folders.models, reader.info.game), reader.spec)
    policy = OnnxPolicy(bundle, _decoding(settings, reader.info.game), _SEED)
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(Console(stderr=True).status("deciding"))
        video = stack.enter_context(OverlayVideo(args.video, reader)) if args.video and len(reader) else None

        def see(row: int, sample: TickSample, would: FloatVector) -> None:
            if video is not None:
                video.add(row, sample, would)
            if row % 50 == 0:
                line.update(f"tick {row} of {len(reader)}")

        found = summary(dry_run(reader, policy, see))
    if args.json:
        print(json.dumps(_names(reader, bundle, args.video) | found))
    else:
        _tell(_names(reader, bundle, args.video), found)
    return ExitCode.OK


def _current(models: Path, game: str) -> Path:
    folder = current_folder(models, game)
    if folder is None:
        raise BundleError(f"{game} has no bundle in {models} yet. Watch it being played, or name one by --bundle")
    return folder


def _decoding(settings: Settings, game: str) -> Decoding:
    """The game's own, so that this presses what the daemon would; a recording may outlive its game's profile."""
    try:
        return decoding_of(settings.game(game))
    except UnknownGame:
        return Decoding()


def _names(reader: SessionReader, bundle: Bundle, video: Path | None) -> dict[str, Any]:
    names = {"ok": True, "session": str(reader.folder), "game": reader.info.game, "bundle": str(bundle.folder)}
    return names | ({"video": str(video)} if video is not None else {})


def _tell(names: dict[str, Any], found: dict[str, Any]) -> None:
    took, seconds = found["decision_ms"], found["seconds"]
    print(f"session  {Path(names['session']).name} ({names['game']}): {found['ticks']} ticks, {seconds:.1f} s")
    print(f"bundle   {Path(names['bundle']).name}; nothing is pressed")
    print(f"decides  in {took['median']:g} ms (median), p99 {took['p99']:g} ms, at most {took['max']:g} ms")
    if found["compared"] < found["ticks"]:
        print(f"compared {found['compared']} ticks; in the others an agent held the controls")
    if found["buttons"]:
        print("\nbalanced accuracy, F1 of changes    bundle       copying last  nothing held   held by player, bundle")
        print(_row("all buttons", found["buttons"]).rstrip())
        for name, one in found["controls"].items():
            print(f"{_row(name, one)}   {one['player_held']:.0%}, {one['agent_held']:.0%}")
    for name, one in found["moves"].items():
        print(f"{name:<14} distance from the player's, mean: bundle {one['policy']:g}, copying last "
              f"{one['copy_last']:g}, nothing {one['released']:g}")  # fmt: skip
    for one in found["differ_most"]:
        share, names_of = f"{one['share']:.0%}", ", ".join(one["controls"])
        print(f"differs  at {one['from_s']:.1f} s, in {share} of a second's ticks: {names_of}")
    if "video" in names:
        print(f"video    {names['video']}")


def _row(name: str, measured: dict[str, Any]) -> str:
    pairs = [measured[whose] for whose in ("policy", "copy_last", "released")]
    cells = "".join(f"{one['balanced_accuracy']:.2f}, {one['change_f1']:.2f}".ljust(14) for one in pairs)
    return f"{name:<36}{cells}"

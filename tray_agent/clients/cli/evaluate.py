"""`tray-agent evaluate GAME...`: how well it plays what it watched, beside one held key and other learners."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.cell import ADVERSARIAL, ENCODERS, LEARNED_VECTORS, OURS, OURS_START, Cell, references
from tray_agent.evaluation.corrections import CORRECTIONS, WATCHING
from tray_agent.evaluation.live.names import SNAKE, is_live, profile_name
from tray_agent.evaluation.report import show, summary
from tray_agent.evaluation.runner import NOT_TAKEN, run_missing
from tray_agent.evaluation.shared_chain import SHARED, Chain, run_chain
from tray_agent.evaluation.shared_report import chain_summary, show_chain
from tray_agent.evaluation.start_file import GAME, start_of
from tray_agent.evaluation.store import CellStore, Kept
from tray_agent.evaluation.suites import PEERS, SUITES
from tray_agent.platforms.env.catalog import scripted_player
from tray_agent.runtime.atomic_file import write_atomic
from tray_agent.settings import paths
from tray_agent.settings.snapshot import load_settings
from tray_agent.stage.displays import terminated_like_interrupted

_TEXT = """A scripted player plays each game for some minutes of game time (nothing waits for real time); the product
watches, learns for some seconds, and plays fresh episodes. Scores are normalised: 0 is the better of random play and
the best single held key, 1 is the player. A whole table takes hours: every cell (game, seed, policy) is kept as it
finishes, so that Ctrl-C loses one cell at most and --resume goes on.

x11:GAME and x11-snake are another matter: a real window on an X server of its own, in real time, before the real
daemon, the player's keys pressed on a keyboard. Minutes are real ones, and neither peers nor corrections are run."""
_EPILOG = """examples:
  tray-agent evaluate doom-basic --minutes 3 --train-seconds 30 --episodes 5
  tray-agent evaluate --suite ten --peers --seeds 3 --resume --json
  tray-agent evaluate breakout --policy ours --policy imitation
  tray-agent evaluate pong --policy ours --policy ours-start --start starts/{game}.safetensors
  tray-agent evaluate doom-center --policy ours --policy ours-adversarial-sessions --corrections
  tray-agent evaluate pong --faults --policy ours --policy ours-reaction
  tray-agent evaluate pong breakout airstriker --shared --train-seconds 40 --resume
  tray-agent evaluate x11:doom-basic x11-snake --minutes 10 --episodes 20"""


def add_parser(subparsers: Any) -> None:
    """Add the verb `evaluate`."""
    parser = subparsers.add_parser(
        "evaluate", help="measure how well it plays what it watched", description=_TEXT, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    which = "packaged games with a scripted player; x11:GAME: one in a window, in real time; x11-snake"
    parser.add_argument("games", nargs="*", metavar="GAME", help=which)
    parser.add_argument("--suite", choices=sorted(SUITES), help="a named list of games instead")
    parser.add_argument("--minutes", type=_positive(float), default=10.0, metavar="M", help="game time watched (10)")
    parser.add_argument("--train-seconds", type=_positive(float), default=120.0, metavar="S", help="of learning (120)")
    parser.add_argument("--seeds", type=_positive(int), default=1, metavar="N", help="recordings and learnings (1)")
    parser.add_argument("--episodes", type=_positive(int), default=20, metavar="E", help="fresh episodes a seed (20)")
    parser.add_argument("--threads", type=_positive(int), default=2, metavar="T", help="cores for learning (2)")
    whose = (*ENCODERS, *PEERS)
    parser.add_argument("--policy", action="append", choices=whose, help="whose policy (ours); repeatable")
    begin = f"what {OURS_START} begins with (see tray-agent pretrain --help); {GAME} stands for the game"
    parser.add_argument("--start", metavar="FILE", help=begin)
    parser.add_argument("--peers", action="store_true", help="ours and all peers")
    parser.add_argument("--faults", action="store_true", help="the player is late, errs and pauses as people do")
    again = "as many minutes again, once under a player's corrections, once plainly watched"
    parser.add_argument("--corrections", action="store_true", help=again)
    once = "also learn all games one after another with one shared model, and see what is forgotten (seed 0)"
    parser.add_argument("--shared", action="store_true", help=once)
    named = "with --shared: the games' vectors are as in games.yaml (given), or only begin so and are learned as well"
    parser.add_argument("--vectors", choices=("given", "learned"), default="given", help=named)
    parser.add_argument("--resume", action="store_true", help="keep finished cells; without it they are taken anew")
    parser.add_argument("--only-kept", action="store_true", help="show what is finished, run nothing")
    parser.add_argument("--folder", type=Path, help="where cells and recordings are kept")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the table and the learning curves there")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    parse.__name__ = "number"  # argparse names it in its message
    return parse


def _refusal(games: list[str], args: argparse.Namespace) -> str:
    """What is wrong with what was asked for, and the remedy; "" if nothing is."""
    if not games:
        return "name a game, or a --suite"
    if (OURS_START in (args.policy or ())) != (args.start is not None):
        return f"--policy {OURS_START} and --start FILE go together"
    if args.vectors == "learned" and not args.shared:
        return "vectors are learned only with one model for all games: add --shared"
    return ""


def _run(args: argparse.Namespace) -> int:
    games = list(dict.fromkeys([*args.games, *SUITES.get(args.suite, ())]))
    if refusal := _refusal(games, args):
        print(f"tray-agent evaluate: {refusal}", file=sys.stderr)
        return ExitCode.USAGE
    cells = _cells(games, args)
    folder = (args.folder or paths.data_folder() / "evaluation").absolute()
    store = CellStore(folder / "cells")
    console = Console(stderr=True)
    failed: dict[str, str] = {}
    if args.only_kept:
        kept = {cell.key: found for cell in cells if (found := store.get(cell)) is not None}
    else:
        # killed politely it ends as with Ctrl-C: what it started would go on for minutes
        with terminated_like_interrupted(), console.status("starting") as line:
            done = {"cells": ""}

            def tell(cell: Cell, text: str, share: float) -> None:
                if done["cells"] != cell.key:
                    done["cells"] = cell.key
                    console.print(f"cell {1 + cells.index(cell)} of {len(cells)}: {cell.label}")
                if text.startswith(NOT_TAKEN):
                    console.print(f"[red]{text}")
                line.update(f"{cell.label}: {text} ({share:.0%})")

            kept, failed = run_missing(cells, store, folder / "recordings", tell, fresh=not args.resume)
    result = summary(cells, kept) | {"failed": failed, "folder": str(folder)}
    if args.shared and not args.only_kept:
        result |= _shared([game for game in games if not is_live(game)], kept, folder, args)
    _tell_result(result, args)
    if args.plots is not None:
        from tray_agent.evaluation.plots import draw

        for path in draw(result, kept, args.plots):
            console.print(f"drawn: {path}")
    return ExitCode.FAILURE if failed or "failed" in result.get("shared", {}) else ExitCode.OK


def _cells(games: list[str], args: argparse.Namespace) -> list[Cell]:
    settings = load_settings()
    for game in games:
        settings.game(profile_name(game))  # a mistyped name is told before hours of work
        if game != SNAKE:
            scripted_player(profile_name(game))
    wanted = args.policy or ([OURS, *PEERS] if args.peers else [OURS])
    policies = {game: [one for one in wanted if one == OURS or not is_live(game)] for game in games}
    corrected = [game for game in games if args.corrections and not is_live(game)]
    starts = {game: start_of(args.start, game) for game in games if OURS_START in policies[game]}
    return [references(game, args.episodes, args.faults) for game in games] + [
        Cell(
            game, policy, seed, args.minutes, args.train_seconds, args.episodes, args.threads, args.faults, more,
            *(starts[game] if policy == OURS_START else ()),
        )
        for seed in range(args.seeds)
        for game in games
        for policy in policies[game]
        for more in (("", CORRECTIONS, WATCHING) if game in corrected and policy in {OURS, *ADVERSARIAL} else ("",))
    ]  # fmt: skip


def _shared(games: list[str], kept: dict[str, Kept], folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The chain over these games: {"shared": its summary}, with what failed added to it."""
    policy = LEARNED_VECTORS if args.vectors == "learned" else SHARED
    chain = Chain(tuple(
        Cell(game, policy, 0, args.minutes, args.train_seconds, args.episodes, args.threads, args.faults)
        for game in games
    ))  # fmt: skip
    console = Console(stderr=True)
    with terminated_like_interrupted(), console.status("starting") as line:
        told = {"label": ""}

        def tell(label: str, text: str, share: float) -> None:
            if told["label"] != label:
                told["label"] = label
                console.print(label)
            line.update(f"{label}: {text} ({share:.0%})")

        try:
            steps = run_chain(chain, folder / SHARED, folder / "recordings", tell, fresh=not args.resume)
        except TrayAgentError as error:
            return {"shared": {"failed": str(error)}}
    result = chain_summary(chain, steps, kept)
    write_atomic(folder / SHARED / f"{chain.key}.json", json.dumps(result, indent=1) + "\n")
    return {"shared": result}


def _tell_result(result: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(result))
        return
    console = Console()
    caption = (
        f"{args.minutes:g} min watched, {args.train_seconds:g} s learning on {args.threads} cores, {args.seeds} seeds "
        f"x {args.episodes} episodes; in brackets 95 % intervals. Commits: {', '.join(result['commits'])}. "
        f"{'; '.join(result['machines'])}"
    )
    show(console, result, caption)
    if "games" in result.get("shared", {}):
        show_chain(console, result["shared"])
    elif "shared" in result:
        console.print(f"[red]not taken:[/red] one model for all games: {result['shared']['failed']}")
    for label, why in result["failed"].items():
        console.print(f"[red]not taken:[/red] {label}: {why}")

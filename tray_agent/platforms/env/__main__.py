"""`python -m tray_agent.platforms.env GAME --socket PATH`: a packaged game in real time, as a process of its own.

Prints one JSON line on stdout when clients can connect. Ends on SIGTERM, SIGINT, a client's "quit", a closed window,
and with `--until-stdin-closes` when its parent is gone, however that died.
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.errors import CaptureLost, TrayAgentError
from tray_agent.platforms.env.catalog import catalog, entry, scripted_player
from tray_agent.platforms.env.game import GameInfo
from tray_agent.platforms.env.live_window import LiveWindow
from tray_agent.platforms.env.players.player import ConstantPlayer, Player, RandomPlayer
from tray_agent.platforms.env.realtime import RealTimeGame


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop; exit code 0, or 1 with a message on stderr."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    try:
        return _run(options)
    except (TrayAgentError, OSError, ValueError) as error:
        print(f"{options.game}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tray_agent.platforms.env", description=__doc__)
    parser.add_argument("game", help=", ".join(sorted(catalog())))
    parser.add_argument("--socket", type=Path, required=True, help="where clients connect")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--speed", type=_positive, default=1.0, help="1 is the game's own speed")
    pace.add_argument("--rate-hz", type=_positive, help="the speed that makes so many ticks a second")
    parser.add_argument("--player", default="scripted", help="scripted, random, none, or constant:ArrowLeft+Space")
    parser.add_argument("--advise", action="store_true", help="the player tells clients what to press, instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--window", action="store_true", help="show the live picture")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the parent")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1000:
        raise argparse.ArgumentTypeError("must be above 0 and below 1000")
    return value


def _run(options: argparse.Namespace) -> int:
    game = entry(options.game).make_game()
    info = game.info
    speed = options.rate_hz / info.rate_hz if options.rate_hz else options.speed
    player = _player(options.game, options.player, info.controls)
    running = RealTimeGame(game, options.socket, speed, player, options.seed, options.advise)
    window = _window(info, running) if options.window else None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.request_stop())
    try:
        running.start()
        if window:
            window.start()
        if options.until_stdin_closes:
            threading.Thread(target=_watch_stdin, args=(running,), name="env-stdin", daemon=True).start()
        print(json.dumps(_ready(info, speed)), flush=True)
        running.run(window.show if window else None)
    except CaptureLost:
        if not running.stopping:  # a signal to the whole group ends the engine before us
            raise
    finally:
        running.close()
        if window:
            window.close()
    return 0


def _window(info: GameInfo, running: RealTimeGame) -> LiveWindow:
    return LiveWindow(f"{info.name} - Tray Agent", info.width, info.height, running.press, running.request_stop)


def _ready(info: GameInfo, speed: float) -> dict[str, object]:
    return {
        "ready": info.name,
        "pid": os.getpid(),
        "rate_hz": info.rate_hz * speed,
        "width": info.width,
        "height": info.height,
        "sound": info.sound_rate_hz > 0,
        "buttons": info.controls.buttons,
        "axes": info.controls.axes,
    }


def _player(game: str, wish: str, controls: Controls) -> Player | None:
    if wish == "none":
        return None
    if wish == "random":
        return RandomPlayer(controls)
    if wish.startswith("constant:"):
        held = frozenset(filter(None, wish.removeprefix("constant:").split("+")))
        if unknown := held - set(controls.buttons):
            raise ValueError(f"--player {wish}: {game} has no {', '.join(sorted(unknown))}")
        return ConstantPlayer(Command(held))
    if wish != "scripted":
        raise ValueError(f"--player {wish}: must be scripted, random, none or constant:KEYS")
    return scripted_player(game)


def _watch_stdin(running: RealTimeGame) -> None:
    # the pipe's end closes with the parent, kill -9 included
    while os.read(0, 4096):
        pass
    running.request_stop()


if __name__ == "__main__":
    sys.exit(main())

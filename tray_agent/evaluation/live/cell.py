"""A live cell: references at the keyboard, or the product from watching to playing.

Ours is the product's own way, in real time: the daemon watches and its trainer learns beside it while the player plays
for `cell.minutes` real minutes; the player stops, watching pauses by itself, and the trainer goes on for
`cell.train_s`. Then the daemon is ended and started again, so that all episodes are played by the one bundle it left
and no trainer takes time from them. Nothing of this can be repeated exactly.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.cell import REFERENCES, SEED_STRIDE, Cell
from tray_agent.evaluation.live.names import SNAKE
from tray_agent.evaluation.live.plain import LivePlayer, RandomTaps, constants
from tray_agent.evaluation.live.play import LivePlay, LiveScene
from tray_agent.evaluation.live.scene import SnakeScene
from tray_agent.evaluation.live.snake import SnakePlayer
from tray_agent.evaluation.live.window import WindowScene
from tray_agent.evaluation.recording import Tell
from tray_agent.evaluation.references import take_references
from tray_agent.settings.games import GameProfile
from tray_agent.stage.daemon import StagedDaemon
from tray_agent.stage.displays import terminated_like_interrupted
from tray_agent.training.job import BATCH

_MOST_REFERENCES = 10
_TRIED = 3
"""Episodes every constant gets; the best two then get all."""
_FINALISTS = 2
_START_S = 60.0
_POLL_S = 0.2


def take_live(cell: Cell, profile: GameProfile, scratch: Path, tell: Tell) -> dict[str, Any]:
    """Scores of the references, or of ours.

    Raises:
        PlatformUnavailable: a package or program is missing.
        WorkerFailed: a part did not start or has ended, or the daemon refused to play.
        TrayAgentError: nothing was learned, or the cell asks for what a live game has not.
    """
    if cell.faults or cell.more:
        raise TrayAgentError(f"{cell.game} is played by a player without faults and corrections: leave those out")
    name, first_seed = profile.name, cell.seed * SEED_STRIDE
    with terminated_like_interrupted(), contextlib.ExitStack() as stack:
        scene = SnakeScene(scratch) if cell.game == SNAKE else WindowScene(scratch, name, first_seed)
        stack.callback(scene.close)
        scene.start()
        if cell.policy != REFERENCES:
            return _ours(cell, scene, scratch / "home", tell)
        if isinstance(scene, SnakeScene):
            return _references(cell, profile, scene, tell)
        live = _scores_of_player(cell, scene, tell)
        return take_references(replace(cell, game=name), tell) | {"player": live}  # those without skill need no window


def _references(cell: Cell, profile: GameProfile, scene: SnakeScene, tell: Tell) -> dict[str, Any]:
    """Random, the best constant and the player; `cell.episodes` each, ten at most."""
    keys, episodes = profile.controls.buttons, min(cell.episodes, _MOST_REFERENCES)
    plain = constants(keys)

    def scores(who: str, players: list[LivePlayer]) -> list[float]:
        found = []
        for i, player in enumerate(players):
            tell(f"{who} plays", i / len(players))
            found.append(scene.play(player))
        return found

    tries = {who: scores(who, min(_TRIED, episodes) * [one]) for who, one in plain.items()}
    order = sorted(tries, key=lambda who: -fmean(tries[who]))[:_FINALISTS]
    finals = {who: scores(who, episodes * [plain[who]]) for who in order}
    best = max(order, key=lambda who: fmean(finals[who]))
    return {
        "random": scores("random", [RandomTaps(keys, SEED_STRIDE * cell.seed + i) for i in range(episodes)]),
        "constant": finals[best], "constant_keys": best,
        "player": scores("the player", [SnakePlayer() for _ in range(episodes)]),
    }  # fmt: skip


def _scores_of_player(cell: Cell, scene: LiveScene, tell: Tell) -> list[float]:
    scores = []
    for i in range(min(cell.episodes, _MOST_REFERENCES)):
        tell("the player plays", i / cell.episodes)
        scores.append(scene.watch_player())
    return scores


def _ours(cell: Cell, scene: LiveScene, home: Path, tell: Tell) -> dict[str, Any]:
    with _running_daemon(cell, scene, home) as daemon:
        began = time.monotonic()
        watched = _watch(cell, scene, daemon, tell)
        learn = _learn_on(cell, daemon, tell)
        seconds = time.monotonic() - began
        daemon.ask("watch", on=False)
    with _running_daemon(cell, scene, home) as daemon:
        status = daemon.wait(lambda now: bool(now["bundle"]), _START_S, _pause)
        play = LivePlay(scene, daemon)
        for i in range(cell.episodes):
            tell(f"playing, {i} of {cell.episodes} episodes", i / cell.episodes)
            play.episode()
        played = play.result()
    return {
        **played, "watched_scores": watched,
        "curve": [{"seconds": round(seconds, 2), "scores": play.scores}],
        "learned": {
            "updates": learn["updates"], "seconds": round(seconds, 1), "ticks": learn["ticks"],
            "held_out": learn["held_out"], "loss": learn["loss"], "skipped": learn["skipped"],
            "first_bundle_s": learn["first_bundle_s"], "crashes": learn["crashes"],
        },
        "readiness": status["bundle"]["readiness"],
        "samples_per_s": round(learn["updates"] * BATCH / max(1e-9, seconds), 1),
    }  # fmt: skip


@contextlib.contextmanager
def _running_daemon(cell: Cell, scene: LiveScene, home: Path) -> Iterator[StagedDaemon]:
    daemon = StagedDaemon(scene.desk.displays, scene.desk.display, home, scene.game_name)
    if scene.profiles:
        daemon.configure("games.yaml", scene.profiles)
    daemon.configure("tray_agent.yaml", f"tray: false\ntrainer: {{threads: {cell.threads}}}\n")
    daemon.start()
    try:
        daemon.wait(lambda status: bool(status["game"] == scene.game_name), _START_S, _pause)
        yield daemon
    finally:
        daemon.quit()


def _watch(cell: Cell, scene: LiveScene, daemon: StagedDaemon, tell: Tell) -> list[float]:
    """The player plays until the time is over; scores of the episodes that ended by then."""
    daemon.ask("watch", on=True)
    began = time.monotonic()
    ends = began + 60.0 * cell.minutes
    scores = []
    while (now := time.monotonic()) < ends:
        tell(f"watching the player, {cell.minutes:g} real minutes", (now - began) / (60.0 * cell.minutes))
        score = scene.watch_player(ends)
        if time.monotonic() < ends:
            scores.append(score)
    return scores


def _learn_on(cell: Cell, daemon: StagedDaemon, tell: Tell) -> dict[str, Any]:
    """The trainer goes on, nobody plays; its status then. The daemon mends one that crashed: that counts as learned.

    Raises:
        TrayAgentError: it crashed for good, or made no bundle.
    """
    began = time.monotonic()
    while (passed := time.monotonic() - began) < cell.train_s:
        learn = daemon.status()["learn"]
        if learn["state"] == "failed":
            raise TrayAgentError(f"the trainer failed: {learn['fault']}")
        tell(f"learning, {learn['updates']} updates", passed / cell.train_s)
        _pause()
    status = daemon.status()
    learn = dict(status["learn"])
    if not learn["bundles"]:
        raise TrayAgentError(
            f"nothing was learned from {status['watch']['ticks']} ticks: "
            f"{learn['fault'] or '; '.join(learn['skipped']) or 'give it more time or more to watch'}"
        )
    return learn


def _pause() -> None:
    time.sleep(_POLL_S)

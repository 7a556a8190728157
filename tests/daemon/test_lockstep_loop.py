"""The main job without real time: a real game, watched, learned by the real trainer, played - and played well."""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from tray_agent.core.clock import ManualClock
from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.core.policy import PolicySpec
from tray_agent.daemon.watcher import Watcher
from tray_agent.errors import NotArmed
from tray_agent.guard.protocol import Game
from tray_agent.platforms.env.catalog import entry, scripted_player
from tray_agent.platforms.env.players.player import RandomPlayer
from tray_agent.platforms.env.scoring import play_episodes
from tray_agent.platforms.fake.desktop import FakeDesktop
from tray_agent.play.lockstep import LockstepGame, LockstepHands
from tray_agent.policy.bundle import load_bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.sessions.layout import new_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training.worker import TrainerJob, TrainingWorker

GAME = "doom-basic"
SPEC = PolicySpec(Controls(("ArrowLeft", "ArrowRight", "Space")), rate_hz=8.75, frame_width=80, frame_height=60)
VECTOR = (0.2,) * 8
WATCH_TICKS = 600
UPDATES = 220
EPISODES = 10
SEED = 10_000


@dataclass
class Learned:
    """What came of watching and learning."""

    bundle: Path
    watched: list[float]
    watcher: Watcher
    home: Path


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """The scripted player plays 600 ticks, watched; the trainer learns until it has made enough updates."""
    pytest.importorskip("vizdoom", reason="the game comes with the package vizdoom")
    home = tmp_path_factory.mktemp("lockstep")
    bundles: list[Path] = []
    job = TrainerJob(GAME, VECTOR, SPEC, home / "sessions", home / "models", home / "checkpoints", 2.0, nice=0)
    training = TrainingWorker(job, bundles.append)
    training.start()
    game = LockstepGame(GAME, SPEC, scripted_player(GAME))
    game.start()
    clock = game.desktop.clock
    writer = SessionWriter(new_folder(home / "sessions", GAME), SPEC, GAME, VECTOR, clock=clock, threaded=False)
    writer.start()
    watcher = Watcher(SPEC, writer, training, idle_after_s=30.0)
    watched = []
    for step in game.watch(WATCH_TICKS):
        watcher.on_tick(step.seen, None)
        if step.finished is not None:
            watched.append(step.finished)
    watcher.close()
    game.close()
    end = time.monotonic() + 90.0
    while not (bundles and training.status.updates >= UPDATES):
        assert time.monotonic() < end, f"learning takes too long: {training.status}"
        time.sleep(0.05)
    training.request_stop()
    assert training.finish(20.0), training.status
    return Learned(bundles[-1], watched, watcher, home)


def agent_scores(bundle: Path, episodes: int) -> list[float]:
    game = LockstepGame(GAME, SPEC, seed=SEED)
    game.start()
    try:
        return game.play(OnnxPolicy(load_bundle(bundle, SPEC), Decoding(), seed=1)).scores(episodes)
    finally:
        game.close()


def test_agent_learns_from_watching_and_beats_random_by_far(learned: Learned) -> None:
    """After a minute of watching the agent comes most of the way from random play to its player."""
    agent = fmean(agent_scores(learned.bundle, EPISODES))
    game = entry(GAME).make_game()
    game.start()
    try:
        chance = fmean(play_episodes(game, RandomPlayer(game.info.controls), EPISODES, SEED))
    finally:
        game.close()
    player = fmean(learned.watched)
    normalised = (agent - chance) / (player - chance)
    assert normalised > 0.5, f"random {chance:.0f}, agent {agent:.0f}, player {player:.0f}"


def test_watched_session_is_whole(learned: Learned) -> None:
    """Every tick but the pending one was taken, learned from, and has the player's presses."""
    status = learned.watcher.status
    assert status.ticks == WATCH_TICKS - 1
    assert status.learned == status.ticks
    assert 0.3 < status.actions / status.ticks <= 1.0
    assert load_bundle(learned.bundle, SPEC).manifest.data["ticks"] == status.ticks


def test_policy_that_breaks_ends_the_play(learned: Learned) -> None:
    """A play that ends by itself is an error with the reason, and every key is up."""
    game = LockstepGame(GAME, SPEC, seed=SEED)
    game.start()
    try:
        policy = OnnxPolicy(load_bundle(learned.bundle, SPEC), Decoding(), seed=1)
        play = game.play(policy)
        for _ in range(5):
            play.step()
        policy.act = lambda *_: np.full(SPEC.controls.size, np.nan, np.float32)  # type: ignore[method-assign]
        with pytest.raises(NotArmed, match="not finite"):
            play.step()
        assert game.desktop.sink.hand.command == Command()
        assert play.status.stopped
    finally:
        game.close()


def test_hands_press_only_what_the_guard_would() -> None:
    """In lockstep the guard's bounds hold: other keys end the play, hotkey chords and chatter are left out."""
    clock = ManualClock()
    desk = FakeDesktop(clock, plays=False)
    chord = {"kill": ("ControlLeft", "KeyK")}
    hands = LockstepHands(desk.sink, Game(buttons=("ControlLeft", "KeyK", "Space")), clock, chord)
    assert hands.act(1, 1, Command(frozenset({"ControlLeft", "KeyK", "Space"})))
    assert desk.sink.command.held == {"ControlLeft", "Space"}
    presses = 0
    for i in range(200):
        hands.act(1, i, Command(frozenset({"KeyK"} if i % 2 else ())))
        presses += "KeyK" in desk.sink.command.held
    assert presses <= 30
    assert not hands.act(1, 999, Command(frozenset({"F4"})))
    assert "F4 is not one of the game's controls" in hands.revoked
    assert desk.sink.command == Command()
    assert not hands.act(1, 1000, Command(frozenset({"Space"})))
    assert desk.sink.command == Command()

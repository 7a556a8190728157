"""The trainer's own loop, mostly with a shared model: sessions of games on disk, one is watched (no process)."""

import queue
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_policy import graph, store

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.policy.bundle import current_folder
from tray_agent.sessions.layout import game_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training import child, schedule
from tray_agent.training.encoders.source import EncoderSource
from tray_agent.training.export import fill_from
from tray_agent.training.handover import Handover
from tray_agent.training.job import TrainerJob
from tray_agent.training.learner import Learner
from tray_agent.training.model import ARCHITECTURE, PolicyNet
from tray_agent.training.shared import SharedLearner
from tray_agent.training.shared_file import read_shared

SPEC = PolicySpec(Controls(("ArrowLeft", "ArrowRight")), rate_hz=2, frame_width=40, frame_height=36)
VECTORS = {"toy": (0.0,) * 7 + (1.0,), "other": (1.0,) + (0.0,) * 7}
SILENCE = np.zeros(SPEC.audio_shape, np.float32)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As the trainer runs."""
    torch.set_num_threads(1)


def write(home: Path, game: str, ticks: int = 300) -> Path:
    """A session in which a square tells the key."""
    folder = game_folder(home / "sessions", game) / "20260101T000000Z-x"
    writer = SessionWriter(folder, SPEC, game, VECTORS[game], threaded=False)
    writer.start()
    for tick in range(ticks):
        right = bool(tick // 7 % 2)
        pixels = np.full((SPEC.frame_height, SPEC.frame_width, 3), 20, np.uint8)
        pixels[10:18, (26 if right else 6) :][:, :8] = 230
        action = np.array([not right, right], np.float32)
        writer.add(TickSample(tick, tick * 500_000_000, pixels, SILENCE, action, TickFlag.LEARN))
    writer.close()
    return folder


def job(home: Path, game: str = "toy", **more: Any) -> TrainerJob:
    folders = {name: home / name for name in ("sessions", "models", "checkpoints")}
    return replace(TrainerJob(game, VECTORS[game], SPEC, **folders, nice=0, shared=True), **more)


Events = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Callable[[TrainerJob], tuple[child.Trainer, Events]]:
    """Makes a trainer whose events are listed, and which is told to quit at its first bundle."""

    def start(one: TrainerJob) -> tuple[child.Trainer, Events]:
        inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        events: Events = []

        def emit(event: str, **fields: Any) -> None:
            events.append((event, fields))
            if event in {"bundle", "held_back"}:
                inbox.put(({"op": "quit"}, b""))

        monkeypatch.setattr(child, "emit", emit)
        for module in (child, schedule):
            monkeypatch.setattr(module, "FIRST_UPDATES", 50)  # the task is an easy one
        return child.Trainer(one, inbox), events

    return start


def learn_alone(home: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]]) -> Path | None:
    """Learn the game without sharing; the bundle that is then in use."""
    trainer, _ = started(job(home, shared=False))
    trainer.run()
    return current_folder(home / "models", "toy")


def fields_of(events: Events, name: str) -> list[dict[str, Any]]:
    return [fields for event, fields in events if event == name]


def test_only_the_watched_game_gets_a_bundle(
    tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]]
) -> None:
    """Both games are in the one checkpoint; the other game's bundles are not touched; its damage is told."""
    write(tmp_path, "toy")
    write(tmp_path, "other")
    broken = game_folder(tmp_path / "sessions", "other") / "20260102T000000Z-broken"
    broken.mkdir()
    trainer, events = started(job(tmp_path))
    trainer.run()
    assert fields_of(events, "ready")[0]["others"] == ["other"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["toy"]
    assert current_folder(tmp_path / "models", "toy") is not None
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["shared.safetensors"]
    model = read_shared(tmp_path / "checkpoints" / "shared.safetensors", ARCHITECTURE)
    assert model is not None
    assert model.games["toy"].updates >= 50
    assert model.games["other"].updates >= 10
    assert fields_of(events, "skipped")[0]["session"] == broken.name
    assert not fields_of(events, "fault")


@pytest.mark.parametrize("onnx", [graph(SPEC), b"cut"])
def test_what_somebody_else_put_in_use_does_not_end_learning(
    tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]], onnx: bytes
) -> None:
    """After a rollback or an import any policy may be in use, of another network or damaged: it learns on."""
    write(tmp_path, "toy")
    imported = store(tmp_path / "models", "20250101T1-imported", SPEC)
    (imported / "policy.onnx").write_bytes(onnx)
    trainer, events = started(job(tmp_path))
    trainer.run()
    assert not fields_of(events, "fault")
    assert fields_of(events, "bundle")
    assert current_folder(tmp_path / "models", "toy") != imported
    assert imported.is_dir()


def test_bundle_in_use_stays_until_the_model_is_as_good(
    tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]]
) -> None:
    """What other games did to the model is compared with what plays, not with the model's own last state."""
    write(tmp_path, "toy")
    trainer, _ = started(job(tmp_path))
    trainer.run()
    plays = current_folder(tmp_path / "models", "toy")
    path = tmp_path / "checkpoints" / "shared.safetensors"
    path.unlink()  # worse than forgotten: it knows nothing any more
    trainer, events = started(job(tmp_path))
    trainer._remember_what_plays(resumed=True)
    for _ in trainer._load_sessions():
        pass
    torch.nn.init.zeros_(trainer._learner.average.held.weight)
    trainer._learner.handover = Handover(0.0)
    trainer._learner.updates = 1
    trainer._bundle()
    assert "stays" in fields_of(events, "held_back")[0]["why"]
    assert current_folder(tmp_path / "models", "toy") == plays
    assert path.exists()  # other games may have learned on: that is kept


def test_policy_of_another_learner_stays_until_it_is_matched(
    tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `tray-agent train` made, or somebody else, is compared with what a trainer without a checkpoint makes."""
    write(tmp_path, "toy")
    plays = learn_alone(tmp_path, started)
    assert plays is not None
    path = tmp_path / "checkpoints" / "toy" / "trainer.safetensors"
    path.unlink()
    trainer, events = started(job(tmp_path, shared=False))
    monkeypatch.setattr(trainer._learner, "_follow", lambda _updates: None)  # what plays never comes to anything
    torch.nn.init.zeros_(trainer._learner.average.held.weight)
    trainer._learner.handover = Handover(0.0)
    trainer.run()
    assert "does worse" in fields_of(events, "held_back")[0]["why"]
    assert current_folder(tmp_path / "models", "toy") == plays
    assert path.exists()  # what it has learned is kept for the next time


def test_policy_of_another_learner_stays_while_nothing_is_held_out(
    tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]]
) -> None:
    """Half a minute of watching is no reason to throw away what somebody else learned in hours."""
    session = write(tmp_path, "toy")
    plays = learn_alone(tmp_path, started)
    for folder in (session, tmp_path / "checkpoints"):
        shutil.rmtree(folder)
    write(tmp_path, "toy", ticks=90)
    trainer, events = started(job(tmp_path, shared=False))
    trainer.run()
    assert "nothing is held out yet" in fields_of(events, "held_back")[0]["why"]
    assert current_folder(tmp_path / "models", "toy") == plays


def test_nothing_is_made_of_half_of_what_was_recorded(
    tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to end while it still reads, a trainer leaves the bundle in use alone: it has learned from more."""
    write(tmp_path, "toy")
    learn_alone(tmp_path, started)
    trainer, events = started(job(tmp_path, shared=False))

    def endless() -> Iterator[int]:
        yield from child.Trainer._load_sessions(trainer)
        while True:
            if trainer._learner.updates > 200:
                trainer._stopping = True
            yield 1

    monkeypatch.setattr(trainer, "_load_sessions", endless)
    trainer.run()
    assert trainer._learner.updates > 200
    assert not fields_of(events, "bundle")


def test_who_still_reads_does_not_rest(
    tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trainer that says it rests is ended when watching ends, and would leave what it was to read unlearned."""
    trainer, events = started(job(tmp_path, shared=False))

    def slow() -> Iterator[int]:
        while not fields_of(events, "progress"):
            yield 1
        trainer._progress_at = 0.0  # the next one is due at once

    monkeypatch.setattr(trainer, "_load_sessions", slow)
    report = trainer._report

    def report_twice() -> None:
        report()
        trainer._stopping = len(fields_of(events, "progress")) == 2

    monkeypatch.setattr(trainer, "_report", report_twice)
    trainer.run()
    assert [fields["resting"] for fields in fields_of(events, "progress")] == [False, True]


def test_not_shared_is_as_ever(tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]]) -> None:
    """Off: the plain learner, all of the memory, a checkpoint for each game; other games are not looked at."""
    write(tmp_path, "other")
    one = job(tmp_path, shared=False)
    trainer, events = started(one)
    assert type(trainer._learner) is Learner
    assert trainer._checkpoint == tmp_path / "checkpoints" / "toy" / "trainer.safetensors"
    assert trainer._replay._max_blocks == one.replay_bytes // (512 * 36 * 40 * 3)
    assert trainer._others == []
    assert not events
    assert TrainerJob.from_message(one.message()) == one
    assert TrainerJob.from_message(job(tmp_path).message()).shared


def test_others_get_their_share_of_the_memory(
    tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]]
) -> None:
    """All games together never have more than one alone."""
    write(tmp_path, "other")
    one = job(tmp_path)
    trainer, _ = started(one)
    assert type(trainer._learner) is SharedLearner
    block = 512 * 36 * 40 * 3
    blocks = [replay._max_blocks for replay in (trainer._replay, *(other.replay for other in trainer._others))]
    assert len(blocks) == 2
    assert sum(blocks) * block <= one.replay_bytes


def test_frozen_encoder_is_not_shared(
    tmp_path: Path,
    started: Callable[[TrainerJob], tuple[child.Trainer, Events]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is said, and the game learns alone."""
    scratch = EncoderSource("timm:anything", child.make_or_fall_back("scratch", SPEC).make)
    monkeypatch.setattr(child, "make_or_fall_back", lambda *_: scratch)
    write(tmp_path, "other")
    trainer, events = started(job(tmp_path))
    assert type(trainer._learner) is Learner
    assert fields_of(events, "skipped") == [
        {"session": "trainer.shared", "why": "one model for all games can't be had with the encoder timm:anything"}
    ]


def test_learned_vectors_reach_the_bundle(
    tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]]
) -> None:
    """What plays holds how far the vector has moved, and it is this that the next trainer compares with."""
    for game in ("toy", "other"):
        write(tmp_path, game)
    one = job(tmp_path, vectors="learned")
    trainer, _ = started(one)
    trainer.run()
    folder = current_folder(tmp_path / "models", "toy")
    assert folder is not None
    net = PolicyNet(SPEC)
    net.learn_vector()
    fill_from(net, (folder / "policy.onnx").read_bytes())
    assert net.vector_shift is not None
    assert net.vector_shift.abs().max() > 0.0
    again, _ = started(one)
    again._remember_what_plays(again._learner.load_checkpoint(one.checkpoints / "shared.safetensors"))
    assert again._learner.knows_what_plays


def test_vectors_are_learned_only_with_one_model(
    tmp_path: Path, started: Callable[[TrainerJob], tuple[child.Trainer, Events]]
) -> None:
    """Alone a game has nothing to be told from: that is said."""
    _, events = started(job(tmp_path, shared=False, vectors="learned"))
    assert fields_of(events, "skipped") == [
        {"session": "trainer.vectors", "why": "they are learned only with one model for all games (trainer.shared)"}
    ]

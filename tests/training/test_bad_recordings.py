"""Recordings nobody can learn from, given to the real trainer: each gets its sentence."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.sessions.layout import game_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training.job import TrainerJob
from tray_agent.training.worker import LearnStatus, TrainingWorker

SPEC = PolicySpec(Controls(("ArrowLeft", "ArrowRight")), rate_hz=10, frame_width=40, frame_height=36, frames=2)
VECTOR = (0.0,) * 8
SILENCE = np.zeros(SPEC.audio_shape, np.float32)
TICKS = 900
Pick = Callable[[int, np.random.Generator], tuple[np.ndarray, tuple[float, float]]]


def square(right: bool) -> np.ndarray:
    pixels = np.full((SPEC.frame_height, SPEC.frame_width, 3), 20, np.uint8)
    pixels[10:18, (26 if right else 6) :][:, :8] = 230
    return pixels


def good(tick: int, _: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    right = bool(tick // 7 % 2)
    return square(right), (float(not right), float(right))


def idle(tick: int, _: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    return square(bool(tick // 7 % 2)), (0.0, 0.0)


def one_key(tick: int, _: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    return square(bool(tick // 7 % 2)), (1.0, 0.0)


def still(tick: int, _: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    return square(True), good(tick, _)[1]


def contradictory(tick: int, random: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    right = bool(random.integers(2))
    return square(bool(tick // 7 % 2)), (float(not right), float(right))


def write(home: Path, name: str, pick: Pick, ticks: int = TICKS, spec: PolicySpec = SPEC) -> None:
    random = np.random.default_rng(0)
    writer = SessionWriter(game_folder(home / "sessions", "toy") / name, spec, "toy", VECTOR, threaded=False)
    writer.start()
    for tick in range(ticks):
        pixels, keys = pick(tick, random)
        action = np.array(keys, np.float32)
        writer.add(TickSample(tick, tick * 100_000_000, pixels, SILENCE, action, TickFlag.LEARN))
    writer.close()


@pytest.fixture
def workers() -> Iterator[list[TrainingWorker]]:
    started: list[TrainingWorker] = []
    yield started
    for worker in started:
        worker.request_stop()
        worker.finish(20.0)


def learn(home: Path, workers: list[TrainingWorker], until: Callable[[LearnStatus], object]) -> LearnStatus:
    """Learn what lies in `home` until the status is as wanted."""
    folders = {name: home / name for name in ("sessions", "models", "checkpoints")}
    worker = TrainingWorker(TrainerJob("toy", VECTOR, SPEC, **folders, bundle_every_s=1.0, nice=0), lambda _: None)
    workers.append(worker)
    worker.start()
    end = time.monotonic() + 90.0
    while not until(worker.status):
        assert time.monotonic() < end, worker.status
        time.sleep(0.02)
    return worker.status


def is_final(status: LearnStatus) -> bool:
    """It has passed over the data often enough to stop saying "still learning"."""
    return status.readiness.get("state") in {"ready", "cannot"}


@pytest.mark.parametrize(
    ("pick", "said"),
    [
        (idle, "nothing was ever pressed"),
        (one_key, "ArrowLeft was held all the time"),
        (still, "the picture never changed"),
        (contradictory, "no better than chance|eyes shut"),
    ],
)
def test_what_nobody_can_learn_is_said(tmp_path: Path, workers: list[TrainingWorker], pick: Pick, said: str) -> None:
    """One sentence each, in the status; the policy says "cannot" of itself, and is refused when it is to play."""
    write(tmp_path, "20260101T000000Z-a", pick)
    readiness = learn(tmp_path, workers, is_final).readiness
    assert readiness["state"] == "cannot"
    assert any(part in readiness["why"] for part in said.split("|")), readiness


def test_ten_seconds_are_too_little(tmp_path: Path, workers: list[TrainingWorker]) -> None:
    """It learns, and says that this says nothing yet."""
    write(tmp_path, "20260101T000000Z-a", good, ticks=100)
    readiness = learn(tmp_path, workers, lambda status: status.bundles).readiness
    assert readiness["state"] == "still learning"
    assert "10 s of play watched" in readiness["why"]


def test_session_of_another_rate_is_skipped_and_said(tmp_path: Path, workers: list[TrainingWorker]) -> None:
    """The rest is learned from as ever."""
    write(tmp_path, "20260101T000000Z-a", good)
    write(tmp_path, "20260102T000000Z-b", good, spec=replace(SPEC, rate_hz=20))
    status = learn(tmp_path, workers, lambda s: is_final(s) and s.ticks == TICKS)  # its count of ticks comes later
    assert status.readiness["state"] == "ready"
    assert "other controls, rate or picture" in status.skipped[0]

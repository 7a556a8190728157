"""The real trainer process under its worker: it learns, dies in every way, and nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.policy.bundle import current_folder, load_bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.sessions.layout import game_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training.job import TrainerJob
from tray_agent.training.pipe import write_message
from tray_agent.training.worker import TrainingWorker

SPEC = PolicySpec(Controls(("ArrowLeft", "ArrowRight")), rate_hz=20, frame_width=40, frame_height=36, frames=2)
VECTOR = (0.0,) * 7 + (1.0,)
SILENCE = np.zeros(SPEC.audio_shape, np.float32)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills and stops processes by POSIX signals")


def square(right: bool, y: int = 10) -> np.ndarray:
    pixels = np.full((SPEC.frame_height, SPEC.frame_width, 3), 20, np.uint8)
    x = 26 if right else 6
    pixels[y : y + 8, x : x + 8] = 230
    return pixels


def sample(tick: int) -> TickSample:
    """The square tells the key; sides change about every second, as a person would."""
    right = bool(tick // 17 % 2)
    action = np.array([not right, right], np.float32)
    return TickSample(tick, tick * 50_000_000, square(right, tick % 28), SILENCE, action, TickFlag.LEARN)


def job(home: Path, **changes: Any) -> TrainerJob:
    folders = {name: home / name for name in ("sessions", "models", "checkpoints")}
    return replace(TrainerJob("toy", VECTOR, SPEC, **folders, bundle_every_s=1.0, nice=0), **changes)


def wait(until: Callable[[], Any], timeout_s: float, what: str) -> Any:
    end = time.monotonic() + timeout_s
    while not (found := until()):
        assert time.monotonic() < end, f"waited {timeout_s} s in vain for {what}"
        time.sleep(0.02)
    return found


class Watching:
    """A session on disk and a running trainer, fed alike."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bundles: list[Path] = []
        self.worker = TrainingWorker(job(home), self.bundles.append, silent_s=4.0)
        folder = game_folder(home / "sessions", "toy") / "20260101T000000Z-live"
        self.writer = SessionWriter(folder, SPEC, "toy", VECTOR, threaded=False)  # no ten seconds to be late by
        self.tick = 0

    def feed(self, ticks: int) -> None:
        """The next ticks, to both."""
        samples = [sample(t) for t in range(self.tick, self.tick + ticks)]
        for one in samples:
            self.writer.add(one)
        self.worker.feed(self.writer.folder.name, samples)
        self.tick += ticks

    def wait(self, until: Callable[[Any], Any], what: str) -> None:
        """Until the status fits."""
        wait(lambda: until(self.worker.status), 40.0, what)


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    """One trainer for all tests here, some seconds into watching, with a first bundle and checkpoint."""
    watching = Watching(tmp_path_factory.mktemp("watching"))
    watching.writer.start()
    watching.feed(1400)
    watching.worker.start()
    watching.wait(lambda s: s.ticks == watching.tick and s.updates >= 100, "every tick to arrive, and to be learned")
    early = watching.worker.status.bundles  # these may have been made while ticks were still coming
    watching.wait(lambda s: s.bundles > early, "a bundle of all ticks")
    yield watching
    watching.worker.request_stop()
    assert watching.worker.finish(20.0)
    assert watching.worker.status.state == "off"
    watching.writer.close()


def test_first_bundle_plays_what_was_shown(watching: Watching) -> None:
    """A bundle arrives within seconds, is the current one, fits the spec and has learned the task."""
    folder = watching.bundles[-1]
    assert folder.parent == watching.home / "models" / "toy"
    bundle = load_bundle(folder, SPEC)
    assert bundle.manifest.vector == VECTOR
    assert bundle.manifest.data["ticks"] >= 1000
    assert bundle.manifest.held_out["loss"] < bundle.manifest.held_out["baseline_loss"] / 2
    acting = OnnxPolicy(bundle, Decoding(0.0))
    for right in (True, False):
        acting.reset()
        assert acting.act(square(right), SILENCE).tolist() == [float(not right), float(right)]
    status = watching.worker.status
    assert status.first_bundle_s is not None
    assert status.first_bundle_s < 60


def test_new_data_makes_new_bundles(watching: Watching) -> None:
    """More ticks are acknowledged and a newer bundle becomes current."""
    before = watching.worker.status
    watching.feed(40)
    watching.wait(lambda s: s.bundles > before.bundles and s.ticks >= watching.tick, "another bundle")
    assert current_folder(watching.home / "models", "toy") in watching.bundles
    assert watching.worker.status.updates > before.updates


@pytest.mark.parametrize(
    ("blow", "told"), [(signal.SIGKILL, "killed by SIGKILL"), (signal.SIGSTOP, "said nothing for 4 s")]
)
def test_trainer_that_dies_or_hangs_is_replaced_and_nothing_is_lost(
    watching: Watching, blow: signal.Signals, told: str
) -> None:
    """Killed or frozen: said in the status, started anew from checkpoint and disk, with every tick there was."""
    before = watching.worker.status
    pid = watching.worker.pid
    assert pid is not None
    os.kill(pid, blow)
    watching.feed(30)
    watching.wait(lambda s: s.crashes == before.crashes + 1, "the fault to be noticed")
    assert told in watching.worker.status.fault
    watching.feed(30)
    watching.wait(
        lambda s: s.bundles > before.bundles and s.ticks == watching.tick and s.updates >= 100, "learning to go on"
    )
    assert watching.worker.pid != pid
    after = watching.worker.status
    assert after.updates >= before.updates - 400  # from the last checkpoint, at most some seconds back
    assert after.fault == ""
    assert after.dropped == 0


class Child:
    """The trainer's process without its worker."""

    def __init__(self, config: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "tray_agent.training.child"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.events: list[dict[str, Any]] = []
        write_message(self.stdin, config)

    @property
    def stdin(self) -> Any:
        assert self.process.stdin is not None
        return self.process.stdin

    def read_until(self, event: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["ev"] == event:
                return self.events[-1]
        raise AssertionError(f"the trainer ended before {event!r}: {self.events}")


def record(folder: Path, spec: PolicySpec, ticks: int, game: str = "toy") -> None:
    writer = SessionWriter(folder, spec, game, VECTOR, threaded=False)
    writer.start()
    for tick in range(ticks):
        one = sample(tick)
        writer.add(replace(one, action=np.zeros(spec.controls.size, np.float32)))
    writer.close()


def test_recorded_sessions_are_loaded_live_ones_completed_and_strangers_skipped(tmp_path: Path) -> None:
    """Start-up reads all that fits; what came before the disk was read is not lost; the end of stdin ends it."""
    folder = game_folder(tmp_path / "sessions", "toy")
    record(folder / "20250101T000000Z-a", SPEC, 50)
    record(folder / "20250102T000000Z-other", replace(SPEC, controls=Controls(("KeyW",))), 20)
    record(folder / "20250103T000000Z-live", SPEC, 60)
    (folder / "20250104T000000Z-bad").mkdir()
    (folder / "20250104T000000Z-bad" / "session.json").write_text("{")
    began = time.monotonic()
    child = Child(job(tmp_path).message())
    fresh = [sample(t) for t in range(40, 90)]
    worker_side = TrainingWorker(job(tmp_path), lambda _: None)
    worker_side._send_samples(_Sender(child), "20250103T000000Z-live", fresh)  # type: ignore[arg-type]
    ready = child.read_until("ready")
    assert time.monotonic() - began < 60
    assert ready["resumed"] is False
    child.read_until("loaded")
    child.stdin.close()
    assert child.process.stdout is not None
    rest = [json.loads(line) for line in child.process.stdout]
    events = [*child.events, *rest]
    skipped = {e["session"][-3:]: e["why"] for e in events if e["ev"] == "skipped"}
    assert skipped.keys() == {"her", "bad"}
    assert skipped["her"] == "recorded with other controls, rate or picture"
    assert "session.json" in skipped["bad"]
    assert max(e["tick"] for e in events if e["ev"] == "ack") == 89
    assert max(e["ticks"] for e in events if e["ev"] in {"loaded", "progress"}) == 50 + 90
    assert child.process.wait(20.0) == 0
    child.process.stdout.close()


class _Sender:
    """What `_send_samples` needs of a trainer's process."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        write_message(self._child.stdin, header, payload)


def test_five_crashes_in_a_row_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer that can't live is given up with the reason; feeding goes on and memory does not grow."""
    (tmp_path / "torch.py").write_text("raise ImportError('this torch is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = TrainingWorker(job(tmp_path), lambda _: None)
    worker.start()
    worker.feed("s", [sample(t) for t in range(10)])
    wait(lambda: worker.status.state == "failed", 40.0, "giving up")
    status = worker.status
    assert status.crashes == 5
    assert "crashed 5 times in a row" in status.fault
    assert "ImportError: this torch is broken" in status.fault
    assert worker.pid is None
    worker.feed("s", [sample(t) for t in range(10, 30)])
    assert worker.status.dropped == 20
    worker.request_stop()
    assert worker.join(2.0)

"""The product learns from recorded sessions for a given time, through its own trainer process (no torch here)."""

import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.cell import ADVERSARIAL, LEARNED_VECTORS, REACTION, Cell
from tray_agent.evaluation.recording import Tell
from tray_agent.settings.games import GameProfile
from tray_agent.training.job import TrainerJob
from tray_agent.training.worker import LearnStatus, TrainingWorker

_BUNDLE_EVERY_S = 10.0
_START_S = 120.0
_FINISH_S = 30.0
_POLL_S = 0.1


@dataclass
class Snapshot:
    """A bundle and when it was made.

    Attributes:
        seconds: of learning before it.
        folder: a copy that stays.
    """

    seconds: float
    folder: Path


@dataclass
class Learned:
    """What came of learning.

    Attributes:
        snapshots: bundles in order; the last is the result.
        status: what the trainer said last.
        seconds: from the trainer being ready to its last bundle.
        earlier_updates: those of a learning that this one went on from.
    """

    snapshots: list[Snapshot] = field(default_factory=list)
    status: LearnStatus = field(default_factory=LearnStatus)
    seconds: float = 0.0
    earlier_updates: int = 0


class TimedLearning:
    """One trainer at work for so long, or until it rests. `run()` blocks; bundles are copied as they come."""

    def __init__(
        self, cell: Cell, profile: GameProfile, spec: PolicySpec, sessions: Path, folder: Path, shared: bool = False
    ) -> None:
        """Store.

        Args:
            cell: policy, seed and threads count.
            profile: whose vector conditions the policy.
            spec: of the sessions.
            sessions: root folder of the sessions to learn from.
            folder: where bundles and checkpoints go; what it has from before is learned on.
            shared: one model for all games that have sessions.
        """
        self._folder = folder
        self._job = TrainerJob(
            profile.name, tuple(profile.vector8), spec, sessions, folder / "models", folder / "checkpoints",
            bundle_every_s=_BUNDLE_EVERY_S, nice=0, threads=cell.threads, seed=cell.seed,
            encoder=cell.encoder, shared=shared, vectors="learned" if cell.policy == LEARNED_VECTORS else "given",
            adversarial=ADVERSARIAL.get(cell.policy, "none"), reaction=REACTION.get(cell.policy, "none"),
        )  # fmt: skip
        self._learned = Learned()
        self._began = 0.0
        self._lock = threading.Lock()

    def run(self, seconds: float, tell: Tell) -> Learned:
        """Learn for so many seconds; less where the trainer comes to rest, because nothing would change any more.

        Raises:
            TrayAgentError: the trainer failed or began with another encoder than the cell's, or no bundle came of it.
        """
        worker = TrainingWorker(self._job, self._take)
        worker.start()
        try:
            self._wait_until_ready(worker)
            if note := worker.status.encoder_note:
                raise TrayAgentError(f"not measured with another encoder than was asked for: {note}")
            self._began = time.monotonic()
            self._learned.earlier_updates = worker.status.updates
            while (passed := time.monotonic() - self._began) < seconds:
                time.sleep(_POLL_S)
                status = worker.status
                if status.crashes:
                    raise TrayAgentError(f"the trainer failed: {status.fault}")
                tell(f"learning, {status.updates} updates", passed / seconds)
                if status.state == "resting" and status.updates > self._learned.earlier_updates:
                    break
        finally:
            worker.request_stop()
            worker.finish(_FINISH_S)
        self._learned.status = worker.status
        if not self._learned.snapshots:
            raise TrayAgentError(
                f"nothing was learned in {seconds:g} s from {worker.status.ticks} ticks: {self._why(worker.status)}"
            )
        self._learned.seconds = self._learned.snapshots[-1].seconds
        return self._learned

    @staticmethod
    def _why(status: LearnStatus) -> str:
        return status.fault or "; ".join(status.skipped) or "give it more time or more to watch"

    @staticmethod
    def _wait_until_ready(worker: TrainingWorker) -> None:
        """Importing torch and tracing the graph are the same for every policy, and not learning."""
        end = time.monotonic() + _START_S
        while worker.status.state not in {"learning", "resting"}:
            if time.monotonic() > end or worker.status.state == "failed":
                raise TrayAgentError(f"the trainer did not start: {worker.status}")
            time.sleep(_POLL_S)

    def _take(self, bundle: Path) -> None:
        """On the worker's reader thread; the trainer deletes old bundles, so they are copied at once."""
        seconds = time.monotonic() - self._began if self._began else 0.0
        with self._lock:
            copy = self._folder / "kept" / bundle.parent.name / f"{len(self._learned.snapshots):03d}"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(bundle, copy)
            self._learned.snapshots.append(Snapshot(round(seconds, 2), copy))


def status_of(learned: Learned) -> dict[str, Any]:
    """The trainer's numbers for a result."""
    status = learned.status
    return {
        "updates": status.updates, "seconds": round(learned.seconds, 1), "ticks": status.ticks,
        "held_out": status.held_out, "loss": status.loss, "skipped": list(status.skipped),
        "first_bundle_s": learned.snapshots[0].seconds,
    }  # fmt: skip

"""What the daemon knows by learning: trainer, current bundle, loaded policy (the daemon's main thread)."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import BundleError
from tray_agent.policy.bundle import current_folder, load_bundle
from tray_agent.policy.decode import ControlDecoding, Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.settings.app import Trainer
from tray_agent.settings.games import GameProfile
from tray_agent.training.job import TrainerJob
from tray_agent.training.readiness import State
from tray_agent.training.worker import LearnStatus, TrainingWorker

_log = logging.getLogger(__name__)
_REST_AFTER_S = 45.0  # after watching ended the trainer may go on so long
_HANDOVER_S = 0.5  # an earlier trainer may finish saving so long; killed, it loses what came after its last bundle
_BUNDLE_SHARE = 0.7  # of the time allowed between bundles: making one takes a while itself


class Learning:
    """One game's learning at a time."""

    def __init__(self, sessions: Path, models: Path, checkpoints: Path, on_bundle: Callable[[Path], None]) -> None:
        """Store.

        Args:
            sessions, models, checkpoints: root folders.
            on_bundle: called from a worker's thread with each new bundle's folder; shall lead to `take_bundle`.
        """
        self._sessions, self._models, self._checkpoints = sessions, models, checkpoints
        self._on_bundle = on_bundle
        self._game: tuple[GameProfile, PolicySpec] | None = None
        self._worker: TrainingWorker | None = None
        self._leaving: list[TrainingWorker] = []
        self._rest_at = 0.0
        self._last = LearnStatus()
        self.policy: OnnxPolicy | None = None
        """The current game's newest policy, None while there is none."""
        self.problem = ""
        """Why the current bundle can't be used, "" if it can or there is none."""
        self._looked_at: Path | None = None  # the bundle that was last taken, or could not be

    @property
    def active(self) -> bool:
        """Whether a trainer is at work."""
        return self._worker is not None

    @property
    def status(self) -> LearnStatus:
        """What the trainer last said."""
        return self._worker.status if self._worker is not None else replace(self._last, state="off")

    def set_game(self, profile: GameProfile | None, spec: PolicySpec | None) -> None:
        """Another game: the trainer of the old one saves and ends, the new one's bundle is loaded."""
        self._release()
        self.policy, self.problem, self._last, self._looked_at = None, "", LearnStatus(), None
        self._game = (profile, spec) if profile is not None and spec is not None else None
        if self._game is not None:
            self._load_current(self._game[0].name)

    def begin(self, settings: Trainer) -> TrainingWorker:
        """The running trainer's worker, started if need be. Call `set_game` first."""
        self._rest_at = float("inf")
        assert self._game is not None  # noqa: S101 - watching begins only with a game
        profile, spec = self._game
        job = TrainerJob(
            profile.name, tuple(profile.vector8), spec, self._sessions, self._models, self._checkpoints,
            bundle_every_s=settings.max_seconds_between_bundles * _BUNDLE_SHARE,
            nice=settings.nice, threads=settings.cores, encoder=settings.encoder, shared=settings.shared,
            vectors=settings.vectors, adversarial=settings.adversarial, reaction=settings.reaction,
        )  # fmt: skip
        if self._worker is not None and self._worker.job != job:
            self._release()  # its settings were changed since it was started
        if self._worker is None:
            self.join(_HANDOVER_S)  # two trainers of one game would write over each other's checkpoint
            self._leaving.clear()
            self._worker = TrainingWorker(job, self._on_bundle)
            self._worker.start()
        return self._worker

    def watching_ended(self) -> None:
        """The trainer may finish what it has, and then rest."""
        self._rest_at = time.monotonic() + _REST_AFTER_S

    def poll(self) -> None:
        """Let a trainer go that has nothing left to learn; notice a bundle that was put in use by somebody else."""
        rested = self._rest_at < float("inf") and self.status.state in {"resting", "failed"}
        if self._worker is not None and (rested or time.monotonic() > self._rest_at):
            self._release()
        self._leaving = [worker for worker in self._leaving if not worker.join(0.0)]
        if self._game is not None and (folder := self._current(self._game[0].name)) not in {None, self._looked_at}:
            self._on_bundle(folder)

    def take_bundle(self, folder: Path) -> bool:
        """Load a bundle of the current game; False when it is another game's, can't be used (see `problem`), or is
        the one that plays already.
        """
        if self._game is None or folder.parent.name != self._game[0].name:
            return False
        if self.policy is not None and self.policy.bundle.folder == folder:
            self._looked_at, self.problem = folder, ""
            return False
        profile, spec = self._game
        self._looked_at = folder
        try:
            self.policy = OnnxPolicy(load_bundle(folder, spec), decoding_of(profile), seed=time.time_ns())
        except BundleError as error:
            self.problem = str(error)
            _log.warning("%s", error)
            return False
        self.problem = ""
        return True

    def bundle(self) -> dict[str, Any]:
        """What the loaded bundle says about itself, {} without one."""
        if self.policy is None:
            return {}
        manifest = self.policy.bundle.manifest
        return {
            "folder": str(self.policy.bundle.folder),
            "created": manifest.created,
            "data": manifest.data,
            "held_out": manifest.held_out,
            "readiness": manifest.readiness,
            "parity": manifest.parity,
        }

    @property
    def cannot(self) -> str:
        """Why the current policy may not play, "" when it may (or there is none)."""
        if self.policy is None:
            return ""
        readiness = self.policy.bundle.manifest.readiness
        return readiness.get("why", "") if readiness.get("state") == State.CANNOT else ""

    @property
    def playable(self) -> bool:
        """Whether there is a policy that may play."""
        return self.policy is not None and not self.cannot

    def request_stop(self) -> None:
        """Ask the trainer to save and end."""
        self._release()

    def join(self, deadline_s: float) -> bool:
        """Wait for all trainers; a late one is killed. Returns whether all ended by themselves."""
        end = time.monotonic() + deadline_s
        in_time = [worker.finish(max(0.1, end - time.monotonic())) for worker in self._leaving]
        return all(in_time)

    def _release(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            self._last = worker.status
            worker.request_stop()  # it saves and ends by itself; its last bundle still reaches us
            self._leaving.append(worker)

    def _load_current(self, game: str) -> None:
        folder = self._current(game)
        if folder is not None:
            self.take_bundle(folder)

    def _current(self, game: str) -> Path | None:
        try:
            folder = current_folder(self._models, game)
        except BundleError as error:
            if self.problem != str(error):
                self.problem = str(error)
                _log.warning("%s", error)
            self._looked_at = None  # once it is mended, look again
            return None
        if folder is None:
            self.problem = ""  # what was damaged is gone
        return folder


def decoding_of(profile: GameProfile) -> Decoding:
    """The profile's decoding, with times in ticks."""
    tick_ms = 1000.0 / profile.rate_hz

    def of(name: str) -> ControlDecoding:
        own = profile.decoding.of(name)
        return ControlDecoding(
            temperature=own.temperature,
            min_hold_ticks=max(1, round(own.min_hold_ms / tick_ms)),
            max_hold_ticks=max(1, round(own.max_hold_ms / tick_ms)) if own.max_hold_ms is not None else 0,
            min_gap_ticks=round(1000.0 / own.max_rate_hz / tick_ms) if own.max_rate_hz is not None else 0,
            threshold=own.threshold,
        )

    return Decoding(profile.decoding.temperature, {name: of(name) for name in profile.controls.names})

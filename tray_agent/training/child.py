"""The trainer's process: `python -m tray_agent.training.child`, fed by `training.worker` over stdin.

Main thread: learns, exports, reports JSON lines on stdout. One reader thread: takes messages off stdin, so that a
long step never blocks the daemon. The process ends when stdin closes (the daemon is gone) or at "quit".

Messages in: config, samples, mark, quit.
Events out: working, ready, loaded, ack, progress, bundle, held_back, skipped, fault.
"""

import contextlib
import copy
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import torch

from tray_agent.core.sample import TickFlag
from tray_agent.errors import BundleError, SessionError
from tray_agent.policy.bundle import Manifest, current_folder, load_bundle, write_bundle
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.training.encoders.feature_replay import FeatureReplay
from tray_agent.training.encoders.source import TIMM, make_or_fall_back
from tray_agent.training.export import Exporter, fill_from
from tray_agent.training.job import BATCH, TrainerJob
from tray_agent.training.learner import Learner, Policy
from tray_agent.training.loading import load_session
from tray_agent.training.model import ARCHITECTURE, AXIS_BINS, RELATIVE_BINS, PolicyNet
from tray_agent.training.other_games import SHARE as OTHERS_SHARE
from tray_agent.training.other_games import OtherGame, load_others, other_games
from tray_agent.training.pipe import read_message, unpack_samples
from tray_agent.training.readiness import PATIENCE_PASSES, Readiness, State, judge
from tray_agent.training.retrieval import Retrieval
from tray_agent.training.schedule import FIRST_UPDATES, BundleSchedule
from tray_agent.training.shared import SharedLearner
from tray_agent.training.shared_file import NAME as SHARED

_PROGRESS_EVERY_S = 0.5
_TELL_EVERY_S = 10.0
_Message = tuple[dict[str, Any], bytes]
_REST_AFTER_PASSES = 60  # epochs without new data after which more learning is only memorising


class Trainer:
    """Learns until told to stop. `run()` is the main thread's loop."""

    def __init__(self, config: TrainerJob, inbox: "queue.SimpleQueue[_Message | None]") -> None:
        self._config = config
        self._inbox = inbox
        with _working(), contextlib.redirect_stdout(sys.stderr):  # weights may have to be fetched
            self._source = make_or_fall_back(config.encoder, config.spec)
        folder = config.checkpoints / config.game
        self._shared = config.shared and not self._source.choice.startswith(TIMM)
        if config.shared and not self._shared:
            _skipped("trainer.shared", f"one model for all games can't be had with the encoder {self._source.choice}")
        if config.vectors == "learned" and not self._shared:
            _skipped("trainer.vectors", "they are learned only with one model for all games (trainer.shared)")
        self._others = self._other_games() if self._shared else []
        mine = config.replay_bytes - (_others_bytes(config) if self._others else 0)
        self._replay = self._source.replay(config.spec, mine, config.seed, folder)
        with _working():  # a network for each game
            self._learner = self._new_learner()
        self._exporters = {kind: Exporter(config.spec) for kind in (PolicyNet, Retrieval)}
        self._held_back: dict[str, list[_Message]] = {}  # of sessions that are still to be read from disk
        self._stopping = False
        self._schedule = BundleSchedule(config.bundle_every_s)
        self._updates_at_data = 0
        self._progress_at = 0.0
        self._rate = 0.0
        self._rate_from = (time.monotonic(), 0)
        self._checkpoint = config.checkpoints / SHARED if self._shared else folder / "trainer.safetensors"
        self._saved_updates = 0
        self._loading: Iterator[int] | None = None  # while there is more to read from disk
        self._must_load_first = False  # the bundle in use has learned from more than is loaded so far

    def _new_learner(self) -> Learner:
        job = self._config
        if not self._shared:
            return Learner(
                job.spec, job.vector, self._replay, job.seed, lanes=job.threads, source=self._source,
                adversarial=job.adversarial, reaction=job.reaction,
            )  # fmt: skip
        return SharedLearner(
            job.game, job.spec, job.vector, self._replay, self._others, job.seed, lanes=job.threads,
            source=self._source, adversarial=job.adversarial, reaction=job.reaction,
            learn_vectors=job.vectors == "learned",
        )  # fmt: skip

    def _other_games(self) -> list[OtherGame]:
        job = self._config
        return other_games(job.sessions, job.game, _others_bytes(job), job.seed, _skipped)

    def run(self) -> None:
        """Load, learn, export until "quit" or the daemon is gone; then save."""
        resumed = self._learner.load_checkpoint(self._checkpoint)
        self._saved_updates = self._learner.updates
        self._remember_what_plays(resumed)
        self._must_load_first = resumed or self._learner.knows_what_plays
        self._warm_up_exporter()
        emit("ready", resumed=resumed, updates=self._learner.updates, device=str(self._learner.device),
             encoder=self._source.choice, encoder_note=self._source.note,
             others=[other.name for other in self._others])  # fmt: skip
        self._loading = self._load_sessions()
        loading_others = load_others(self._others, _skipped)
        while not self._stopping:
            if self._loading is not None and next(self._loading, None) is None:
                self._loading, self._must_load_first = None, False
                emit("loaded", ticks=self._replay.total, sessions=self._replay.sessions)
            elif self._loading is None:
                next(loading_others, None)
            self._take_messages(block_s=0.2 if self._is_resting() else 0.0)
            if self._can_work():
                self._learner.update()
                self._maybe_bundle()
            self._report()
        self._finish()

    def _warm_up_exporter(self) -> None:
        """Trace now, while there is nothing to learn yet: it takes seconds."""
        self._export(self._learner.policy)

    def _export(self, policy: Policy) -> tuple[bytes, float]:
        with _working(), contextlib.redirect_stdout(sys.stderr):
            return self._exporters[type(policy)].export(policy)

    def _can_work(self) -> bool:
        return self._learner.can_learn() and not self._is_saturated()

    def _is_resting(self) -> bool:
        """Whether there is nothing to do until something new comes. While it still reads, more is sure to come."""
        return self._loading is None and not self._can_work()

    def _is_saturated(self) -> bool:
        passes = (self._learner.updates - self._updates_at_data) * BATCH / max(1, self._replay.learnable())
        return passes > _REST_AFTER_PASSES

    def _load_sessions(self) -> Iterator[int]:
        """Read what was recorded, newest first, some ticks at a time; yields how many.

        New ticks of a session wait until what the disk has of it is read: they come later than that.
        """
        listing = list_sessions(self._config.sessions, self._config.game)
        for folder, why in listing.damaged.items():
            _skipped(folder.name, why)
        folders = [listed.folder for listed in reversed(listing.sessions)]
        if isinstance(self._replay, FeatureReplay):
            self._replay.prune({folder.name for folder in (*folders, *listing.damaged)})
        self._held_back = {folder.name: [] for folder in folders}
        for folder in folders:
            try:
                yield from load_session(folder, self._config.spec, self._replay, is_newest=folder == folders[0])
            except SessionError as error:
                _skipped(folder.name, str(error))
            self._updates_at_data = self._learner.updates
            for message in self._held_back.pop(folder.name):
                self._take(message)

    def _take_messages(self, block_s: float) -> None:
        with contextlib.suppress(queue.Empty):
            message = self._inbox.get(timeout=block_s) if block_s else self._inbox.get_nowait()
            while True:
                self._take(message)
                message = self._inbox.get_nowait()

    def _take(self, message: "_Message | None") -> None:
        if message is None:
            self._stopping = True
            return
        header, payload = message
        if (waiting := self._held_back.get(header.get("session", ""))) is not None:
            waiting.append(message)
            return
        match header["op"]:
            case "samples":
                for sample in unpack_samples(self._config.spec, header["count"], payload):
                    self._replay.add(header["session"], sample)
                self._updates_at_data = self._learner.updates
                emit("ack", session=header["session"], tick=self._replay.last_tick(header["session"]))
            case "mark":
                self._replay.mark(header["session"], header["first"], header["last"], TickFlag(header["flags"]))
            case "quit":
                self._stopping = True

    def _maybe_bundle(self) -> None:
        is_due = self._schedule.is_due(self._learner.updates, time.monotonic(), self._is_saturated())
        if is_due and not self._must_load_first:
            self._bundle()

    def _bundle(self) -> None:
        if not self._learner.can_learn() or self._learner.updates == self._schedule.updates:
            return
        self._schedule.made(self._learner.updates, time.monotonic())
        policy, held_out = self._learner.playing()
        facts = self._learner.facts(held_out)
        readiness = judge(facts)
        if worse := self._learner.is_worse(held_out):
            emit("held_back", why=worse, held_out=held_out)
            if self._shared or self._learner.judged_by_another:  # what it has learned is good for later all the same
                self._save_if_due()
            return
        try:
            onnx, parity = self._export(policy)
            manifest = self._manifest(policy, held_out, readiness, parity)
            folder = write_bundle(self._config.models, manifest, onnx, self._run_name())
        except BundleError as error:
            emit("fault", what=str(error))
            return
        if facts.passes >= PATIENCE_PASSES:  # the luck of a very young policy is no yardstick for those that follow
            self._learner.remember(policy)
        emit("bundle", folder=str(folder), updates=self._learner.updates, held_out=held_out, parity=parity,
             readiness=readiness.to_json())  # fmt: skip
        self._save_if_due()

    def _save_if_due(self) -> None:
        if self._learner.checkpoint_due():
            self._save()

    def _save(self) -> None:
        self._saved_updates = self._learner.updates
        try:
            self._learner.save_checkpoint(self._checkpoint)
        except OSError as error:
            emit("fault", what=f"the learner's checkpoint could not be saved: {error}; free some space")

    def _remember_what_plays(self, resumed: bool) -> None:
        """Whoever made the bundle in use, newer ones are compared with it; not with one that can't play.

        It may come from `tray-agent train`, from somebody else, or be an earlier one that was gone back to. One of
        another network can't be compared: then what the checkpoint holds counts. With one model for all games what the
        checkpoint holds may have learned other games since the bundle was made.
        """
        if resumed and not self._shared:
            self._learner.remember()
        with contextlib.suppress(BundleError):
            folder = current_folder(self._config.models, self._config.game)
            if folder is None:
                return
            bundle = load_bundle(folder, self._config.spec)
            if bundle.manifest.readiness.get("state") == State.CANNOT:
                return
            playing = copy.deepcopy(self._learner.average)
            fill_from(playing, bundle.onnx)
            mine = resumed and (self._shared or _are_equal(playing, self._learner.average))
            self._learner.remember(playing, of_another=not mine)

    def _manifest(self, policy: Policy, held_out: dict[str, float], readiness: Readiness, parity: float) -> Manifest:
        spec = self._config.spec
        notes = [note for note in (policy.about, self._source.about) if note]
        return Manifest(
            game=self._config.game,
            spec=spec,
            vector=self._config.vector,
            relative_bins=dict.fromkeys(spec.controls.relative, RELATIVE_BINS),
            axis_bins=AXIS_BINS,
            policy=ARCHITECTURE + (f" ({'; '.join(notes)})" if notes else ""),
            data={
                "sessions": self._replay.sessions, "ticks": self._replay.total, "updates": self._learner.updates,
                "seconds": self._replay.total / spec.rate_hz, "offset_ticks": self._replay.offset,
            },
            held_out=held_out,
            readiness=readiness.to_json(),
            motion_floor=self._learner.stuck_below(),
            habits=self._learner.habits(),
            together=self._learner.together(),
            parity=parity,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip

    def _run_name(self) -> str:
        return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"[:-3] + f"-u{self._learner.updates}"

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._progress_at < _PROGRESS_EVERY_S:
            return
        self._progress_at = now
        start, updates = self._rate_from
        if now - start >= 2.0:
            self._rate = (self._learner.updates - updates) / (now - start)
            self._rate_from = (now, self._learner.updates)
        emit(
            "progress", ticks=self._replay.total, learnable=self._replay.learnable(), sessions=self._replay.sessions,
            updates=self._learner.updates, loss=_finite(self._learner.loss), updates_per_s=round(self._rate, 2),
            resting=self._is_resting(),
        )  # fmt: skip

    def _finish(self) -> None:
        if self._learner.updates > max(self._schedule.updates, FIRST_UPDATES - 1) and not self._must_load_first:
            self._bundle()
        if self._shared and self._learner.updates > self._saved_updates:
            self._save()


def _others_bytes(job: TrainerJob) -> int:
    """Of the memory for frames, what other games may have."""
    return int(job.replay_bytes * OTHERS_SHARE)


def _skipped(session: str, why: str) -> None:
    emit("skipped", session=session, why=why)


@contextlib.contextmanager
def _working() -> Iterator[None]:
    """Says now and then that it is alive while something takes long: who is silent is taken for dead."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(_TELL_EVERY_S):
            emit("working")

    teller = threading.Thread(target=tell, name="trainer-working", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _are_equal(one: PolicyNet, other: PolicyNet) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(mine.cpu(), theirs.cpu()) for mine, theirs in pairs)


def _finite(value: float) -> float | None:
    return round(value, 5) if value == value else None  # noqa: PLR0124 - NaN is the one value unequal to itself


def emit(event: str, **fields: Any) -> None:
    """One event for the daemon. The daemon being gone is no error: the reader thread notices and ends the loop."""
    with contextlib.suppress(OSError, ValueError):
        sys.__stdout__.write(json.dumps({"ev": event} | fields) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


def _read_stdin(inbox: "queue.SimpleQueue[_Message | None]") -> None:
    with contextlib.suppress(OSError, ValueError):
        while (message := read_message(sys.stdin.buffer)) is not None:
            inbox.put(message)
    inbox.put(None)


def main() -> int:
    """Entry of the process; returns only if it was not started properly."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group; the daemon decides
    first = read_message(sys.stdin.buffer)
    if first is None or first[0].get("op") != "config":
        print("the trainer is started by the daemon, not by hand", file=sys.stderr)
        return 2
    config = TrainerJob.from_message(first[0])
    if hasattr(os, "nice"):
        os.nice(config.nice)
    torch.set_num_threads(1)  # more cores are used by the learner's lanes
    inbox: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
    threading.Thread(target=_read_stdin, args=(inbox,), name="trainer-stdin", daemon=True).start()
    code = 0
    try:
        Trainer(config, inbox).run()
    except BaseException:  # noqa: BLE001 - told and turned into an exit code below
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)  # the reader thread may sit in a blocking read that interpreter shutdown can't interrupt


if __name__ == "__main__":
    sys.exit(main())

"""One run's learning: from its sessions or its last checkpoint to its end (torch; the main thread).

What a checkpoint holds is all that decides how the run goes on: weights, average, moments, counts, and beside them
where the replay is, all states of chance, the best so far. With one lane a run that was killed and resumed ends with
the weights of one that was not, bit for bit (decisions/0014-offline-training.md).
"""

import base64
import json
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from safetensors import SafetensorError

from tray_agent.errors import BundleError, SessionError, SettingsError, TrayAgentError
from tray_agent.policy.bundle import load_bundle
from tray_agent.training.checkpoint import read_beside, write_checkpoint
from tray_agent.training.encoders.source import EncoderSource
from tray_agent.training.export import fill_from
from tray_agent.training.handover import SHARES, Handover
from tray_agent.training.learner import MIN_TICKS, Learner
from tray_agent.training.offline.exchange import Exchange, Gradient
from tray_agent.training.offline.journal import Journal
from tray_agent.training.offline.options import TrainingOptions, plain
from tray_agent.training.offline.pace import Pace, in_words
from tray_agent.training.offline.progress import At, Progress, judged
from tray_agent.training.offline.ranks import Ranks
from tray_agent.training.offline.recordings import Recordings, Skip
from tray_agent.training.offline.run_folder import RunFolder
from tray_agent.training.offline.segments import SegmentReplay

_SAVE_EVERY_S = 60.0
_LEAST_UPDATES = 20
"""Between two looks at held-out play, however short a pass is."""
_GO_ON, _SAVE, _STOP = range(3)


@dataclass
class _Course:
    """How the run went so far.

    Attributes:
        seconds: of learning.
        looked_at: updates at the last look at held-out play.
        best, best_at: the best skill, and its updates; -1 before the first look.
        waited: looks since then.
    """

    seconds: float = 0.0
    looked_at: int = 0
    best: float = 0.0
    best_at: int = -1
    waited: int = 0


class Training:
    """A run. `run()` learns until its end; several processes make one run together.

    Args:
        options: resolved; `threads` is set.
        recordings: what is learned.
        source: of the encoder.
        folder: of the run.
        ranks: this process among all.
        progress: told how it goes.
        skip: told of what can't be read.

    Raises:
        SessionError: too little to learn from.
        BundleError: `from_bundle` can't be used.
        TrayAgentError: the run's last checkpoint can't be used.
    """

    def __init__(
        self, options: TrainingOptions, recordings: Recordings, source: EncoderSource, folder: RunFolder,
        ranks: Ranks, progress: Progress, skip: Skip,
    ) -> None:  # fmt: skip
        self._options, self._folder, self._ranks, self._progress = options, folder, ranks, progress
        self.interrupted = False
        """Set by a handler of signals; the run then saves and ends."""
        self.ended = ""
        """Why it ended."""
        self._course = _Course()
        self._took = 0.0  # seconds of learning, once it has ended
        self.replay = SegmentReplay(
            recordings.spec, recordings.readers, recordings.held_out, options.segment, options.memory_mb << 20,
            options.seed, skip, ranks.rank, ranks.count,
        )  # fmt: skip
        if self.replay.learnable() < MIN_TICKS:
            raise SessionError(f"{self.replay.learnable()} ticks to learn from, {MIN_TICKS} are needed; watch more")
        self._recordings, self._source = recordings, source
        self._journal = Journal(folder.log, folder.events) if ranks.leads else None
        saved = self._saved_state()
        bf16 = saved["bf16"] if saved is not None else self._precision()
        self.learner = self._new_learner()
        self.learner.bf16 = bool(bf16)
        self.learner.handover = Handover(SHARES[-1])  # a network that is done learning needs no memory beside it
        self._exchange = Exchange(ranks) if ranks.count > 1 else None
        if self._exchange is not None:
            self.learner.agree = partial(self._agree, self._exchange)
        self._wanted = self._agreed = _GO_ON
        if saved is not None:
            self._take_up(saved)
        else:
            self._begin_with(options)
            torch.manual_seed(options.seed + 7919 * ranks.rank)  # else all would drop the same features
        self._began = time.monotonic()
        self._pace = Pace()
        self._saved = time.monotonic()
        self._measures: dict[str, float] = {}
        self._speeds: list[dict[str, float]] = []

    @property
    def passes(self) -> float:
        """Over everything that is learned from."""
        return self.learner.updates / self.replay.batches_per_pass

    def run(self) -> None:
        """Learn until an end is reached, nothing gets better any more, or it is interrupted; then save.

        Raises:
            TrayAgentError: a checkpoint could not be saved; the one before stays.
        """
        if self._journal is not None:
            self._say(self._journal.note)
            self._note("resumed" if self.learner.updates else "begun", options=plain(self._options))
        try:
            while self._go_on():
                before = self.learner.updates
                self.learner.update()
                self._pace.add(self.learner.updates - before)
                if self.learner.updates >= self._course.looked_at + self._updates_between_looks:
                    self._look()
                self._tell()
            if self._exchange is not None:
                self._exchange.settle()
            self._took = self._seconds()
            if self._course.looked_at != self.learner.updates and self.learner.updates:
                self._look()
            self._save()
        finally:
            if self._journal is not None:
                self._journal.close()

    def take_best(self) -> None:
        """The best network instead of the last one.

        Raises:
            TrayAgentError: its checkpoint can't be used.
        """
        if not self.learner.load_checkpoint(self._folder.best):
            raise TrayAgentError(f"{self._folder.best} can't be used; go on with the run (--resume) to make it again")

    def summary(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "updates": self.learner.updates, "passes": round(self.passes, 3), "ended": self.ended,
            "seconds": round(self._took, 3), "best_at": self._course.best_at, "speed": self._speeds,
        }  # fmt: skip

    def close(self) -> None:
        """End all threads."""
        self.learner.close()
        self.replay.close()

    # -- the course --------------------------------------------------------------------------------------------------

    @property
    def _updates_between_looks(self) -> int:
        # a pass of one process, however many there are: while one looks the others wait
        return max(_LEAST_UPDATES, self.replay.batches_per_pass * self._ranks.count)

    def _seconds(self) -> float:
        return self._course.seconds + time.monotonic() - self._began

    def _go_on(self) -> bool:
        """Whether there is another update; saves when it is time. Several processes hear two updates late of both."""
        self._wanted = self._order()
        order = self._wanted if self._exchange is None else self._agreed
        self._agreed = _GO_ON
        if order == _SAVE:
            self._save()
        return order != _STOP and not self._all_made()

    def _order(self) -> int:
        """What all do next; only that of the process that leads counts."""
        if not self._ranks.leads:
            return _GO_ON
        self.ended = self.ended or self._why_to_end()
        if self.ended:
            return _STOP
        if time.monotonic() - self._saved < _SAVE_EVERY_S:
            return _GO_ON
        self._saved = time.monotonic()
        return _SAVE

    def _all_made(self) -> bool:
        """Whether so many updates were asked for; all processes count the same."""
        return bool(self._options.updates and self.learner.updates >= self._options.updates)

    def _why_to_end(self) -> str:
        options = self._options
        if self.interrupted:
            return "interrupted"
        if self._share() >= 1.0:
            return "done"
        if self._course.waited >= options.patience:
            return f"no better in {options.patience} looks"
        return ""

    def _share(self) -> float:
        """Of the run; whichever end is nearest counts."""
        options, epochs = self._options, self._options.last_epoch()
        shares = [0.0]
        shares += [self.passes / epochs] if epochs else []
        shares += [self._seconds() / (60.0 * options.minutes)] if options.minutes else []
        shares += [self.learner.updates / options.updates] if options.updates else []
        return max(shares)

    def _look(self) -> None:
        """Measure on held-out play; the best network is kept in a file of its own."""
        with self._pace.pause():
            self._look_and_tell()

    def _look_and_tell(self) -> None:
        course = self._course
        speeds = self._ranks.all_of(self._pace.speed())
        self._speeds = [asdict(speed) for speed in speeds]
        course.looked_at = self.learner.updates
        if not self._ranks.leads:
            self._states()
            return
        self._measures = self.learner.held_out()
        skill = self._measures.get("skill")
        better = skill is None or course.best_at < 0 or skill > course.best
        course.waited = 0 if better else course.waited + 1
        if better:
            course.best, course.best_at = skill or 0.0, self.learner.updates
        states = self._states()
        if better:
            self._write(self._folder.best, states)
        self._note(
            "look", passes=round(self.passes, 3), learning_loss=self.learner.loss,
            samples_per_s=sum(speed.samples_per_s for speed in speeds), **self._measures,
        )  # fmt: skip
        text = judged(self._measures) if self._measures else "nothing is held out"
        text += ", the best so far" * better
        self._say(f"pass {self.passes:.1f}, {self.learner.updates} updates: {text}; {in_words(speeds)}")

    def _agree(self, exchange: Exchange, gradient: Gradient) -> Gradient | None:
        with self._pace.waiting():
            mean, self._agreed = exchange.swap(gradient, self._wanted)
        return mean

    def _note(self, what: str, **numbers: Any) -> None:
        if self._journal is not None:
            try:
                self._journal.add(what, self.learner.updates, **numbers)
            except OSError as error:
                raise self._full(error) from error

    def _say(self, text: str) -> None:
        if self._ranks.leads and text:
            self._progress.say(text)

    def _tell(self) -> None:
        if not self._ranks.leads:
            return
        self._progress.at(At(
            self.passes, self.learner.updates, self._share(), self._seconds(), self._pace.updates_per_s,
            self.learner.loss, self._measures,
        ))  # fmt: skip

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        states = self._states()
        if self._ranks.leads:
            self._write(self._folder.last, states)

    def _states(self) -> list[dict[str, Any]]:
        """Everybody's place in the data, and states of chance."""
        cuda = torch.cuda.get_rng_state() if self.learner.device.type == "cuda" else None
        return self._ranks.all_of({
            "replay": self.replay.state(), "torch": _text(torch.get_rng_state()),
            "cuda": _text(cuda) if cuda is not None else None,
        })  # fmt: skip

    def _write(self, path: Any, states: list[dict[str, Any]]) -> None:
        course = asdict(self._course) | {"seconds": self._seconds()}
        beside = {"course": course, "loss": self.learner.loss, "bf16": bool(self.learner.bf16), "ranks": states}
        learner = self.learner
        try:
            write_checkpoint(path, learner.kept(), learner.architecture, learner.counts(), json.dumps(beside))
        except OSError as error:
            raise self._full(error) from error

    def _full(self, error: OSError) -> TrayAgentError:
        return TrayAgentError(
            f"the run can't be kept in {self._folder.folder}: {error}. The last checkpoint there is whole; free some "
            "space and go on with --resume"
        )

    def _saved_state(self) -> dict[str, Any] | None:
        """What the last checkpoint holds beside its tensors, None while there is none."""
        path = self._folder.last
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = json.loads(read_beside(path))
            ranks = len(state["ranks"])
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise TrayAgentError(f"{path} can't be used ({error}); begin another run") from error
        if ranks != self._ranks.count:
            raise SettingsError(f"the run was begun by {ranks} processes, not {self._ranks.count}; go on with as many")
        return state

    def _take_up(self, state: dict[str, Any]) -> None:
        if not self.learner.load_checkpoint(self._folder.last):
            raise TrayAgentError(f"{self._folder.last} can't be used: it is damaged, or of another version's network")
        own = state["ranks"][self._ranks.rank]
        self._course = _Course(**state["course"])
        self.learner.loss = float(state["loss"])
        self.replay.go_to(own["replay"])
        torch.set_rng_state(_tensor(own["torch"]))
        if own["cuda"] is not None and self.learner.device.type == "cuda":
            torch.cuda.set_rng_state(_tensor(own["cuda"]))

    def _begin_with(self, options: TrainingOptions) -> None:
        if options.from_bundle is None:
            return
        learner = self.learner
        try:
            fill_from(learner.net, load_bundle(options.from_bundle, learner.spec).onnx)
        except BundleError as error:
            raise BundleError(f"--from {options.from_bundle}: {error}") from error
        learner.average.load_state_dict(learner.net.state_dict())

    def _new_learner(self) -> Learner:
        options, recordings = self._options, self._recordings
        lanes = 1 if self._ranks.count > 1 else options.threads or 1
        return Learner(recordings.spec, recordings.vector, self.replay, options.seed, lanes=lanes, source=self._source)

    def _precision(self) -> bool:
        """Whether to compute in bfloat16. What is tried out takes updates, so a learner of its own does."""
        if self._options.precision != "auto":
            return self._options.precision == "bfloat16"
        before = self.replay.state()
        trial = self._new_learner()
        trial.update()
        trial.close()
        self.replay.go_to(before)
        return bool(self._ranks.first(int(bool(trial.bf16))))


def _text(tensor: torch.Tensor) -> str:
    return base64.b64encode(tensor.numpy().tobytes()).decode()


def _tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)

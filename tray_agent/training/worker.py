"""The daemon's side of learning: a thread that feeds the trainer's process and keeps it alive (no torch).

Samples wait here until the trainer says it holds them, so a trainer that dies loses nothing: the next one loads the
sessions from disk, continues from the last checkpoint, and is sent again what the disk may not have yet.
"""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.runtime.worker import Worker
from tray_agent.training.job import TrainerJob
from tray_agent.training.pipe import pack_samples
from tray_agent.training.process import TrainerProcess

_Item = dict[str, Any] | tuple[str, list[TickSample]]
_BATCH = 32
_RESTART_AFTER_S = 1.0
_MAX_CRASHES = 5
_CALM_S = 60.0  # a trainer that lived so long before it crashed has not crashed "in a row"
_SILENT_S = 60.0
_KEEP_S = 10.0
_WAITING_BYTES = 64 << 20
_FINISH_S = 15.0


@dataclass(frozen=True)
class LearnStatus:
    """What the trainer last said.

    Attributes:
        state: "off", "starting", "learning", "resting", "restarting" or "failed".
        ticks, sessions: how much it holds; updates, updates_per_s, loss: how it goes.
        held_out: measures on stretches never learned from.
        readiness: {"state", "why"} of the newest bundle; held_back: why a newer one was not taken, "" if it was.
        bundles: how many it made; bundle: folder of the newest.
        first_bundle_s: seconds from the first sample to the first bundle.
        dropped: ticks it was too slow to take; they are on disk, and it gets them when it starts next.
        crashes: how often it had to be restarted; fault: the last trouble, "" if none.
        skipped: sessions that could not be used, with the reason.
        encoder: which encoder learns; encoder_note: why it is another than the settings name, "" if it is not.
        others: games that are learned along, with a shared model.
    """

    state: str = "off"
    ticks: int = 0
    sessions: int = 0
    updates: int = 0
    updates_per_s: float = 0.0
    loss: float | None = None
    held_out: dict[str, float] = field(default_factory=dict)
    readiness: dict[str, str] = field(default_factory=dict)
    held_back: str = ""
    bundles: int = 0
    bundle: str = ""
    first_bundle_s: float | None = None
    dropped: int = 0
    crashes: int = 0
    fault: str = ""
    skipped: tuple[str, ...] = ()
    encoder: str = ""
    encoder_note: str = ""
    others: tuple[str, ...] = ()


class TrainingWorker:
    """Owns the trainer's process. All public methods return at once and may be called from any thread."""

    def __init__(self, job: TrainerJob, on_bundle: Callable[[Path], None], silent_s: float = _SILENT_S) -> None:
        """Store.

        Args:
            job: what to learn.
            on_bundle: called from the worker's reader thread with each new bundle's folder.
            silent_s: a trainer that says nothing for so long is taken for dead.
        """
        self.job = job
        """What it learns."""
        self._on_bundle = on_bundle
        self._silent_s = silent_s
        self._keep = int(_KEEP_S * job.spec.rate_hz)
        self._most_waiting = max(self._keep, _WAITING_BYTES // (job.spec.frame_width * job.spec.frame_height * 3))
        self._outbox: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._unacknowledged: deque[tuple[str, TickSample]] = deque(maxlen=self._most_waiting)
        self._marks: deque[dict[str, Any]] = deque(maxlen=256)
        self._lock = threading.Lock()
        self._status = LearnStatus()
        self._process: TrainerProcess | None = None
        self._stop = threading.Event()
        self._first_sample = 0.0
        self._worker = Worker("training", lambda _: self._run())

    @property
    def status(self) -> LearnStatus:
        """Snapshot."""
        with self._lock:
            return self._status

    @property
    def pid(self) -> int | None:
        """Process id of the trainer, None while it isn't running."""
        process = self._process
        return process.pid if process is not None else None

    def start(self) -> None:
        """Start thread and process."""
        self._set(state="starting")
        self._worker.start()

    def feed(self, session: str, samples: list[TickSample]) -> None:
        """New ticks of a session."""
        if not samples:
            return
        self._first_sample = self._first_sample or time.monotonic()
        if self._outbox.qsize() < self._most_waiting and self.status.state != "failed":
            self._outbox.put((session, samples))
        else:
            self._set(dropped=self.status.dropped + len(samples))

    def mark(self, session: str, first: int, last: int, flags: TickFlag) -> None:
        """Add flags to ticks already fed."""
        message = {"op": "mark", "session": session, "first": first, "last": last, "flags": int(flags)}
        self._marks.append(message)
        self._outbox.put(message)

    def request_stop(self) -> None:
        """Ask the trainer to save and end."""
        self._stop.set()
        self._outbox.put(None)

    def join(self, deadline_s: float) -> bool:
        """Wait for the end; False when late."""
        return self._worker.join(deadline_s)

    def finish(self, deadline_s: float) -> bool:
        """Wait; a late trainer is killed (it loses a bundle at most). Returns whether it ended itself."""
        if self._worker.join(deadline_s):
            return True
        if (process := self._process) is not None:
            process.kill()
        self._worker.join(2.0)
        return False

    # -- worker thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        in_row = 0
        while not self._stop.is_set():
            began = time.monotonic()
            why = self._live()
            if self._stop.is_set():
                break
            in_row = in_row + 1 if time.monotonic() - began < _CALM_S else 1
            self._set(crashes=self.status.crashes + 1, state="restarting", fault=f"the trainer was restarted: {why}")
            if in_row >= _MAX_CRASHES:
                fault = f"the trainer crashed {_MAX_CRASHES} times in a row; at last {why}"
                self._set(state="failed", fault=f"{fault}. Watching goes on, learning has stopped. "
                          "Mend that, then stop and watch again")  # fmt: skip
                self._empty_outbox()
                return
            self._stop.wait(_RESTART_AFTER_S)
        self._set(state="off")

    def _live(self) -> str:
        """One trainer's life; why it ended."""
        self._set(skipped=())  # it says again what it skips
        process = TrainerProcess(self._take, self._silent_s)
        try:
            process.start()
        except OSError as error:
            return f"it could not be started: {error}"
        self._process = process
        with contextlib.suppress(OSError):  # a broken pipe means that the process is gone
            self._resend(process)
            self._pump(process)
        process.end(_FINISH_S if self._stop.is_set() else 1.0)
        return process.why

    def _resend(self, process: TrainerProcess) -> None:
        process.send(self.job.message())
        by_session: dict[str, list[TickSample]] = {}
        for session, sample in list(self._unacknowledged):
            by_session.setdefault(session, []).append(sample)
        for session, samples in by_session.items():
            self._send_samples(process, session, samples)
        for message in list(self._marks):
            process.send(message)

    def _pump(self, process: TrainerProcess) -> None:
        while process.running:
            try:
                item = self._outbox.get(timeout=0.25)
            except queue.Empty:
                continue
            if item is None:
                process.send({"op": "quit"})
                return
            if isinstance(item, dict):
                process.send(item)
            else:
                session, samples = item
                self._unacknowledged.extend((session, s) for s in samples)
                self._send_samples(process, session, samples)

    def _send_samples(self, process: TrainerProcess, session: str, samples: list[TickSample]) -> None:
        for i in range(0, len(samples), _BATCH):
            part = samples[i : i + _BATCH]
            header = {"op": "samples", "session": session, "count": len(part)}
            process.send(header, pack_samples(part))

    def _empty_outbox(self) -> None:
        self._unacknowledged.clear()
        with contextlib.suppress(queue.Empty):
            while True:
                self._outbox.get_nowait()

    # -- reader thread ---------------------------------------------------------------------------------------------

    def _take(self, event: dict[str, Any]) -> None:
        match event.get("ev"):
            case "ready":
                self._set(state="learning", updates=event["updates"], encoder=event["encoder"],
                          encoder_note=event["encoder_note"], others=tuple(event["others"]))  # fmt: skip
            case "ack":
                self._acknowledge(event["session"], event["tick"])
            case "progress":
                names = ("ticks", "sessions", "updates", "updates_per_s", "loss")
                self._set(state="resting" if event["resting"] else "learning", **{n: event[n] for n in names})
            case "bundle":
                self._take_bundle(event)
            case "held_back":
                self._set(held_back=event["why"])
            case "skipped":
                self._set(skipped=(*self.status.skipped, f"{event['session']}: {event['why']}"))
            case "fault":
                self._set(fault=event["what"])

    def _take_bundle(self, event: dict[str, Any]) -> None:
        first = self.status.first_bundle_s
        if first is None and self._first_sample:
            first = round(time.monotonic() - self._first_sample, 2)
        self._set(bundles=self.status.bundles + 1, bundle=event["folder"], held_out=event["held_out"],
                  updates=event["updates"], first_bundle_s=first, fault="", readiness=event["readiness"],
                  held_back="")  # fmt: skip
        self._on_bundle(Path(event["folder"]))

    def _acknowledge(self, session: str, tick: int) -> None:
        """Keep the last few seconds all the same: the disk may lag behind, and a new trainer starts from the disk."""
        while len(self._unacknowledged) > self._keep:
            name, sample = self._unacknowledged[0]
            if name == session and sample.tick > tick - self._keep:
                break
            self._unacknowledged.popleft()

    def _set(self, **changes: Any) -> None:
        with self._lock:
            self._status = replace(self._status, **changes)

"""Part `crash` of `bench sessions`: kill -9 at random moments, then what of the session is left (caller's thread).

Several children write at the same time (`crash_writer`), for they mostly wait. Each tells through a pipe, which
outlives it, what it has handed to its writer.
"""

import argparse
import random
import select
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tray_agent.bench.figures import progress, quantile
from tray_agent.bench.session_found import Found
from tray_agent.bench.session_plays import Plays
from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.errors import SessionError, WorkerFailed
from tray_agent.sessions.reader import SessionReader

_COMMAND = (sys.executable, "-P", "-m", "tray_agent.bench.crash_writer")
_START_S = 60.0
_LIVES_S = (0.2, 3.0)
_TELL_EVERY = 50
_NOTE = (
    "crash: lost is the time between the last thing handed to the writer and the last that can be read, the worst of "
    "ticks with their pictures, sound and events; killed 0.2 to 3 s after the first tick"
)
Handed = list[tuple[int, int]]
"""(tick, t_ns) of each tick that was handed to the writer."""


@dataclass(frozen=True)
class Loss:
    """What a kill cost, seconds of each kind; `opens` is False when the session did not open, and all is lost."""

    opens: bool
    ticks_s: float
    sound_s: float
    events_s: float

    @property
    def worst_s(self) -> float:
        """Of all kinds."""
        return max(self.ticks_s, self.sound_s, self.events_s)


def measure(plays: Plays, options: argparse.Namespace) -> Found:
    """Kill so many writers.

    Raises:
        WorkerFailed: one of them did not even begin.
    """
    losses: list[Loss] = []
    chance = random.Random(1)  # noqa: S311 - any moments will do, the same ones each time
    with ExitStack() as stack:
        running: list[_Writer] = []
        started = 0
        while len(losses) < options.kills:
            while started < options.kills and len(running) < options.beside:
                started += 1
                one = _Writer(
                    plays.folder / "crash" / "game" / str(started),
                    options.rate,
                    plays.quality,
                    chance.uniform(*_LIVES_S),
                )
                stack.callback(one.close)
                running.append(one)
            _await_any(running)
            for one in [writer for writer in running if writer.is_due()]:
                running.remove(one)
                losses.append(judged(one.folder, one.kill()))
                shutil.rmtree(one.folder)
                if len(losses) % _TELL_EVERY == 0:
                    progress(f"  {len(losses)} kills, at most {max(loss.worst_s for loss in losses):.3f} s lost")
    return Found(summary(losses) | {"crash_rate_hz": options.rate, "crash_beside": options.beside}, [_NOTE])


def summary(losses: list[Loss]) -> dict[str, float | int]:
    """Flat numbers."""
    worst = [loss.worst_s for loss in losses]
    return {
        "crash_max_lost_s": round(max(worst), 4),
        "crash_p99_lost_s": round(quantile(worst, 0.99), 4),
        "crash_median_lost_s": round(quantile(worst, 0.5), 4),
        "crash_kills": len(losses),
        "crash_opened": sum(loss.opens for loss in losses),
        "crash_max_lost_ticks_s": round(max(loss.ticks_s for loss in losses), 4),
        "crash_max_lost_sound_s": round(max(loss.sound_s for loss in losses), 4),
        "crash_max_lost_events_s": round(max(loss.events_s for loss in losses), 4),
    }


def judged(folder: Path, handed: Handed) -> Loss:
    """Open what a kill left, decode all its pictures, and see what is missing of what was handed over."""
    last_ns = handed[-1][1]
    everything_s = (last_ns - handed[0][1]) / 1e9
    try:
        reader = SessionReader(folder)
        reader.frames(0, len(reader))
        events, heard = reader.events, len(reader.sound())
    except SessionError:
        return Loss(False, everything_s, everything_s, everything_s)
    there = reader.ticks.tick[: len(handed)]
    wanted = np.array([tick for tick, _ in handed[: len(there)]])
    kept = int(np.argmin(there == wanted)) if (there != wanted).any() else len(there)  # up to the first that is missing
    begins_ns = reader.info.start_ns
    return Loss(
        True,
        _since(last_ns, handed[kept - 1][1] if kept else begins_ns),
        _since(last_ns, begins_ns + round(heard * 1e9 / AUDIO_RATE_HZ)),
        _since(last_ns, events[-1].t_ns if events else begins_ns),
    )


def _since(last_ns: int, kept_ns: int) -> float:
    return max(0, last_ns - kept_ns) / 1e9


class _Writer:
    """A child that writes a session until it is killed, `lives_s` after its first tick."""

    def __init__(self, folder: Path, rate_hz: float, quality: str, lives_s: float) -> None:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._lives_s = lives_s
        self._process = subprocess.Popen(
            [*_COMMAND, str(folder), f"{rate_hz:g}", quality], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl+C is for us: we end them
        )  # fmt: skip
        self._due = float("inf")
        self._late = time.monotonic() + _START_S

    def fileno(self) -> int:
        """To select on, for its first word."""
        assert self._process.stdout is not None  # noqa: S101 - opened above
        return self._process.stdout.fileno()

    @property
    def has_begun(self) -> bool:
        """Whether it has told of its first tick."""
        return self._due < float("inf")

    def begins(self) -> None:
        """Its first tick was told: it lives so long from now."""
        self._due = time.monotonic() + self._lives_s

    def wait_s(self) -> float:
        """Time until something is to be done about it."""
        return min(self._due, self._late) - time.monotonic()

    def is_due(self) -> bool:
        """Whether it shall be killed now. Raises WorkerFailed when it never began."""
        if not self.has_begun and time.monotonic() > self._late:
            raise WorkerFailed(f"a writer did not begin within {_START_S:.0f} s")
        return time.monotonic() >= self._due

    def kill(self) -> Handed:
        """Kill it; what it had handed over. Raises WorkerFailed when it had ended by itself."""
        if (code := self._process.poll()) is not None:
            raise WorkerFailed(f"a writer ended by itself, with code {code}")
        self._process.kill()
        said, _ = self._process.communicate()
        lines = said.split(b"\n")[:-1]
        return [(int(tick), int(t_ns)) for tick, t_ns in map(bytes.split, lines)]

    def close(self) -> None:
        """End it; idempotent."""
        assert self._process.stdout is not None  # noqa: S101 - opened above
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def _await_any(running: list[_Writer]) -> None:
    """Sleep until one begins, or is to be killed."""
    silent = [one for one in running if not one.has_begun]
    patience_s = max(0.0, min(one.wait_s() for one in running))
    for one in select.select(silent, [], [], patience_s)[0]:
        one.begins()

"""Sessions after kill -9 of the writing process, at random moments."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest
from session_data import SPEC, pixels

from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.reader import SessionReader

_PROMISED_S = 1.0
_WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from session_data import SPEC, sample
from tray_agent.core.clock import MonotonicClock
from tray_agent.core.events import InputEvent
from tray_agent.core.media import AudioChunk
from tray_agent.core.sample import TickFlag
from tray_agent.runtime.pacer import Pacer
from tray_agent.sessions.writer import SessionWriter

writer = SessionWriter(Path(sys.argv[1]), SPEC, "game", [0.0] * 8, quality=sys.argv[2])
writer.start()
pacer = Pacer(MonotonicClock(), SPEC.rate_hz)
while True:
    tick = pacer.wait()
    now = time.monotonic_ns()
    writer.add_audio([AudioChunk(now, np.full(16000 // int(SPEC.rate_hz), 0.5, np.float32))])
    writer.add_events([InputEvent(now, "button", "KeyW", float(tick.index % 2), "d")])
    writer.add(sample(tick.index, now))
    print(tick.index, now, flush=True)
"""


def _run_and_kill(folder, seconds, quality):
    """Let a writer run, kill it; what it had been given (tick, t_ns) and the moment of the kill."""
    command = [sys.executable, "-c", _WRITER, str(folder), quality]
    env_path = str(sys.modules["session_data"].__file__).rsplit("/", 1)[0]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": env_path, "PATH": ""}) as child:
        first = child.stdout.readline()
        time.sleep(seconds)  # the moment of the kill is the experiment
        child.send_signal(signal.SIGKILL)
        killed_ns = time.monotonic_ns()
        lines = [first, *child.stdout.read().splitlines(keepends=True)]
    return [tuple(map(int, line.split())) for line in lines if line.endswith(b"\n")], killed_ns


@pytest.mark.parametrize(
    ("seed", "quality"), [*((seed, "lossless") for seed in range(12)), (12, "high"), (16, "small")]
)
def test_nothing_older_than_a_second_is_lost(tmp_path, seed, quality):
    """After kill -9 the session opens, and ticks, pixels, events and sound older than a second are all there."""
    folder = tmp_path / "game" / "session"
    seconds = random.Random(seed).uniform(0.0, 0.6) + (1.3 if seed % 4 == 0 else 0.0)
    given, killed_ns = _run_and_kill(folder, seconds, quality)
    old = [tick for tick, t_ns in given if t_ns < killed_ns - _PROMISED_S * 1e9]
    assert old or seed % 4, "the long runs must have something to lose"
    session = SessionReader(folder)
    assert session.info.closed is None
    assert session.ticks.tick[: len(old)].tolist() == old
    times = dict(given)
    for tick, t_ns in zip(session.ticks.tick.tolist(), session.ticks.t_ns.tolist(), strict=True):
        assert times.get(tick, t_ns) == t_ns  # the last one may have been written but not yet told
    for sample in session.samples():
        assert quality != "lossless" or (sample.pixels == pixels(sample.tick)).all()
    assert [e.value for e in session.events][: len(old)] == [float(tick % 2) for tick in old]
    if old:
        heard_s = len(session.sound()) / AUDIO_RATE_HZ
        assert heard_s >= (killed_ns - session.info.start_ns) / 1e9 - _PROMISED_S
    assert [s.folder for s in list_sessions(tmp_path, "game").sessions] == [folder]
    assert json.loads((folder / "session.json").read_text())["spec_digest"] == SPEC.digest

"""Sound from a real PulseAudio server: what is heard, when, and what happens as the server dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pulse_server import PulseServer

from tray_agent.core.clock import MonotonicClock
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.sound import pulse
from tray_agent.platforms.sound.pulse import PulseMonitor
from tray_agent.platforms.sound.timeline import duration_ns

SECOND = 1_000_000_000


class Listener:
    """Collects what a monitor gives."""

    def __init__(self, monitor: PulseMonitor) -> None:
        self.monitor = monitor
        self.chunks: list[AudioChunk] = []

    def until(self, check: Callable[[], bool], what: str, timeout_s: float = 12.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not check():
            if time.monotonic() > deadline:
                pytest.fail(f"waited {timeout_s} s for {what}; problem: {self.monitor.problem!r}")
            self.poll()
            time.sleep(0.01)

    def poll(self) -> list[AudioChunk]:
        self.chunks += (new := self.monitor.read())
        return new

    def hears_data(self) -> bool:
        return any(not c.gap for c in self.chunks)

    def span(self, since_ns: int, until_ns: int | None = None) -> tuple[int, np.ndarray]:
        """First time stamp and samples of all chunks that touch a stretch of time."""
        late = until_ns or self.chunks[-1].t_ns
        chunks = [c for c in self.chunks if c.t_ns + duration_ns(len(c.samples)) > since_ns and c.t_ns <= late]
        return chunks[0].t_ns, np.concatenate([c.samples for c in chunks])


@pytest.fixture(params=pulse.BACKENDS)
def listener(request: pytest.FixtureRequest, pulse_server: PulseServer) -> Iterator[Listener]:
    if not pulse.is_installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    monitor = PulseMonitor(MonotonicClock(), backends=(request.param,))
    monitor.start()
    yield Listener(monitor)
    monitor.close()


def test_tone_is_heard_with_its_pitch_and_time(listener: Listener, pulse_server: PulseServer) -> None:
    """With its frequency, its length, and a time stamp less than 60 ms off: one of eight, for the host may be busy."""
    listener.until(listener.hears_data, "the first samples")
    wrong: list[str] = []
    while len(wrong) < 8:
        started, ended = pulse_server.play(1000.0, 0.4)
        listener.until(lambda ended=ended: listener.chunks[-1].t_ns > ended + SECOND // 10, "the tone")
        said = wrong_with_tone(listener, started, ended)
        if not said:
            return
        wrong.append(said)
    pytest.fail("; ".join(wrong))


def wrong_with_tone(listener: Listener, started: int, ended: int) -> str:
    """What is wrong with 0.4 s of 1,000 Hz that a player began to play and ended then, "" if nothing is."""
    first_ns, samples = listener.span(started - SECOND // 10, ended + SECOND // 10)
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    if len(loud) < 2:
        return "not heard"
    count = int(loud[-1] - loud[0])
    pitch = np.abs(np.fft.rfft(samples[loud[0] : loud[-1]])).argmax() * AUDIO_RATE_HZ / count
    begin, end = (first_ns + int(place) * SECOND // AUDIO_RATE_HZ for place in (loud[0], loud[-1]))
    right = (
        ended - started < SECOND // 2,  # the player was not paused: else the times say nothing
        abs(pitch - 1000.0) < 5.0,
        abs(count / AUDIO_RATE_HZ - 0.4) < 0.02,
        begin > started - 60_000_000 and end < ended + 60_000_000,
    )
    times = (begin - started, ended - end, ended - started)
    after, before, took = (ns / 1e6 for ns in times)
    said = (
        f"{pitch:.0f} Hz for {count / AUDIO_RATE_HZ:.3f} s, {after:.0f} ms after and {before:.0f} before {took:.0f} ms"
    )
    return "" if all(right) else said


def test_new_default_output_is_followed(listener: Listener, pulse_server: PulseServer) -> None:
    """After another output became the default (headphones plugged in), that one is heard."""
    listener.until(listener.hears_data, "the first samples")
    pulse_server.pactl("load-module", "module-null-sink", "sink_name=phones", "norewinds=1")
    old = listener.monitor.recorder_pid
    pulse_server.pactl("set-default-sink", "phones")
    listener.until(lambda: listener.monitor.recorder_pid != old, "a recorder of the new output")
    since = time.monotonic_ns()
    listener.until(lambda: any(not c.gap and c.t_ns > since for c in listener.chunks), "its samples")
    started, ended = pulse_server.play(700.0, 0.3, sink="phones")
    listener.until(lambda: listener.chunks[-1].t_ns > ended, "the tone")
    assert np.abs(listener.span(started)[1]).max() > 0.1


def test_chunks_follow_each_other(listener: Listener) -> None:
    """20 in a row neither overlap nor leave holes worth a millisecond, and reach up to now (not always: busy hosts)."""
    listener.until(listener.hears_data, "the first samples")
    listener.until(lambda: follow_each_other(listener.chunks[-21:]), "20 chunks without a hole that reach up to now")


def follow_each_other(chunks: list[AudioChunk]) -> bool:
    ends = [c.t_ns + len(c.samples) * SECOND // AUDIO_RATE_HZ for c in chunks]
    steps = [c.t_ns - end for c, end in zip(chunks[1:], ends, strict=False)]
    so_many = len(steps) == 20 and max(abs(s) for s in steps) <= 1_000_000
    return so_many and time.monotonic_ns() - chunks[-1].t_ns < SECOND // 10


def test_server_killed_leaves_a_marked_gap_and_comes_back(listener: Listener, pulse_server: PulseServer) -> None:
    """While the server is dead, silence marked as a gap flows and says why; afterwards sound comes back by itself."""
    listener.until(listener.hears_data, "the first samples")
    pulse_server.kill()
    killed = time.monotonic_ns()
    listener.until(lambda: any(c.gap and c.t_ns > killed for c in listener.chunks), "a gap", 3.0)
    assert "not recorded" in listener.monitor.problem
    listener.until(lambda: listener.chunks[-1].t_ns > killed + SECOND, "a second of gap", 3.0)
    in_gap = [c for c in listener.chunks if killed + SECOND // 2 < c.t_ns]
    assert all(c.gap and not c.samples.any() for c in in_gap)
    pulse_server.start()
    listener.chunks.clear()
    listener.until(listener.hears_data, "sound after the restart", 10.0)
    started, ended = pulse_server.play(440.0, 0.3)
    listener.until(lambda: listener.chunks[-1].t_ns > ended, "the tone")
    assert np.abs(listener.span(started)[1]).max() > 0.1
    assert listener.monitor.problem == ""


def test_frozen_server_does_not_block(listener: Listener, pulse_server: PulseServer) -> None:
    """A server that stops answering makes a gap; neither read nor close waits for it."""
    listener.until(listener.hears_data, "the first samples")
    os.kill(pulse_server.pid(), signal.SIGSTOP)
    try:
        stopped = time.monotonic_ns()
        slowest = 0.0
        while time.monotonic_ns() - stopped < SECOND:
            begin = time.monotonic()
            listener.poll()
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.01)
        assert listener.chunks[-1].gap
        begin = time.monotonic()
        listener.monitor.close()
        assert time.monotonic() - begin < 3.0
        assert slowest < 0.9
    finally:
        os.kill(pulse_server.pid(), signal.SIGCONT)


def test_recorder_killed_is_replaced(listener: Listener) -> None:
    """A recorder that dies is started again."""
    listener.until(listener.hears_data, "the first samples")
    old = listener.monitor.recorder_pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    listener.until(lambda: listener.monitor.recorder_pid not in (None, old), "another recorder")
    listener.chunks.clear()
    listener.until(listener.hears_data, "its samples")


@pytest.mark.parametrize("backend", pulse.BACKENDS)
def test_recorder_leaves_with_a_killed_daemon(pulse_server: PulseServer, backend: str) -> None:
    """After kill -9 of the process that listens, its recorder ends by itself."""
    if not pulse.is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    program = (
        "import time\nfrom tray_agent.core.clock import MonotonicClock\n"
        "from tray_agent.platforms.sound.pulse import PulseMonitor\n"
        f"monitor = PulseMonitor(MonotonicClock(), backends=({backend!r},))\nmonitor.start()\n"
        "while all(c.gap for c in monitor.read()): time.sleep(0.01)\n"
        "print(monitor.recorder_pid, flush=True)\ntime.sleep(60)\n"
    )
    daemon = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    with daemon:
        assert daemon.stdout is not None
        recorder = int(daemon.stdout.readline())
        daemon.kill()
    deadline = time.monotonic() + 5
    while is_running(recorder):
        assert time.monotonic() < deadline, "the recorder outlived the daemon"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process exists and has not ended (an orphan may wait to be reaped)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_close_is_idempotent_and_leaves_no_process(listener: Listener) -> None:
    """After close the recorder is gone and reading gives nothing."""
    pid = listener.monitor.recorder_pid
    assert pid is not None
    listener.monitor.close()
    listener.monitor.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert listener.monitor.read() == []


def test_no_server_is_a_gap_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any server watching goes on: gaps, a stated problem, and both backends take turns."""
    usable = [name for name in pulse.BACKENDS if pulse.is_installed(name)]
    if not usable:
        pytest.skip("neither PortAudio nor parec is installed")
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent/pulse")
    monitor = PulseMonitor(MonotonicClock())
    monitor.start()
    listener = Listener(monitor)
    tried = set()
    try:

        def has_tried_all() -> bool:
            tried.add(monitor.backend)
            return bool(monitor.problem) and len(tried) == len(usable)

        listener.until(has_tried_all, "every backend to be tried")
        listener.until(lambda: bool(listener.chunks), "gap chunks")
        assert all(c.gap for c in listener.chunks)
    finally:
        monitor.close()


def test_nothing_installed_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Where neither PortAudio nor parec can be found, start says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(PlatformUnavailable, match="libportaudio2") as caught:
        PulseMonitor(MonotonicClock()).start()
    assert caught.value.remedy

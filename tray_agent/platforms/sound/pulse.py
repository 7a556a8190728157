"""Sound of a PulseAudio or PipeWire desktop, from the monitor of an output (Linux; sounddevice elsewhere).

Owns one recorder process at a time: sounddevice in its own process, or `parec` where PortAudio can't reach the
server (see decisions/0003-sound.md). One thread, the capture thread, calls everything; no thread is started here.
"""

import ctypes.util
import importlib.util
import os
import shutil
import sys

from tray_agent.core.clock import Clock
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.sound.default_output import DefaultOutputWatch
from tray_agent.platforms.sound.recorder import Recorder
from tray_agent.platforms.sound.timeline import Timeline

DEFAULT_MONITOR = "@DEFAULT_MONITOR@"
"""Name by which the server knows the monitor of its default output."""
BACKENDS = ("sounddevice", "parec")
REMEDY = "Install libportaudio2 and libasound2-plugins (or pulseaudio-utils), then start the daemon again"

LATENCY_NS = {"sounddevice": 8_000_000, "parec": 4_000_000}
"""Measured mean age of the newest sample when it can be read."""
STALL_NS = 250_000_000
"""Nothing for so long: silence is filled in, as a gap."""
HUNG_NS = 3_000_000_000
"""Nothing for so long: the recorder is replaced (an idle output may take over a second to begin)."""
FIRST_RETRY_NS = 200_000_000
LAST_RETRY_NS = 2_000_000_000


class PulseMonitor:
    """AudioSource over a monitor source. `problem` tells why nothing is heard, "" while all is well."""

    def __init__(self, clock: Clock, device: str | None = None, backends: tuple[str, ...] = BACKENDS) -> None:
        """Store; see `start`.

        Args:
            clock: the desktop's clock; must be real time.
            device: name of a Pulse source ("game.monitor"); None for the default output's monitor.
            backends: which to try, best first.
        """
        self._clock = clock
        self._device = device or DEFAULT_MONITOR
        self._watch = DefaultOutputWatch() if device is None else None
        self._wanted = backends
        self._usable: list[str] = []
        self._recorder: Recorder | None = None
        self._timeline = Timeline(0)
        self._heard_ns = self._read_ns = self._retry_ns = 0
        self._wait_ns = FIRST_RETRY_NS
        self._has_heard = False
        self.problem = ""

    @property
    def backend(self) -> str:
        """The backend in use, or to be tried next."""
        return self._usable[0] if self._usable else ""

    @property
    def recorder_pid(self) -> int | None:
        """Process id of the running recorder."""
        return self._recorder.pid if self._recorder else None

    def start(self) -> None:
        """Begin to record; a server that is not there yet is waited for.

        Raises:
            PlatformUnavailable: no program or library that could record is installed.
        """
        self._usable = [name for name in self._wanted if is_installed(name)]
        if not self._usable:
            raise PlatformUnavailable(f"sound can't be recorded: none of {', '.join(self._wanted)} is usable", REMEDY)
        now = self._clock.now_ns()
        self._timeline = Timeline(now)
        self._read_ns = now
        self._open(now)

    def read(self) -> list[AudioChunk]:
        """See AudioSource. A lost server gives gap chunks, and is tried again at most every 2 s."""
        if not self._usable:
            return []
        now = self._clock.now_ns()
        unread_ns, self._read_ns = now - self._read_ns, now
        if self._recorder is None and now >= self._retry_ns:
            self._open(now)
        if self._recorder is None:
            return self._timeline.fill(now, gap=True)
        # a pipe that was full holds old sound, and nothing tells how old
        is_stale = unread_ns > self._recorder.holds_ns * 3 // 4
        return self._take(self._recorder, now, is_stale)

    def close(self) -> None:
        """Stop recording; idempotent."""
        self._usable = []
        if self._watch is not None:
            self._watch.close()
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _open(self, now: int) -> None:
        try:
            self._recorder = Recorder(*command_of(self.backend, self._device))
        except OSError as error:
            self._lose(str(error), now)
            return
        self._heard_ns = now
        self._has_heard = False
        if self._watch is not None:
            self._watch.start()

    def _take(self, recorder: Recorder, now: int, is_stale: bool) -> list[AudioChunk]:
        was_alive = recorder.is_alive()  # asked before reading, so that its last samples are not lost
        samples = recorder.read()
        if len(samples):
            self._has_heard, self._heard_ns, self._wait_ns, self.problem = True, now, FIRST_RETRY_NS, ""
        chunks: list[AudioChunk] = []
        if len(samples) and not is_stale:
            chunks = self._timeline.place(samples, now - LATENCY_NS[self.backend], gap_before=True)
        if not was_alive:
            self._lose(recorder.last_words(), now)
        elif self._watch is not None and self._watch.has_changed():
            self._reopen(now)
        elif now - self._heard_ns > HUNG_NS:
            self._lose("the sound server does not answer", now)
        elif now - self._heard_ns > STALL_NS:
            chunks += self._timeline.fill(now - STALL_NS, gap=True)
        return chunks

    def _reopen(self, now: int) -> None:
        """Record what is the default output now; the moment between is filled with silence."""
        if self._recorder is not None:
            self._recorder.close()
        self._open(now)

    def _lose(self, reason: str, now: int) -> None:
        """Drop the recorder, note why, and plan the next try; a backend that never gave a sample steps back."""
        self.problem = f"sound is not recorded ({self.backend} on {self._device}: {reason})"
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None
        if not self._has_heard:
            self._usable.append(self._usable.pop(0))
        self._retry_ns = now + self._wait_ns
        self._wait_ns = min(self._wait_ns * 2, LAST_RETRY_NS)


def is_installed(backend: str) -> bool:
    """Whether what a backend needs is on this machine (nothing is loaded)."""
    if backend == "parec":
        return shutil.which("parec") is not None
    if importlib.util.find_spec("sounddevice") is None:
        return False
    return sys.platform != "linux" or ctypes.util.find_library("portaudio") is not None


def command_of(backend: str, device: str) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a recorder."""
    if backend == "parec":
        fixed = ["parec", "--raw", "--format=float32le", f"--rate={AUDIO_RATE_HZ}", "--channels=1"]
        return [*fixed, "--latency-msec=10", "-d", device], dict(os.environ)
    command = [sys.executable, "-m", "tray_agent.platforms.sound"]
    # PortAudio knows no Pulse sources, only ALSA's "pulse"; which source that is, is told by the environment
    with_pulse = command, {**os.environ, "PULSE_SOURCE": device}
    return with_pulse if sys.platform == "linux" else ([*command, "--device", device], dict(os.environ))

"""Sound of the default output on Windows, through WASAPI loopback (PyAudioWPatch).

sounddevice can't do this: its PortAudio has no loopback. PyAudio's callback thread stamps and enqueues; the capture
thread calls everything else. Loopback delivers nothing while nothing plays, so silence there is silence, no gap.
Not run on real Windows by us; what needs no Windows is tested.
"""

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from tray_agent.core.clock import Clock
from tray_agent.core.media import AudioChunk, Samples
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.sound.resample import Resampler, to_mono
from tray_agent.platforms.sound.timeline import Timeline

REMEDY = "Install PyAudioWPatch (pip install PyAudioWPatch) and switch an output device on in Windows' sound settings"
RETRY_NS = 2_000_000_000
CHECK_NS = 2_000_000_000
"""How often the stream is asked whether it still runs."""
QUIET_NS = 100_000_000
"""Nothing for so long: nothing plays."""
_QUEUE_BLOCKS = 512


class WasapiLoopback:
    """AudioSource over the loopback of the default output. `problem` tells why nothing is heard."""

    def __init__(self, clock: Clock, load: Callable[[], Any] | None = None) -> None:
        """Store; see `start`.

        Args:
            clock: the desktop's clock; must be real time.
            load: returns the PyAudioWPatch module.
        """
        self._clock = clock
        self._load = load or _load_pyaudio
        self._module: Any = None
        self._audio: Any = None
        self._stream: Any = None
        self._name = ""
        self._arrived: deque[tuple[int, Samples]] = deque(maxlen=_QUEUE_BLOCKS)
        self._timeline = Timeline(0)
        self._retry_ns = self._check_ns = 0
        self.problem = ""

    def start(self) -> None:
        """Begin to record; an output that is not there yet is waited for.

        Raises:
            PlatformUnavailable: PyAudioWPatch is missing.
        """
        self._module = self._load()
        now = self._clock.now_ns()
        self._timeline = Timeline(now)
        self._open(now)

    def read(self) -> list[AudioChunk]:
        """See AudioSource."""
        if self._module is None:
            return []
        now = self._clock.now_ns()
        self._supervise(now)
        chunks: list[AudioChunk] = []
        while self._arrived:
            t_ns, samples = self._arrived.popleft()
            chunks += self._timeline.place(samples, t_ns)
        is_lost = self._stream is None
        return chunks + self._timeline.fill(now, True) if is_lost else chunks + self._fill_quiet(now)

    def close(self) -> None:
        """Stop recording; idempotent."""
        self._drop()
        self._module = None

    def _fill_quiet(self, now: int) -> list[AudioChunk]:
        until = now - QUIET_NS
        return self._timeline.fill(until, gap=False) if until > self._timeline.next_ns else []

    def _supervise(self, now: int) -> None:
        if self._stream is None:
            if now >= self._retry_ns:
                self._open(now)
        elif now >= self._check_ns:
            self._check_ns = now + CHECK_NS
            try:
                is_running = self._stream.is_active()
            except OSError:
                is_running = False
            if not is_running:
                self._lose("the output device went away", now)

    def _open(self, now: int) -> None:
        try:
            self._audio = self._module.PyAudio()
            device = self._audio.get_default_wasapi_loopback()
            rate, channels = int(device["defaultSampleRate"]), int(device["maxInputChannels"])
            self._stream = self._audio.open(
                format=self._module.paFloat32,
                channels=channels,
                rate=rate,
                input=True,
                input_device_index=device["index"],
                frames_per_buffer=rate // 100,
                stream_callback=self._callback(Resampler(rate), channels),
            )
        except (OSError, LookupError, ValueError) as error:
            self._lose(str(error), now)
            return
        self._name, self._check_ns, self.problem = str(device["name"]), now + CHECK_NS, ""

    def _callback(self, resampler: Resampler, channels: int) -> Callable[..., tuple[None, int]]:
        go_on = self._module.paContinue

        def on_block(data: bytes, frames: int, time: Any, status: int) -> tuple[None, int]:  # noqa: ARG001
            t_ns = self._clock.now_ns()
            samples = np.nan_to_num(np.frombuffer(data, np.float32))
            self._arrived.append((t_ns, np.clip(resampler.process(to_mono(samples, channels)), -1.0, 1.0)))
            return None, go_on

        return on_block

    def _lose(self, reason: str, now: int) -> None:
        self._drop()
        self.problem = f"sound is not recorded (loopback of {self._name or 'the default output'}: {reason})"
        self._retry_ns = now + RETRY_NS

    def _drop(self) -> None:
        stream, audio = self._stream, self._audio
        self._stream = self._audio = None
        for end in (getattr(stream, "close", None), getattr(audio, "terminate", None)):
            if end is not None:
                with contextlib.suppress(OSError):
                    end()


def _load_pyaudio() -> Any:
    try:
        import pyaudiowpatch
    except (ImportError, OSError) as error:
        raise PlatformUnavailable(f"sound can't be recorded: PyAudioWPatch does not load ({error})", REMEDY) from error
    return pyaudiowpatch

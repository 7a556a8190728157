"""What the agent sees and hears, once a tick; owns screen and sound sources and the rolling buffers (tick thread)."""

import logging
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tray_agent.capture.input_pump import Inputs
from tray_agent.capture.log_mel import LogMel
from tray_agent.core.desktop import Desktop
from tray_agent.core.events import InputEvent
from tray_agent.core.media import AudioChunk, Frame
from tray_agent.core.policy import PolicySpec
from tray_agent.core.ports import AudioSource, ScreenSource
from tray_agent.core.sample import AudioFeatures
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.runtime.ring import FrameRing, RecordRing

_log = logging.getLogger(__name__)
BUFFER_SECONDS = 60.0
_AUDIO_RETRY_NS = 2_000_000_000
_STILL_DIFFERENCE = 2  # grey levels: below this two pixels are the same to a video codec, and to us


@dataclass(frozen=True, slots=True)
class Observation:
    """One tick.

    Attributes:
        t_ns: where the tick begins: the action held from here to the next observation answers to `frame`.
        frame: the picture.
        audio: log-mel features of the stretch before `t_ns`, zeros without sound.
        audio_gap: whether sound was missing in that stretch.
        events: input events from the last observation's `t_ns` to this one's.
        chunks: sound that arrived since the last observation.
        still_s: how long the picture has not changed, seconds.
    """

    t_ns: int
    frame: Frame
    audio: AudioFeatures
    audio_gap: bool
    events: list[InputEvent]
    chunks: list[AudioChunk]
    still_s: float


class Observer:
    """Screen and sound of one game. One thread uses it."""

    def __init__(self, desktop: Desktop, spec: PolicySpec, inputs: Inputs, buffer_bytes: int) -> None:
        self._desktop = desktop
        self._spec = spec
        self._inputs = inputs
        self._screen: ScreenSource | None = None
        self._audio: AudioSource | None = None
        self._audio_retry_ns = 0
        rate_hz = spec.rate_hz * desktop.speed
        self._mel = LogMel(rate_hz, desktop.audio_lag_ns)
        self._silence = np.zeros(spec.audio_shape, np.float32)
        shape = (spec.frame_height, spec.frame_width, 3)
        seconds = min(BUFFER_SECONDS, max(2.0, buffer_bytes / (math.prod(shape) * rate_hz)))
        self.frames = FrameRing(seconds, rate_hz, shape, max_bytes=buffer_bytes)
        self.buffer_seconds = seconds
        self.events: RecordRing[InputEvent] = RecordRing(BUFFER_SECONDS, 1 << 20)
        self.sound: RecordRing[AudioChunk] = RecordRing(BUFFER_SECONDS, 8 << 20)
        self._last_t_ns = 0
        self._last_pixels: npt.NDArray[np.uint8] | None = None
        self._changed_ns = 0
        self.audio_problem = ""
        self.began_ns = 0
        """Frames up to here are from before the last pause."""

    def start(self) -> None:
        """Open the screen (and the sound, if the spec wants it; watching goes on without).

        Raises:
            PlatformUnavailable: the screen can't be captured.
        """
        self._screen = self._desktop.screen(self._spec)
        try:
            self._screen.start()
        except (PlatformUnavailable, CaptureLost):
            self.close()
            raise
        self._try_audio(self._desktop.clock.now_ns())

    def set_region(self, rect: tuple[int, int, int, int] | None) -> None:
        """Capture this part of the screen from now on."""
        if self._screen is not None:
            self._screen.set_region(rect)

    def pause(self) -> None:
        """The game is not in front: nothing that is pressed now is kept."""
        self._inputs.pause()

    def resume(self) -> None:
        """After a pause: what was pressed meanwhile is forgotten, buffers do not count the pause as lost frames."""
        self.began_ns = self._last_t_ns
        self._inputs.begin_anew(self._last_t_ns or self._desktop.clock.now_ns())
        self.frames.restart_timing()
        self._last_pixels = None

    def observe(self) -> Observation:
        """Look and listen now.

        Raises:
            CaptureLost: the screen is gone.
        """
        if self._screen is None:
            raise CaptureLost("the screen is not open")
        frame = self._screen.grab()
        now_ns = self._desktop.clock.now_ns()
        t_ns = frame.t_ns if frame.t_ns > self._last_t_ns else now_ns
        self._last_t_ns = t_ns
        self.frames.append(t_ns, frame.pixels)
        events = self._inputs.take(t_ns)
        for event in events:
            self.events.append(event.t_ns, event)
        chunks = self._listen(now_ns)
        features, gap = self._silence, False
        if self._spec.audio:
            features, gap = self._mel.features(t_ns), self._mel.is_gap(t_ns)
        return Observation(t_ns, frame, features, gap, events, chunks, self._still_s(frame, t_ns))

    def close(self) -> None:
        """Close screen and sound, keep nothing that is pressed; idempotent."""
        self._inputs.pause()
        for source in (self._screen, self._audio):
            if source is not None:
                source.close()
        self._screen = self._audio = None

    def _still_s(self, frame: Frame, t_ns: int) -> float:
        last = self._last_pixels
        if last is None or self._differs(frame.pixels, last):
            self._changed_ns = t_ns
            self._last_pixels = frame.pixels
        return (t_ns - self._changed_ns) / 1e9

    @staticmethod
    def _differs(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> bool:
        return bool((np.maximum(a, b) - np.minimum(a, b) > _STILL_DIFFERENCE).any())

    def _listen(self, now_ns: int) -> list[AudioChunk]:
        if not self._spec.audio:
            return []
        if self._audio is None:
            self._try_audio(now_ns)
        chunks: list[AudioChunk] = []
        try:
            chunks = self._audio.read() if self._audio is not None else []
        except CaptureLost as error:
            self._drop_audio(str(error), now_ns)
        self.audio_problem = self._audio.problem if self._audio is not None else self.audio_problem
        self._mel.add(chunks)
        for chunk in chunks:
            self.sound.append(chunk.t_ns, chunk, chunk.samples.nbytes)
        return chunks

    def _try_audio(self, now_ns: int) -> None:
        if not self._spec.audio or now_ns < self._audio_retry_ns:
            return
        if self._desktop.audio is None:
            self._drop_audio(self._desktop.no_audio, now_ns)
            return
        audio = self._desktop.audio()
        try:
            audio.start()
        except (PlatformUnavailable, CaptureLost) as error:
            audio.close()
            self._drop_audio(str(error), now_ns)
            return
        self._audio, self.audio_problem = audio, ""

    def _drop_audio(self, problem: str, now_ns: int) -> None:
        if problem != self.audio_problem:
            _log.warning("sound: %s; watching goes on without it", problem)
        self.audio_problem = problem
        self._audio_retry_ns = now_ns + _AUDIO_RETRY_NS
        if self._audio is not None:
            self._audio.close()
            self._audio = None

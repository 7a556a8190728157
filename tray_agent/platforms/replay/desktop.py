"""A recording as a desktop: its frames, sound and inputs come again when their time has come.

Knows no file format: whoever holds the recording hands over plain arrays. The sources start no thread; each may be
used by one thread of its own. In lockstep (a `ManualClock`) the caller's pacer moves the time.
"""

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tray_agent.core.clock import Clock
from tray_agent.core.events import InputEvent, WindowInfo
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk, Frame, Pixels, Samples
from tray_agent.errors import CaptureLost

_WINDOW = WindowInfo(1, "replay", "replay", (0, 0, 0, 0))
_CHUNK_NS = 50_000_000


@dataclass(frozen=True)
class Recording:
    """What is replayed; all times on the recording's own clock.

    Attributes:
        frame_times: t_ns of every frame, rising, int64 (n,), at least one.
        frame: number of a frame -> its pixels (h, w, 3), uint8.
        events: raw inputs in order.
        sound: mono samples at AUDIO_RATE_HZ (n,), float32; may be empty.
        sound_start_ns: time of the first sample.
        window: what `WindowProbe` reports while it lasts.
    """

    frame_times: npt.NDArray[np.int64]
    frame: Callable[[int], Pixels]
    events: Sequence[InputEvent] = ()
    sound: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    sound_start_ns: int = 0
    window: WindowInfo = _WINDOW


class ReplayDesktop:
    """The four sources of a recording, sharing one start. The first source to start starts the playback."""

    def __init__(self, recording: Recording, clock: Clock) -> None:
        """Store only.

        Raises:
            ValueError: the recording has no frame, or its frames do not rise in time.
        """
        times = recording.frame_times
        if len(times) == 0 or (np.diff(times) <= 0).any():
            raise ValueError("a recording needs frames that rise in time")
        period = int(times[-1] - times[-2]) if len(times) > 1 else 0
        timeline = _Timeline(clock, int(times[0]), int(times[-1]) + period)
        self.clock = clock
        self.screen = ReplayScreen(recording, timeline)
        self.inputs = ReplayInputs(recording, timeline)
        self.audio = ReplayAudio(recording, timeline)
        self.window = ReplayWindow(recording, timeline)
        self._timeline = timeline

    @property
    def ended(self) -> bool:
        """Whether one period after the last frame has passed."""
        return self._timeline.ended


class _Timeline:
    """Maps the recording's clock to the desktop's."""

    def __init__(self, clock: Clock, first_ns: int, end_ns: int) -> None:
        self._clock = clock
        self._end_ns = end_ns
        self._first_ns = first_ns
        self._shift: int | None = None

    def start(self) -> None:
        if self._shift is None:
            self._shift = self._clock.now_ns() - self._first_ns

    @property
    def ended(self) -> bool:
        return self.now() > self._end_ns

    def now(self) -> int:
        """Time on the recording's clock; its beginning before the start."""
        return self._first_ns if self._shift is None else self._clock.now_ns() - self._shift

    def outer(self, t_ns: int) -> int:
        """A time of the recording on the desktop's clock."""
        return t_ns + (self._shift or 0)

    def sleep_until(self, t_ns: int) -> None:
        self._clock.sleep_until(self.outer(t_ns))


class ReplayScreen:
    """ScreenSource of a recording."""

    def __init__(self, recording: Recording, timeline: _Timeline) -> None:
        self._recording = recording
        self._timeline = timeline

    def start(self) -> None:
        self._timeline.start()

    def grab(self) -> Frame:
        """The newest frame whose time has come. Raises CaptureLost once one period after the last frame passed."""
        times, now = self._recording.frame_times, self._timeline.now()
        i = max(0, int(np.searchsorted(times, now, side="right")) - 1)
        if self._timeline.ended:
            raise CaptureLost("the recording has ended")
        return Frame(self._timeline.outer(int(times[i])), self._recording.frame(i))

    def set_region(self, rect: tuple[int, int, int, int] | None) -> None:
        """Nothing to do: the recording holds what it holds."""

    def close(self) -> None: ...


class ReplayInputs:
    """InputSource of a recording."""

    def __init__(self, recording: Recording, timeline: _Timeline) -> None:
        self._events = recording.events
        self._times = [event.t_ns for event in recording.events]
        self._timeline = timeline
        self._next = 0

    def start(self) -> None:
        self._timeline.start()

    def read(self, timeout_s: float) -> list[InputEvent]:
        """Events since the last call; a wait moves a `ManualClock`, so in lockstep call it with 0."""
        if timeout_s > 0 and not self._is_due(self._timeline.now()):
            wake = self._timeline.now() + int(timeout_s * 1e9)
            if self._next < len(self._times):
                wake = min(wake, self._times[self._next])
            self._timeline.sleep_until(wake)
        stop = bisect.bisect_right(self._times, self._timeline.now())
        events = self._events[self._next : stop]
        self._next = max(self._next, stop)
        return [replace(event, t_ns=self._timeline.outer(event.t_ns)) for event in events]

    def close(self) -> None: ...

    def _is_due(self, now_ns: int) -> bool:
        return self._next < len(self._times) and self._times[self._next] <= now_ns


class ReplayAudio:
    """AudioSource of a recording."""

    def __init__(self, recording: Recording, timeline: _Timeline) -> None:
        self.problem = ""
        self._sound = recording.sound
        self._start_ns = recording.sound_start_ns
        self._timeline = timeline
        self._next = 0

    def start(self) -> None:
        self._timeline.start()

    def read(self) -> list[AudioChunk]:
        """What has been heard since the last call, in chunks of at most 50 ms."""
        now = self._timeline.now()
        stop = min(len(self._sound), max(self._next, (now - self._start_ns) * AUDIO_RATE_HZ // 10**9))
        size = _CHUNK_NS * AUDIO_RATE_HZ // 10**9
        starts = range(self._next, stop, size)
        self._next = stop
        return [self._chunk(first, min(first + size, stop)) for first in starts]

    def close(self) -> None: ...

    def _chunk(self, first: int, stop: int) -> AudioChunk:
        t_ns = self._start_ns + first * 10**9 // AUDIO_RATE_HZ
        return AudioChunk(self._timeline.outer(t_ns), self._sound[first:stop])


class ReplayWindow:
    """WindowProbe of a recording."""

    def __init__(self, recording: Recording, timeline: _Timeline) -> None:
        self._recording = recording
        self._timeline = timeline

    def start(self) -> None:
        self._timeline.start()

    def active(self) -> WindowInfo | None:
        """The recording's window until one period after its last frame, then None."""
        return None if self._timeline.ended else self._recording.window

    def close(self) -> None: ...

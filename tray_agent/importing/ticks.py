"""Steps of any rate -> samples at the game's rate (no I/O; one thread).

Steps are turned into the input events that would have made them, and those go through the product's own
`TickAccumulator`: a button counts as held in a tick when it was pressed in it or is down at its end, relative controls
add up, axes keep their last position. A tick's picture is the newest one when the tick begins.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np

from tray_agent.capture.log_mel import LogMel
from tray_agent.core.controls import TickAccumulator
from tray_agent.core.events import EventKind, InputEvent
from tray_agent.core.media import AudioChunk, Pixels
from tray_agent.core.policy import PolicySpec
from tray_agent.core.reduce import RawPixels, reduce
from tray_agent.core.sample import AudioFeatures, TickFlag, TickSample
from tray_agent.errors import ImportFailed
from tray_agent.importing.action_names import ActionNames
from tray_agent.importing.item import Step

HOLE_NS = 2_000_000_000
"""When no picture came for so long the recording had stopped: ticks are left out, and the next one has GAP."""
_SPREAD_NS = 1_000_000_000  # what was moved in a longer step is taken to have moved in its first second
_SNAP = 0.05  # of a tick: how far rounded times of an equal rate may lie beside the tick they belong to
_DEVICE = "import"


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick, with what else belongs into the session up to its end.

    Attributes:
        sample: the tick.
        events: all that was pressed and moved in it.
        chunks: sound that came up to its beginning.
    """

    sample: TickSample
    events: list[InputEvent]
    chunks: list[AudioChunk]


def ticks(steps: Iterable[Step], spec: PolicySpec, names: ActionNames, sound: Iterator[AudioChunk]) -> Iterator[Tick]:
    """Samples of one item.

    Args:
        steps: of the item.
        spec: what is recorded.
        names: of the actions; counts those that can't be mapped.
        sound: of the item, in order of time; empty without.

    Raises:
        ImportFailed: times go backwards.
        ValueError: a picture has a wrong shape, an action no number.
    """
    resampler = _Resampler(spec, names, sound)
    length_ns = 0
    for step, following in pairwise(chain(steps, [None])):
        assert step is not None  # noqa: S101 - only the last of the chain is None, and no pair begins with it
        length_ns = following.t_ns - step.t_ns if following is not None else length_ns
        if length_ns < 0:
            raise ImportFailed(f"after {step.t_ns / 1e9:.3f} s comes {(step.t_ns + length_ns) / 1e9:.3f} s")
        yield from resampler.take(step, length_ns or resampler.period_ns)
    yield from resampler.finish()


class _Resampler:
    """Closes ticks as time goes on."""

    def __init__(self, spec: PolicySpec, names: ActionNames, sound: Iterator[AudioChunk]) -> None:
        self._spec, self._names = spec, names
        self.period_ns = round(1e9 / spec.rate_hz)
        self._accumulator = TickAccumulator(spec.controls)
        self._kinds: dict[str, EventKind] = dict.fromkeys(spec.controls.buttons, "button")
        self._kinds.update(dict.fromkeys(spec.controls.relative, "relative"))
        self._kinds.update(dict.fromkeys(spec.controls.axes, "axis"))
        self._state = dict.fromkeys((*spec.controls.buttons, *spec.controls.axes), 0.0)
        self._events: list[InputEvent] = []
        self._hearing = _Hearing(spec, sound)
        self._begin_ns: int | None = None  # of the first tick: when the first picture came
        self._count = 0  # ticks closed or left out
        self._written = 0
        self._newest: tuple[int, RawPixels] | None = None
        self._shown: tuple[int, RawPixels] | None = None  # the newest when the open tick began
        self._reduced: tuple[RawPixels, Pixels] | None = None
        self._gap = True
        self._end_ns = 0

    def take(self, step: Step, length_ns: int) -> Iterator[Tick]:
        """Take a step that lasts `length_ns`; the ticks that ended before it or within it."""
        t_ns = self._snapped(step.t_ns)
        yield from self._close_until(t_ns)
        if step.pixels is not None:
            self._newest = (t_ns, step.pixels)
            if self._begin_ns is None:
                self._begin_ns = t_ns
                self._accumulator.take()  # what was tapped before there was anything to see
                self._events = []
            if t_ns == self._tick_ns(self._count):
                self._shown = self._newest
        for event in self._events_of(t_ns, step.actions, length_ns):
            yield from self._close_until(event.t_ns)
            self._events.append(event)
            self._accumulator.add([event])
        self._end_ns = t_ns + length_ns

    def finish(self) -> Iterator[Tick]:
        """The ticks up to the end of the last step."""
        yield from self._close_until(self._snapped(self._end_ns))

    def _tick_ns(self, count: int) -> int:
        return (self._begin_ns or 0) + round(count * 1e9 / self._spec.rate_hz)

    def _snapped(self, t_ns: int) -> int:
        """The beginning of a tick when the time is that but for rounding."""
        if self._begin_ns is None:
            return t_ns
        nearest = self._tick_ns(round((t_ns - self._begin_ns) / self.period_ns))
        return nearest if abs(t_ns - nearest) <= _SNAP * self.period_ns else t_ns

    def _close_until(self, t_ns: int) -> Iterator[Tick]:
        while self._begin_ns is not None and self._tick_ns(self._count + 1) <= t_ns:
            tick = self._closed()
            self._count += 1
            self._shown = self._newest
            if tick is not None:
                yield tick

    def _closed(self) -> Tick | None:
        action, events = self._accumulator.take(), self._events
        self._events = []
        begin_ns = self._tick_ns(self._count)
        if self._shown is None or begin_ns - self._shown[0] > HOLE_NS:
            self._gap = True
            return None
        audio, lacking, chunks = self._hearing.until(begin_ns)
        flags = TickFlag.LEARN
        if self._gap:
            flags |= TickFlag.GAP
        if lacking:
            flags |= TickFlag.AUDIO_GAP
        sample = TickSample(self._written, begin_ns, self._small(self._shown[1]), audio, action, flags)
        self._gap = False
        self._written += 1
        return Tick(sample, events, chunks)

    def _small(self, pixels: RawPixels) -> Pixels:
        if self._reduced is None or self._reduced[0] is not pixels:
            self._reduced = (pixels, reduce(pixels, (self._spec.frame_width, self._spec.frame_height)))
        return self._reduced[1]

    def _events_of(self, t_ns: int, actions: Mapping[str, float], length_ns: int) -> list[InputEvent]:
        values = self._names.values(actions)
        if not all(map(math.isfinite, values.values())):
            raise ValueError(f"at {t_ns / 1e9:.3f} s an action is no finite number")
        found = []
        for control, before in self._state.items():
            value = values.get(control, 0.0)
            now = float(value >= 0.5) if self._kinds[control] == "button" else min(1.0, max(-1.0, value))
            if now != before:
                self._state[control] = now
                found.append(InputEvent(t_ns, self._kinds[control], control, now, _DEVICE))
        moved = {control: values[control] for control in self._spec.controls.relative if values.get(control)}
        parts = max(1, round(min(length_ns, _SPREAD_NS) / self.period_ns))
        for part in range(parts):  # a step longer than a tick moves in all of its ticks
            at_ns = self._snapped(t_ns + part * min(length_ns, _SPREAD_NS) // parts)
            found += [InputEvent(at_ns, "relative", c, v / parts, _DEVICE) for c, v in moved.items()]
        return found


class _Hearing:
    """Sound -> features at each tick, by the product's own arithmetic."""

    def __init__(self, spec: PolicySpec, sound: Iterator[AudioChunk]) -> None:
        self._sound = sound if spec.audio else iter(())
        self._mel = LogMel(spec.rate_hz) if spec.audio else None
        self._silence = np.zeros(spec.audio_shape, np.float32)
        self._waiting: AudioChunk | None = next(self._sound, None)

    def until(self, t_ns: int) -> tuple[AudioFeatures, bool, list[AudioChunk]]:
        """Features of the stretch that ends at `t_ns`, whether it is lacking, and the chunks that came since."""
        if self._mel is None:
            return self._silence, False, []
        chunks = []
        while self._waiting is not None and self._waiting.t_ns <= t_ns:
            chunks.append(self._waiting)
            self._waiting = next(self._sound, None)
        self._mel.add(chunks)
        return self._mel.features(t_ns), self._mel.is_gap(t_ns), chunks

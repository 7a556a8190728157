"""Made-up but checkable ticks for tests of sessions: everything in a tick follows from its number."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tray_agent.core.clock import ManualClock
from tray_agent.core.controls import Controls
from tray_agent.core.events import InputEvent
from tray_agent.core.media import AudioChunk
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import AUDIO_BANDS, AUDIO_STEPS, TickFlag, TickSample
from tray_agent.sessions.layout import METADATA
from tray_agent.sessions.writer import SessionWriter

CONTROLS = Controls(("KeyW", "KeyA"), ("MouseX",), ("PadLX",))
SPEC = PolicySpec(CONTROLS, rate_hz=50, frame_width=48, frame_height=36, audio=True)
SILENT = PolicySpec(CONTROLS, rate_hz=20, frame_width=16, frame_height=12)
VECTOR = [0.0] * 7 + [1.5]
PERIOD_NS = 50_000_000


def pixels(tick: int, width: int = SPEC.frame_width, height: int = SPEC.frame_height) -> np.ndarray:
    """Noise that only this tick has, uint8 (height, width, 3)."""
    return np.random.default_rng(tick).integers(0, 256, (height, width, 3), dtype=np.uint8)


def sample(tick: int, t_ns: int | None = None, spec: PolicySpec = SPEC, flags: TickFlag = TickFlag.LEARN) -> TickSample:
    """The tick with that number."""
    return TickSample(
        tick=tick,
        t_ns=tick * PERIOD_NS if t_ns is None else t_ns,
        pixels=pixels(tick, spec.frame_width, spec.frame_height),
        audio=np.full((AUDIO_STEPS, AUDIO_BANDS), tick / 8, np.float32),
        action=np.array([tick % 2, 1, tick / 4, -0.5], np.float32),
        flags=flags,
    )


def record(
    folder: Path,
    ticks: Iterable[int] = range(40),
    spec: PolicySpec = SILENT,
    game: str = "game",
    marks: Iterable[tuple[int, int, TickFlag]] = (),
    close: bool = True,
    **options: Any,
) -> SessionWriter:
    """Write a session of these ticks, with an event in each, and with sound where the spec has it."""
    writer = SessionWriter(folder, spec, game, VECTOR, clock=ManualClock(), threaded=False, **options)
    writer.start()
    for tick in ticks:
        t_ns = tick * PERIOD_NS
        writer.add_events([InputEvent(t_ns, "button", "KeyW", float(tick % 2), "d")])
        writer.add_audio([AudioChunk(t_ns, np.full(800, (tick % 100) / 100, np.float32))])
        writer.add(sample(tick, spec=spec))
    for mark in marks:
        writer.mark(*mark)
    if close:
        assert writer.close()
        assert writer.failure is None
    return writer


def rewrite(folder: Path, **changes: Any) -> None:
    """Change fields of a session's metadata."""
    path = folder / METADATA
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))

"""Sessions to export: everything in them follows from the number of the tick, and pictures survive a video codec."""

from pathlib import Path

import numpy as np
from session_data import CONTROLS, VECTOR

from tray_agent.core.events import InputEvent
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.sessions.files import SessionFiles
from tray_agent.sessions.layout import begin
from tray_agent.sessions.reader import SessionReader

SPEC = PolicySpec(CONTROLS, rate_hz=20, frame_width=48, frame_height=35)
HEARING = PolicySpec(CONTROLS, rate_hz=20, frame_width=48, frame_height=35, audio=True)
PERIOD_NS = 50_000_000
START_NS = 7_000_000_000


def picture(tick: int, spec: PolicySpec = SPEC) -> np.ndarray:
    """A gradient of colours that moves with the tick."""
    y, x = np.mgrid[: spec.frame_height, : spec.frame_width]
    return np.stack([(4 * x + 8 * tick) % 200, 5 * y, 200 - 4 * x], axis=-1).astype(np.uint8)


def record(folder: Path, count: int, spec: PolicySpec = SPEC, game: str = "g") -> SessionReader:
    """A session of so many ticks; a tone of 440 Hz if the spec hears."""
    files = SessionFiles(folder, begin(spec, game, VECTOR, START_NS, {}))
    files.open()
    for tick in range(count):
        t_ns = START_NS + tick * PERIOD_NS
        action = np.array([tick % 2, 1, tick / 3, -0.5], np.float32)
        audio = np.full(spec.audio_shape, tick / 8, np.float32)
        flags = TickFlag.LEARN | (TickFlag.GAP if tick == 0 else TickFlag(0))
        if spec.audio:
            step = AUDIO_RATE_HZ // 20
            tone = np.sin(2 * np.pi * 440 * np.arange(tick * step, (tick + 1) * step) / AUDIO_RATE_HZ) / 2
            files.write([AudioChunk(t_ns, tone.astype(np.float32))])
        files.write([InputEvent(t_ns + 5, "button", "KeyW", float(tick % 2), "kbd")])
        files.write(TickSample(tick, t_ns, picture(tick, spec), audio, action, flags))
    files.finish({})
    return SessionReader(folder)


def near(one: np.ndarray, other: np.ndarray, most: float = 4.0) -> bool:
    """Whether pictures differ by no more than a codec makes of them, mean grey levels."""
    return one.shape == other.shape and float(np.abs(one.astype(int) - other.astype(int)).mean()) < most

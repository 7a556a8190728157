"""Made-up but checkable ticks for tests of sessions: everything in a tick follows from its number."""

import numpy as np

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import AUDIO_BANDS, AUDIO_STEPS, TickFlag, TickSample

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

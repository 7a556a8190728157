"""A child of `bench sessions` that is killed: `python -m tray_agent.bench.crash_writer FOLDER RATE QUALITY`.

Writes a session in real time through the product's own writer - 128x96 pictures that move, sound, one event a tick -
and prints "TICK T_NS" after each tick was handed to it. Main thread, and the writer's.
"""

import sys
from pathlib import Path
from typing import get_args

import numpy as np

from tray_agent.core.clock import MonotonicClock
from tray_agent.core.controls import Controls
from tray_agent.core.events import InputEvent
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk, Pixels, VideoQuality
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.runtime.pacer import Pacer
from tray_agent.sessions.writer import SessionWriter

KEY = "Space"
_SIZE = (128, 96)


def main() -> None:
    """Write until killed."""
    folder, rate_hz = Path(sys.argv[1]), float(sys.argv[2])
    quality = next(each for each in get_args(VideoQuality) if each == sys.argv[3])
    clock = MonotonicClock()
    spec = PolicySpec(Controls((KEY,)), rate_hz, *_SIZE, audio=True)
    writer = SessionWriter(folder, spec, "game", [0.0] * spec.vector_size, clock=clock, quality=quality)
    random = np.random.default_rng(1)
    scenery = random.integers(0, 256, (_SIZE[1], _SIZE[0], 3), np.uint8)
    heard = random.uniform(-0.5, 0.5, round(AUDIO_RATE_HZ / rate_hz)).astype(np.float32)
    features = np.zeros(spec.audio_shape, np.float32)
    writer.start()
    pacer = Pacer(clock, rate_hz)
    while True:
        tick = pacer.wait().index
        now_ns = clock.now_ns()
        writer.add_audio([AudioChunk(now_ns - round(1e9 / rate_hz), heard)])
        writer.add_events([InputEvent(now_ns, "button", KEY, float(tick % 2), "keyboard")])
        action = np.array([tick % 2], np.float32)
        writer.add(TickSample(tick, now_ns, _moved(scenery, tick), features, action, TickFlag.LEARN))
        print(tick, now_ns, flush=True)


def _moved(scenery: Pixels, tick: int) -> Pixels:
    """As a game that scrolls shows it."""
    return np.roll(scenery, tick * 2, axis=1)


if __name__ == "__main__":
    main()

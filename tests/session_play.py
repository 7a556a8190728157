"""Recorded play of a made-up game: the picture is as bright as the tick's number says."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tray_agent.core.clock import ManualClock
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.sessions.layout import new_folder
from tray_agent.sessions.writer import SessionWriter


def record(
    root: Path, spec: PolicySpec, actions: Sequence[Sequence[float]], brightness: Sequence[int] = (), game: str = "toy"
) -> Path:
    """A session of these action vectors under `root`, with pictures of this brightness (black); its folder."""
    folder = new_folder(root, game)
    writer = SessionWriter(folder, spec, game, (0.5,) * spec.vector_size, clock=ManualClock(), threaded=False)
    writer.start()
    for tick, action in enumerate(actions):
        grey = brightness[tick] if brightness else 0
        pixels = np.full((spec.frame_height, spec.frame_width, 3), grey, np.uint8)
        audio, pressed = np.zeros(spec.audio_shape, np.float32), np.array(action, np.float32)
        writer.add(TickSample(tick, tick * 50_000_000, pixels, audio, pressed, TickFlag.LEARN))
    writer.close()
    return folder

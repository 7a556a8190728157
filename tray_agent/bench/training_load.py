"""A trainer at full speed, to measure beside: `python -m tray_agent.bench.training_load THREADS`.

The real learner on made-up samples, at the trainer's priority, on as many threads as told. Prints "learning" after
its first update, and then the number of updates at each line it reads; ends when stdin closes. Main thread only.
"""

import contextlib
import os
import select
import sys

import numpy as np
import torch

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.training.learner import Learner
from tray_agent.training.replay import Replay

_TICKS = 512
_NICE = 10


def main() -> int:
    """Learn until the daemon's place at stdin is empty."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.nice(_NICE)
    torch.set_num_threads(int(sys.argv[1]))
    learner = _learner()
    learner.update()
    print("learning", flush=True)
    while True:
        learner.update()
        if select.select([sys.stdin], [], [], 0)[0]:
            if not sys.stdin.readline():
                return 0
            print(learner.updates, flush=True)


def _learner() -> Learner:
    controls = Controls(buttons=("ArrowLeft", "ArrowRight", "Space"))
    spec = PolicySpec(controls, 20.0, 84, 84, vector_size=1)
    random = np.random.default_rng(0)
    replay = Replay(spec, 1 << 28)
    for tick in range(_TICKS):
        pixels = random.integers(0, 255, (spec.frame_height, spec.frame_width, 3), np.uint8)
        action = (random.random(controls.size) > 0.5).astype(np.float32)
        audio = np.zeros(spec.audio_shape, np.float32)
        replay.add("made up", TickSample(tick, tick * 50_000_000, pixels, audio, action, TickFlag.LEARN))
    return Learner(spec, (1.0,), replay)


if __name__ == "__main__":
    sys.exit(main())

"""Recorded play whose answer is known, and runs on it, for tests of offline training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.sessions.layout import game_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training.offline.options import TrainingOptions
from tray_agent.training.offline.progress import Progress
from tray_agent.training.offline.ranks import Ranks
from tray_agent.training.offline.run import Run

SPEC = PolicySpec(Controls(("ArrowLeft", "ArrowRight")), rate_hz=2, frame_width=40, frame_height=36, frames=2)
FASTER = replace(SPEC, rate_hz=4)
VECTOR = (1.0,) + (0.0,) * 7
GAME = "squares"


def ticks(count: int, seed: int, spec: PolicySpec = SPEC, wrong: float = 0.0) -> list[TickSample]:
    """A square left or right tells the key, but for a share of wrong ones."""
    random = np.random.default_rng(seed)
    made = []
    for tick in range(count):
        pixels = random.integers(0, 60, (spec.frame_height, spec.frame_width, 3), dtype=np.uint8)
        right = bool(random.integers(2))
        slip = random.random() < wrong
        x, y = int(random.integers(0, 12)) + (20 if right else 0), int(random.integers(0, 28))
        pixels[y : y + 8, x : x + 8] = 230
        action = np.array([right == slip, right != slip], np.float32)
        audio = np.zeros(spec.audio_shape, np.float32)
        made.append(TickSample(tick, tick * 500_000_000, pixels, audio, action, TickFlag.LEARN))
    return made


def record(
    root: Path, number: int, count: int = 240, game: str = GAME, spec: PolicySpec = SPEC, wrong: float = 0.0
) -> Path:
    """A session; names sort by number."""
    folder = game_folder(root, game) / f"2026010{number}T000000Z-{game}"
    writer = SessionWriter(folder, spec, game, VECTOR, threaded=False)
    writer.start()
    for one in ticks(count, number, spec, wrong):
        writer.add(one)
    writer.close()
    return folder


def quiet() -> Progress:
    return Progress(Console(quiet=True))


def go(root: Path, **more: Any) -> dict[str, Any]:
    """A run of one exactly repeatable process on the sessions under a root."""
    usual: dict[str, Any] = {"game": GAME, "sessions": (root,), "threads": 1, "precision": "float32", "segment": 10}
    if more.get("resume"):
        usual = {"game": GAME}
    return Run(TrainingOptions(**(usual | more)), Ranks(), quiet()).go()

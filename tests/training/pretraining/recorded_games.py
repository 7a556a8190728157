"""Recorded play of made-up games whose answer is known, for tests of pretraining."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.sessions.layout import game_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training.pretraining.games import Game, open_games, sessions_by_game

SPEC = PolicySpec(Controls(("ArrowLeft", "ArrowRight")), rate_hz=2, frame_width=40, frame_height=36)
SILENCE = np.zeros(SPEC.audio_shape, np.float32)


def vector_of(name: str) -> tuple[float, ...]:
    return (float(ord(name[0]) - ord("a")),) + (0.5,) * 7


def ticks(spec: PolicySpec, count: int) -> list[TickSample]:
    """A square left or right tells the key."""
    random = np.random.default_rng(4)
    made = []
    for tick in range(count):
        pixels = random.integers(0, 60, (spec.frame_height, spec.frame_width, 3), dtype=np.uint8)
        right = bool(random.integers(2))
        x, y = int(random.integers(0, 12)) + (spec.frame_width // 2 if right else 0), int(random.integers(0, 28))
        pixels[y : y + 8, x : x + 8] = 230
        action = np.array([not right, right], np.float32)
        made.append(TickSample(tick, tick * 500_000_000, pixels, SILENCE, action, TickFlag.LEARN))
    return made


def write(root: Path, name: str, count: int = 80, spec: PolicySpec = SPEC) -> Path:
    """A recorded session of a game under a root, its folder."""
    folder = game_folder(root, name) / f"20260101T000000Z-{name}"
    writer = SessionWriter(folder, spec, name, vector_of(name), threaded=False)
    writer.start()
    for one in ticks(spec, count):
        writer.add(one)
    writer.close()
    return folder


def never(name: str, why: str) -> None:
    """Nothing is to be left out."""
    raise AssertionError(f"{name}: {why}")


def opened(root: Path, names: Iterable[str], seed: int = 0) -> list[Game]:
    """Games under a root as the command opens them."""
    sessions = sessions_by_game([root], (), never)
    return open_games({name: sessions[name] for name in names}, 1 << 26, 20, seed, never)

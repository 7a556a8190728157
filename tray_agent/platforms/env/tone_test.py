"""A game that can only be played by ear (no threads)."""

import random

import numpy as np

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.core.media import Pixels, Samples
from tray_agent.platforms.env.game import Facts, GameInfo

HIGH_HZ, LOW_HZ = 1760.0, 440.0
KEYS = {"high": "ArrowUp", "low": "ArrowDown"}
_SIZE = 64
_FRAMES_PER_S, _FRAMES_PER_TICK = 60, 4
_SOUND_RATE_HZ = 16_000
_LOUDNESS = 0.3
_CUE_S = (0.8, 2.0)
_PER_FRAME = 1 / _FRAMES_PER_TICK
_MOST_HEARD = 600  # nobody listens: keep ten seconds at most


class ToneTest:
    """A high tone asks for up, a low one for down, silence for neither.

    A tick scores +1 with the right key alone, -1 with any key that is not asked for, else 0. The picture, drifting
    stripes, tells nothing. An episode has about as much of each tone and of silence; order and lengths follow the seed.
    """

    def __init__(self) -> None:
        self.info = GameInfo(
            name="tone-test",
            controls=Controls(buttons=tuple(KEYS.values())),
            frames_per_s=float(_FRAMES_PER_S),
            frames_per_tick=_FRAMES_PER_TICK,
            width=_SIZE,
            height=_SIZE,
            max_ticks=600,
            sound_rate_hz=_SOUND_RATE_HZ,
        )
        self._frames = 0
        self._cues: list[str] = []
        self._phase = 0.0
        self._heard: list[Samples] = []

    def start(self) -> None:
        """Nothing to load."""

    def reset(self, seed: int) -> None:
        self._frames = 0
        self._phase = 0.0
        self._heard.clear()
        self._cues = _cues(seed, self.info.max_ticks * _FRAMES_PER_TICK)

    def advance(self, command: Command, frames: int) -> float:
        reward = 0.0
        for _ in range(frames):
            if self.over:
                break
            cue = self._cues[self._frames]
            self._heard.append(self._tone(cue))
            reward += _PER_FRAME * _worth(cue, command)
            self._frames += 1
        del self._heard[:-_MOST_HEARD]
        return reward

    def _tone(self, cue: str) -> Samples:
        """Sound of one frame; the phase goes on, so that nothing clicks within a tone."""
        here, after = (count * _SOUND_RATE_HZ // _FRAMES_PER_S for count in (self._frames, self._frames + 1))
        hz = {"high": HIGH_HZ, "low": LOW_HZ}.get(cue, 0.0)
        angle = self._phase + 2 * np.pi * hz / _SOUND_RATE_HZ * np.arange(1, after - here + 1)
        self._phase = float(angle[-1] % (2 * np.pi)) if hz else 0.0
        sound: Samples = (_LOUDNESS * np.sin(angle) * bool(hz)).astype(np.float32)
        return sound

    @property
    def over(self) -> bool:
        return self._frames >= len(self._cues)

    def pixels(self) -> Pixels:
        stripes = (np.arange(_SIZE)[:, None] + np.arange(_SIZE)[None, :] + self._frames // 2) % 16 < 8
        return np.where(stripes[..., None], np.array([90, 110, 160]), np.array([40, 50, 70])).astype(np.uint8)

    def sound(self) -> Samples:
        heard = np.concatenate([np.zeros(0, np.float32), *self._heard])
        self._heard.clear()
        return heard

    def facts(self) -> Facts:
        """`tone`: 1 while the high one sounded last, -1 for the low one, 0 for silence."""
        cue = self._cues[self._frames - 1] if self._frames else ""
        return Facts(numbers={"tone": {"high": 1.0, "low": -1.0}.get(cue, 0.0)})

    def close(self) -> None:
        """Nothing to unload."""


def _worth(cue: str, command: Command) -> int:
    pressed = command.held & set(KEYS.values())
    asked = {KEYS[cue]} if cue in KEYS else set()
    if pressed - asked:
        return -1
    return int(bool(pressed))


def _cues(seed: int, frames: int) -> list[str]:
    """What each frame asks for: "high", "low" or "" in shuffled threes, each for a time of its own."""
    dice = random.Random(f"tone-test {seed}")  # noqa: S311 - play, not secrets
    cues: list[str] = []
    while len(cues) < frames:
        order = ["high", "low", ""]
        dice.shuffle(order)
        for cue in order:
            cues += [cue] * round(dice.uniform(*_CUE_S) * _FRAMES_PER_S)
    return cues[:frames]

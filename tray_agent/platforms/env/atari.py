"""Atari 2600 games of the ale-py package, as an EnvGame (no threads)."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.core.media import Pixels, Samples
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.env.game import Facts, GameInfo

STICK_OF_KEYS = {"Space": "FIRE", "ArrowUp": "UP", "ArrowDown": "DOWN", "ArrowLeft": "LEFT", "ArrowRight": "RIGHT"}
STICK_ACTIONS = (
    "NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT", "UPLEFT", "DOWNRIGHT", "DOWNLEFT", "UPFIRE",
    "RIGHTFIRE", "LEFTFIRE", "DOWNFIRE", "UPRIGHTFIRE", "UPLEFTFIRE", "DOWNRIGHTFIRE", "DOWNLEFTFIRE",
)  # fmt: skip
"""The emulator's 18 actions; the index is their number."""

_WIDTH, _HEIGHT = 160, 210
_FRAMES_PER_S = 60.0
_FRAMES_PER_TICK = 4
_SOUND_RATE_HZ = 30_720  # 512 samples a frame
_STICKY = 0.25


@dataclass(frozen=True)
class AtariRom:
    """One game of the wheel.

    Attributes:
        name: name in the catalog.
        rom: name of the ROM.
        keys: the keys it answers to.
        max_ticks: episodes are cut there.
        stick: what the keys do to the joystick.
        afterglow: so many frames stay to be seen at once, as on a television. For games that draw some things only
            in every other or third frame: a tick of 4 frames would miss them.
    """

    name: str
    rom: str
    keys: tuple[str, ...]
    max_ticks: int = 4500
    stick: Mapping[str, str] = field(default_factory=lambda: STICK_OF_KEYS)
    afterglow: int = 1


class AtariGame:
    """A ROM with sticky actions (probability 0.25 a frame). One tick is 4 of its 60 frames a second."""

    def __init__(self, rom: AtariRom, sticky: float = _STICKY) -> None:
        self._rom = rom
        self._sticky = sticky
        self.info = GameInfo(
            name=rom.name,
            controls=Controls(buttons=rom.keys),
            frames_per_s=_FRAMES_PER_S,
            frames_per_tick=_FRAMES_PER_TICK,
            width=_WIDTH,
            height=_HEIGHT,
            max_ticks=rom.max_ticks,
            sound_rate_hz=_SOUND_RATE_HZ,
        )
        self._ale: Any = None
        self._path = Path()
        self._heard: list[Samples] = []
        self._glow: deque[Pixels] = deque(maxlen=rom.afterglow - 1)

    def start(self) -> None:
        try:
            import ale_py
            from ale_py import roms
        except ImportError as error:
            raise PlatformUnavailable(f"ale-py can't be loaded: {error}", "Run: pip install ale-py") from error
        path = roms.get_rom_path(self._rom.rom)
        if path is None:
            raise PlatformUnavailable(f"this ale-py has no ROM {self._rom.rom!r}", "Update ale-py")
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._ale = ale_py.ALEInterface()
        self._ale.setBool("sound_obs", True)
        self._ale.setFloat("repeat_action_probability", self._sticky)
        self._path = Path(path)

    def reset(self, seed: int) -> None:
        # the emulator takes a new seed only when the ROM is loaded
        self._ale.setInt("random_seed", seed % 2**31)
        self._ale.loadROM(str(self._path))
        self._ale.reset_game()
        self._heard.clear()
        self._glow.clear()

    def advance(self, command: Command, frames: int) -> float:
        action = stick_action({self._rom.stick[key] for key in command.held if key in self._rom.stick})
        reward = 0.0
        for _ in range(frames):
            if self.over:
                break
            if self._glow.maxlen:
                self._glow.append(self._ale.getScreenRGB())
            reward += self._ale.act(action)
            self._heard.append((self._ale.getAudio().astype(np.float32) - 128.0) / 128.0)
        del self._heard[:-600]  # nobody listens: keep ten seconds at most
        return reward

    @property
    def over(self) -> bool:
        return bool(self._ale.game_over())

    def pixels(self) -> Pixels:
        picture: Pixels = self._ale.getScreenRGB()
        for earlier in self._glow:
            picture = np.maximum(picture, earlier)
        return picture

    def sound(self) -> Samples:
        heard = np.concatenate(self._heard) if self._heard else np.zeros(0, np.float32)
        self._heard.clear()
        return heard

    def facts(self) -> Facts:
        return Facts(ram=self._ale.getRAM(), numbers={"lives": float(self._ale.lives())})

    def close(self) -> None:
        self._ale = None


def stick_action(on: set[str]) -> int:
    """Number of the emulator's action for the joystick's closed contacts; opposite directions cancel."""
    for pair in ({"UP", "DOWN"}, {"LEFT", "RIGHT"}):
        if pair <= on:
            on = on - pair
    name = "".join(part for part in ("UP", "DOWN", "LEFT", "RIGHT", "FIRE") if part in on)
    return STICK_ACTIONS.index(name or "NOOP")


_SIDEWAYS = ("ArrowLeft", "ArrowRight")
_UPDOWN = ("ArrowUp", "ArrowDown")
_PADDLE = {"Space": "FIRE", "ArrowUp": "RIGHT", "ArrowDown": "LEFT"}  # the paddle goes up when turned right
ROMS = {
    rom.name: rom
    for rom in (
        AtariRom("skiing", "skiing", _SIDEWAYS),
        AtariRom("pong", "pong", (*_UPDOWN, "Space"), stick=_PADDLE),
        AtariRom("breakout", "breakout", (*_SIDEWAYS, "Space"), 3000),
        AtariRom("freeway", "freeway", _UPDOWN),
        AtariRom("space-invaders", "space_invaders", (*_SIDEWAYS, "Space"), 3000, afterglow=2),
        AtariRom("ms-pacman", "ms_pacman", (*_SIDEWAYS, *_UPDOWN), 3000, afterglow=3),
        AtariRom("demon-attack", "demon_attack", (*_SIDEWAYS, "Space"), 3000, afterglow=2),
        AtariRom("boxing", "boxing", (*_SIDEWAYS, *_UPDOWN, "Space"), 2000),
    )
}

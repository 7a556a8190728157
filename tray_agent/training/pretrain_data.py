"""Random play of many Atari games, kept as planes: what the shipped encoder learns from (numpy; no torch)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tray_agent.core.events import Command
from tray_agent.core.reduce import reduce
from tray_agent.platforms.env.atari import ROMS, AtariGame, AtariRom
from tray_agent.platforms.env.players.player import RandomPlayer
from tray_agent.training.planes import PLANES, planes_of

WIDTH, HEIGHT = 80, 105
"""Frames of the Atari profiles in config/games.yaml."""
FRAMES = 4
KEYS = ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Space")
AHEAD = 3
"""A positive lies up to so many decisions later."""
GAMES = (
    "alien", "amidar", "assault", "asterix", "asteroids", "atlantis", "bank_heist", "battle_zone", "beam_rider",
    "berzerk", "bowling", "carnival", "centipede", "chopper_command", "crazy_climber", "defender", "enduro",
    "fishing_derby", "frostbite", "gopher", "gravitar", "hero", "ice_hockey", "jamesbond", "journey_escape",
    "kangaroo", "krull", "kung_fu_master", "name_this_game", "phoenix", "pitfall", "pooyan", "qbert", "riverraid",
    "road_runner", "seaquest", "tennis", "time_pilot", "up_n_down", "zaxxon",
)  # fmt: skip
"""ROMs played by default: none that has a profile or is evaluated."""
EVALUATED = frozenset({rom.rom for rom in ROMS.values()} | {"pacman"})
"""ROMs that must not be seen here, so that a gain in play is one on games the encoder never saw."""
_AFTERGLOW = 2  # many games draw some things in every other frame only


@dataclass
class Play:
    """Random play of one game.

    Attributes:
        planes: uint8, shape (ticks, 3, HEIGHT, WIDTH).
        held: float32 0 or 1, shape (ticks, len(KEYS)): what was held from that frame to the next.
        starts: tick at which the episode of each tick began, shape (ticks,).
        usable: ticks whose AHEAD next ones belong to the same episode.
    """

    rom: str
    planes: npt.NDArray[np.uint8]
    held: npt.NDArray[np.float32]
    starts: npt.NDArray[np.int64]
    usable: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        later = np.minimum(np.arange(len(self.starts)) + AHEAD, len(self.starts) - 1)
        fits = np.arange(len(self.starts)) + AHEAD < len(self.starts)
        self.usable = np.flatnonzero(fits & (self.starts[later] == self.starts))

    def stack(self, tick: int, into: npt.NDArray[np.uint8]) -> None:
        """Luma of the last FRAMES frames up to `tick`, then its colour, into (FRAMES + 2, HEIGHT, WIDTH)."""
        first = self.starts[tick]
        for n, earlier in enumerate(range(tick - FRAMES + 1, tick + 1)):
            into[n] = self.planes[max(first, earlier), 0]
        into[FRAMES:] = self.planes[tick, 1:]


def played(rom: str, ticks: int, seed: int) -> Play:
    """Play `rom` at random, keys held 0.13 to 0.6 s.

    Raises:
        ValueError: the game is one of those evaluated.
        PlatformUnavailable: ale-py or the ROM is missing.
    """
    if rom in EVALUATED:
        raise ValueError(f"{rom} is among the games that are evaluated; an encoder that saw it would prove nothing")
    game = AtariGame(AtariRom(rom, rom, KEYS, afterglow=_AFTERGLOW))
    planes = np.empty((ticks, PLANES, HEIGHT, WIDTH), np.uint8)
    held = np.zeros((ticks, len(KEYS)), np.float32)
    starts = np.zeros(ticks, np.int64)
    game.start()
    try:
        for tick, start, command in _ticks(game, ticks, seed):
            planes[tick] = planes_of(reduce(game.pixels(), (WIDTH, HEIGHT)))
            held[tick] = [key in command.held for key in KEYS]
            starts[tick] = start
    finally:
        game.close()
    return Play(rom, planes, held, starts)


def _ticks(game: AtariGame, ticks: int, seed: int) -> Iterator[tuple[int, int, Command]]:
    """Tick, start of its episode, what is held in it; the game moves on between two of them."""
    player = RandomPlayer(game.info.controls)
    start = 0
    for tick in range(ticks):
        if tick == start:
            game.reset(seed + tick)
            player.reset(seed + tick)
        command = player.decide(game)
        yield tick, start, command
        game.advance(command, game.info.frames_per_tick)
        if game.over:
            start = tick + 1

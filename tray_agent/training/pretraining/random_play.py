"""Random play of many Atari games: what the shipped encoder learns from (numpy; no torch)."""

from collections.abc import Iterator

import numpy as np

from tray_agent.core.events import Command
from tray_agent.core.planes import PLANES, planes_of
from tray_agent.core.reduce import reduce
from tray_agent.platforms.env.atari import ROMS, AtariGame, AtariRom
from tray_agent.platforms.env.players.player import RandomPlayer
from tray_agent.training.pretraining.plays import Play

WIDTH, HEIGHT = 80, 105
"""Frames of the Atari profiles in config/games.yaml."""
KEYS = ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Space")
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

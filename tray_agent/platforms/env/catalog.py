"""The packaged games by name, each with its scripted player (no threads)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tray_agent.errors import UnknownGame
from tray_agent.platforms.env.airstriker import airstriker
from tray_agent.platforms.env.atari import ROMS, AtariGame
from tray_agent.platforms.env.car_racing import KEYS, PAD, car_racing
from tray_agent.platforms.env.doom import SCENARIOS, DoomGame
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.gym_game import registered_game
from tray_agent.platforms.env.players import atari as atari_players
from tray_agent.platforms.env.players import doom as doom_players
from tray_agent.platforms.env.players import drive
from tray_agent.platforms.env.players.demons import DemonsPlayer
from tray_agent.platforms.env.players.faults import Faults, with_faults
from tray_agent.platforms.env.players.invaders import InvadersPlayer
from tray_agent.platforms.env.players.pacman import PacmanPlayer
from tray_agent.platforms.env.players.paddles import BreakoutPlayer, PongPlayer
from tray_agent.platforms.env.players.player import HandOf, Player
from tray_agent.platforms.env.players.striker import StrikerPlayer
from tray_agent.platforms.env.players.tone import TonePlayer
from tray_agent.platforms.env.tone_test import ToneTest


@dataclass(frozen=True)
class Entry:
    """One game.

    Attributes:
        make_game: a new, not yet started game.
        make_player: its scripted player, without a human hand; None where nobody wrote one.
    """

    make_game: Callable[[], EnvGame]
    make_player: Callable[[], Player] | None = None


_GYM = "gym:"
_PLAYERS: dict[str, Callable[[], Player]] = {
    "airstriker": StrikerPlayer,
    "car-racing": drive.KeyDriver,
    "car-racing-pad": drive.PadDriver,
    "doom-basic": doom_players.BasicPlayer,
    "doom-health": doom_players.HealthPlayer,
    "doom-center": doom_players.CenterPlayer,
    "doom-line": doom_players.CenterPlayer,
    "doom-cover": doom_players.CoverPlayer,
    "skiing": atari_players.SkiingPlayer,
    "pong": PongPlayer,
    "breakout": BreakoutPlayer,
    "boxing": atari_players.BoxingPlayer,
    "space-invaders": InvadersPlayer,
    "ms-pacman": PacmanPlayer,
    "demon-attack": DemonsPlayer,
    "tone-test": TonePlayer,
    "freeway": atari_players.FreewayPlayer,
}


def catalog() -> dict[str, Entry]:
    """All games by name. Names do not tell whether the package is installed: `start()` does."""
    games: dict[str, Callable[[], EnvGame]] = {name: partial(DoomGame, one) for name, one in SCENARIOS.items()}
    games |= {name: partial(AtariGame, rom) for name, rom in ROMS.items()}
    games |= {
        "airstriker": airstriker,
        "tone-test": ToneTest,
        "car-racing": partial(car_racing, KEYS),
        "car-racing-pad": partial(car_racing, PAD),
    }
    return {name: Entry(make, _PLAYERS.get(name)) for name, make in games.items()}


def entry(name: str) -> Entry:
    """The game called `name`, or "gym:ID" for any registered Gymnasium environment with discrete actions.

    Raises:
        UnknownGame: there is none of that name; the message names those there are.
    """
    if name.startswith(_GYM):
        return Entry(partial(registered_game, name.removeprefix(_GYM)))
    found = catalog().get(name)
    if found is None:
        raise UnknownGame(f"no packaged game is called {name!r}; there are: {', '.join(sorted(catalog()))}")
    return found


def scripted_player(name: str, faults: Faults | None = None) -> Player:
    """The scripted player of a game, with a human hand and `faults`. Raises UnknownGame when it has none."""
    make = entry(name).make_player
    if make is None:
        raise UnknownGame(f"nobody wrote a scripted player for {name!r}")
    return HandOf(with_faults(make(), faults or Faults()))

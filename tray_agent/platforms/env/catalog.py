"""The packaged games by name, each with its scripted player (no threads)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tray_agent.errors import UnknownGame
from tray_agent.platforms.env.atari import ROMS, AtariGame
from tray_agent.platforms.env.doom import SCENARIOS, DoomGame
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players import atari as atari_players
from tray_agent.platforms.env.players import doom as doom_players
from tray_agent.platforms.env.players.player import HandOf, Player


@dataclass(frozen=True)
class Entry:
    """One game.

    Attributes:
        make_game: a new, not yet started game.
        make_player: its scripted player, without a human hand; None where nobody wrote one.
    """

    make_game: Callable[[], EnvGame]
    make_player: Callable[[], Player] | None = None


_PLAYERS: dict[str, Callable[[], Player]] = {
    "doom-basic": doom_players.BasicPlayer,
    "doom-health": doom_players.HealthPlayer,
    "doom-center": doom_players.CenterPlayer,
    "doom-line": doom_players.CenterPlayer,
    "skiing": atari_players.SkiingPlayer,
}


def catalog() -> dict[str, Entry]:
    """All games by name. Names do not tell whether the package is installed: `start()` does."""
    games: dict[str, Callable[[], EnvGame]] = {name: partial(DoomGame, one) for name, one in SCENARIOS.items()}
    games |= {name: partial(AtariGame, rom) for name, rom in ROMS.items()}
    return {name: Entry(make, _PLAYERS.get(name)) for name, make in games.items()}


def entry(name: str) -> Entry:
    """The game called `name`. Raises UnknownGame, naming those there are."""
    found = catalog().get(name)
    if found is None:
        raise UnknownGame(f"no packaged game is called {name!r}; there are: {', '.join(sorted(catalog()))}")
    return found


def scripted_player(name: str) -> Player:
    """The scripted player of a game, with a human hand. Raises UnknownGame when it has none."""
    make = entry(name).make_player
    if make is None:
        raise UnknownGame(f"nobody wrote a scripted player for {name!r}")
    return HandOf(make())

"""The Atari 2600's 18 actions by name, and which keys they are (no I/O)."""

from collections.abc import Mapping

from tray_agent.platforms.env.atari import ROMS, STICK_ACTIONS, STICK_OF_KEYS
from tray_agent.settings.games import GameProfile

_NOTHING = "NOOP"


def held(action: int) -> dict[str, float]:
    """The emulator's action of that number as a step's actions.

    Raises:
        ValueError: there is none of that number.
    """
    if not 0 <= action < len(STICK_ACTIONS):
        raise ValueError(f"action {action}; the emulator has 0 to {len(STICK_ACTIONS) - 1}")
    name = STICK_ACTIONS[action]
    return {} if name == _NOTHING else {name: 1.0}


def names(profile: GameProfile) -> Mapping[str, str]:
    """Action name -> keys: those of the packaged game if the profile is one, else arrows and Space.

    In packaged paddle games the keys up and down turn the paddle, that is RIGHT and LEFT.
    """
    rom = ROMS.get(profile.environment or "")
    stick = rom.stick if rom is not None else STICK_OF_KEYS
    key_of = {move: key for key, move in stick.items()}
    return {name: "+".join(key_of.get(move, move) for move in _moves(name)) for name in STICK_ACTIONS}


def _moves(name: str) -> list[str]:
    """The joystick's moves in an action: "UPLEFTFIRE" -> UP, LEFT, FIRE."""
    return [move for move in ("UP", "DOWN", "LEFT", "RIGHT", "FIRE") if move in name]

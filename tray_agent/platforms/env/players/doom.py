"""Scripted players of the Doom scenarios; they read the engine's labels (no threads)."""

from tray_agent.core.events import Command
from tray_agent.platforms.env.doom import WIDTH
from tray_agent.platforms.env.game import EnvGame, SeenObject
from tray_agent.platforms.env.players.player import IDLE, holding

_MIDDLE = WIDTH / 2


class BasicPlayer:
    """Strafes until the monster is in the middle, then shoots."""

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:
        monsters = [thing for thing in game.facts().objects if thing.name == "Cacodemon"]
        if not monsters:
            return IDLE
        off = monsters[0].centre_x - _MIDDLE
        if abs(off) <= 7:
            return holding("Space")
        return holding("ArrowRight" if off > 0 else "ArrowLeft")


class HealthPlayer:
    """Walks to the nearest medikit, turning on the way; searches by turning."""

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:
        kits = [thing for thing in game.facts().objects if "edikit" in thing.name]
        if not kits:
            return holding("ArrowLeft", "ArrowUp")
        off = max(kits, key=_nearness).centre_x - _MIDDLE
        if abs(off) <= 12:
            return holding("ArrowUp")
        return holding("ArrowRight" if off > 0 else "ArrowLeft", "ArrowUp")


def _nearness(thing: SeenObject) -> int:
    return thing.width * thing.height


class CenterPlayer:
    """Turns to a monster that is large or near the middle and shoots it there.

    A tap turns 20 pixels: a monster nearer to the middle than `_TAP` is waited for, not turned to and fro.
    """

    _TAP = 13

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:
        monsters = [thing for thing in game.facts().objects if thing.name not in _NO_TARGETS]
        if not monsters:
            return holding("ArrowLeft")
        target = max(monsters, key=lambda thing: 3 * thing.width - abs(thing.centre_x - _MIDDLE))
        off = target.centre_x - _MIDDLE
        if abs(off) <= max(3.0, target.width / 2):
            return holding("Space")
        if abs(off) < self._TAP:
            return IDLE
        return holding("ArrowRight" if off > 0 else "ArrowLeft")


_NO_TARGETS = frozenset({"DoomPlayer", "BulletPuff", "Blood"})


class CoverPlayer:
    """Never stands still: fireballs are aimed at where one stood. Turns back at the walls."""

    _BLOCKED = 1.0

    def __init__(self) -> None:
        self._key = "ArrowRight"
        self._place = 0.0
        self._slow = 0

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._key, self._slow = "ArrowRight", 0

    def decide(self, game: EnvGame) -> Command:
        numbers = game.facts().numbers
        place = numbers.get("position_x", 0.0) + numbers.get("position_y", 0.0)
        self._slow = self._slow + 1 if abs(place - self._place) < self._BLOCKED else 0
        self._place = place
        if self._slow >= 2:
            self._key, self._slow = ("ArrowLeft" if self._key == "ArrowRight" else "ArrowRight"), 0
        return holding(self._key)

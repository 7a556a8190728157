"""Scripted players of CarRacing (no threads)."""

from tray_agent.core.events import Command
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.player import holding

_FAST, _SLOW = 60.0, 40.0


class KeyDriver:
    """Steers for the road a little ahead and slows down before bends."""

    _DEAD = 0.1

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:
        numbers = game.facts().numbers
        aim, speed = numbers.get("aim", 0.0), numbers.get("speed", 0.0)
        held = set()
        if abs(aim) > self._DEAD:
            held.add("ArrowRight" if aim > 0 else "ArrowLeft")
        limit = speed_limit(numbers.get("bend", 0.0))
        if speed < limit:
            held.add("ArrowUp")
        elif speed > limit + 10:
            held.add("ArrowDown")
        return holding(*held)


class PadDriver:
    """The same with stick and triggers."""

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:
        numbers = game.facts().numbers
        speed, limit = numbers.get("speed", 0.0), speed_limit(numbers.get("bend", 0.0))
        return Command(
            axes={
                "PadLX": max(-1.0, min(1.0, 1.5 * numbers.get("aim", 0.0))),
                "PadRT": 0.5 if speed < limit else 0.0,
                "PadLT": 0.5 if speed > limit + 10 else 0.0,
            }
        )


def speed_limit(bend: float) -> float:
    """How fast to drive when the road ahead lies `bend` radians off the nose."""
    return _FAST if abs(bend) < 0.35 else _SLOW

"""What an act may contain (standard library only). Runs in the guard's thread.

The controls of the game are the only things that are ever pressed; system chords and the product's own hotkeys
never, not even together with keys the player holds.
"""

import math
from collections import deque
from collections.abc import Mapping

from tray_agent.core import keys
from tray_agent.core.events import Command
from tray_agent.guard.chords import MODIFIERS, fold
from tray_agent.guard.protocol import Game

RELATIVE_LIMIT = 4096.0
"""Most counts one act may move; more can only be a fault."""
CHANGES_PER_S = 60
"""A button that goes up and down more often than this is not pressed again within the second."""


class GameRules:
    """The bounds of one game."""

    def __init__(self, game: Game, hotkeys: Mapping[str, tuple[str, ...]]) -> None:
        self.game = game
        self._buttons = frozenset(game.buttons)
        self._relative = frozenset(game.relative)
        self._axes = frozenset(game.axes)
        chords = {frozenset(map(fold, chord)) for chord in (*keys.FORBIDDEN_CHORDS, *hotkeys.values())}
        self._never = tuple((chord, chord - MODIFIERS or chord) for chord in chords)
        self._changes: dict[str, deque[int]] = {}

    def problem(self, command: Command) -> str:
        """Why this command can only come from a fault, "" if it is in bounds."""
        for wanted, allowed in (
            (command.held, self._buttons),
            (command.relative.keys(), self._relative),
            (command.axes.keys(), self._axes),
        ):
            if strange := set(wanted) - allowed:
                return f"{min(strange)} is not one of the game's controls"
        for name, value in (*command.relative.items(), *command.axes.items()):
            limit = 1.0 if name in self._axes else RELATIVE_LIMIT
            if not (math.isfinite(value) and abs(value) <= limit):
                return f"{name} = {value} is out of range"
        return ""

    def without_chords(self, held: frozenset[str], physical: frozenset[str]) -> frozenset[str]:
        """`held` less the keys that would complete a forbidden chord, counting what the player holds."""
        together = set(map(fold, held | physical))
        for chord, key in self._never:
            if chord <= together:
                held = frozenset(name for name in held if fold(name) not in key)
                together = set(map(fold, held | physical))
        return held

    def without_chatter(self, held: frozenset[str], before: frozenset[str], now_ns: int) -> frozenset[str]:
        """`held` less the keys that changed too often in the last second; letting go is always allowed."""
        chattering = {name for name in held - before if self._recent(name, now_ns) >= CHANGES_PER_S}
        allowed = held - chattering
        for name in allowed ^ before:
            self._changes.setdefault(name, deque()).append(now_ns)
        return allowed

    def _recent(self, name: str, now_ns: int) -> int:
        times = self._changes.get(name)
        if times is None:
            return 0
        while times and now_ns - times[0] > 1_000_000_000:
            times.popleft()
        return len(times)

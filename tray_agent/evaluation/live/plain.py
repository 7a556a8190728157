"""Who presses keys on a live game: what a player is, and those without skill (no threads, no I/O)."""

import random
from collections.abc import Sequence
from typing import Protocol

from tray_agent.evaluation.live.board import Board
from tray_agent.platforms.env.players.player import HUMAN_HOLD_S

_LONG_HOLD_S = 0.6


class LivePlayer(Protocol):
    """Plays one episode by looking at it."""

    def decide(self, board: Board, now_s: float) -> frozenset[str]:
        """Keys to hold from now on.

        Args:
            board: what is to be seen.
            now_s: of a clock that never goes back, seconds.
        """
        ...


class RandomTaps:
    """Holds nothing or one key, drawn anew every 0.13 to 0.6 s."""

    def __init__(self, keys: Sequence[str], seed: int) -> None:
        self._choices = [frozenset[str](), *(frozenset({key}) for key in keys)]
        self._dice = random.Random(seed)  # noqa: S311 - play, not secrets
        self._held = self._choices[0]
        self._until_s = 0.0

    def decide(self, board: Board, now_s: float) -> frozenset[str]:  # noqa: ARG002 - it does not look
        if now_s >= self._until_s:
            self._held = self._dice.choice(self._choices)
            self._until_s = now_s + self._dice.uniform(HUMAN_HOLD_S, _LONG_HOLD_S)
        return self._held


class Holds:
    """Holds one key all the time; "" holds nothing. Keeps nothing of an episode."""

    def __init__(self, key: str) -> None:
        self._held = frozenset({key} - {""})

    def decide(self, board: Board, now_s: float) -> frozenset[str]:  # noqa: ARG002 - it does not look
        return self._held


class Taps:
    """Taps one key again and again, as long down as up. Keeps nothing of an episode."""

    def __init__(self, key: str) -> None:
        self._keys = frozenset({key})

    def decide(self, board: Board, now_s: float) -> frozenset[str]:  # noqa: ARG002 - it does not look
        return self._keys if int(now_s / HUMAN_HOLD_S) % 2 else frozenset()


def constants(keys: Sequence[str]) -> dict[str, LivePlayer]:
    """What can be done without looking: nothing, each key held, each key tapped; by what it is called."""
    held = {key: Holds(key) for key in keys}
    tapped = {f"{key} tapped": Taps(key) for key in keys}
    return {"nothing": Holds(""), **held, **tapped}

"""The scripted player of freegames' snake: looks, and taps arrow keys as a person does (no threads, no I/O).

The snake goes on by a square every 100 ms and turns when a key is *let go*. A tap lasts longer than a square, so a key
goes down on the square before the one to turn on, and up on that one; two turns are two squares apart or more.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Iterator

from tray_agent.evaluation.live.board import HIGH, LOW, Board, Cell
from tray_agent.platforms.env.players.player import HUMAN_HOLD_S

UP, DOWN, LEFT, RIGHT = (0, 1), (0, -1), (-1, 0), (1, 0)
KEYS = {UP: "ArrowUp", DOWN: "ArrowDown", LEFT: "ArrowLeft", RIGHT: "ArrowRight"}
_APART = 2  # squares between two turns, at the least
_TURN = 0.1  # what a turn costs, in squares: of ways as long as each other the plainest is taken
_RISK = 3.0  # what a turn costs where one a square later is deadly: hands are late at times
_SEARCHED = 4000
_ROOMY = 200


class SnakePlayer:
    """Takes the shortest way to the food that the snake's own body leaves. One episode each."""

    def __init__(self) -> None:
        self._body: frozenset[Cell] = frozenset()
        self._trail: deque[Cell] = deque()
        self._aim = DOWN  # where the game starts out to
        self._went = DOWN  # its last move as far as it was seen
        self._since_turn = _APART
        self._tap: tuple[Cell, Cell, float] | None = None

    def decide(self, board: Board, now_s: float) -> frozenset[str]:
        if board.dead or not board.body:
            self._tap = None
            return frozenset()
        moved = self._follow(board)
        if self._tap is not None:
            self._let_go_in_time(now_s)
        elif moved:
            self._tap_if_needed(board, now_s)
        return frozenset() if self._tap is None else frozenset({KEYS[self._tap[0]]})

    def _follow(self, board: Board) -> bool:
        """Keep track of where the snake went; whether it has moved since the last look."""
        new = set(board.body - self._body)
        moved = board.body != self._body
        while new:  # more than one when a look came late
            head = min(new, key=lambda cell: (_distance(cell, self._trail[-1]) if self._trail else 0, cell))
            new.remove(head)
            self._went = _way(self._trail[-1], head) if self._trail else self._aim
            self._trail.append(head)
            self._since_turn += 1
        while self._trail[0] not in board.body and len(self._trail) > 1:
            self._trail.popleft()
        self._body = board.body
        return moved

    def _let_go_in_time(self, now_s: float) -> None:
        """End the tap on its square, or as soon after it as a hand can."""
        assert self._tap is not None  # noqa: S101 - the caller looked
        aim, at, pressed_s = self._tap
        head = self._trail[-1]
        # a late look finds it behind the square; a key held so long that it repeats has turned it before
        is_there = (head[0] - at[0]) * self._aim[0] + (head[1] - at[1]) * self._aim[1] >= 0 or self._went == aim
        if is_there and now_s - pressed_s >= HUMAN_HOLD_S:
            self._tap, self._aim, self._since_turn = None, aim, 0

    def _tap_if_needed(self, board: Board, now_s: float) -> None:
        """The next square is settled already; begin a tap if the snake has to turn on it."""
        self._mend_aim()
        at = _step(self._trail[-1], self._aim)
        aim = next_aim(at, self._aim, self._since_turn + 1, board.food, list(self._trail))
        if aim != self._aim:
            self._tap = (aim, at, now_s)

    def _mend_aim(self) -> None:
        """A key that went up too late turned the snake elsewhere, or not: what is seen counts."""
        if self._went in KEYS and self._since_turn >= _APART:
            self._aim = self._went


def next_aim(at: Cell, aim: Cell, since_turn: int, food: Cell | None, trail: list[Cell]) -> Cell:
    """Which way to leave a square that the snake comes to with its next move.

    Args:
        at: that square.
        aim: where the snake goes.
        since_turn: squares since it last turned, when it gets there.
        food: where to go, None when there is none.
        trail: squares of the snake, the head last; what is behind moves out of the way meanwhile.
    """
    body = {cell: number for number, cell in enumerate(trail)}
    found = _search(at, aim, since_turn, food, body) if food not in (None, at) else None
    left = _left(body, 0 if at == food else 1)
    return found or max(_aims(aim, since_turn), key=lambda one: _room(at, one, left))


def _search(at: Cell, aim: Cell, since_turn: int, food: Cell | None, body: dict[Cell, int]) -> Cell | None:
    """A* over (square, direction, squares since the turn); the first direction of the best way, None without one."""
    assert food is not None  # noqa: S101 - the caller looked
    numbers = itertools.count()
    queue = [(0.0, next(numbers), at, aim, since_turn, 1, 0.0, aim)]
    done: set[tuple[Cell, Cell, int]] = set()
    while queue and len(done) < _SEARCHED:
        _, _, cell, direction, since, moves, cost, first = heapq.heappop(queue)
        state = (cell, direction, min(since, _APART))
        if state in done:
            continue
        if cell == food and _goes_on(cell, direction, since, moves, body):
            return first
        done.add(state)
        for way in _aims(direction, since):
            there = _step(cell, way)
            if is_free(there, moves + 1, body):
                spent = cost + 1
                if way != direction:
                    spent += _TURN if is_free(_step(cell, direction), moves + 1, body) else _RISK
                passed = since + 1 if way == direction else 1
                entry = (spent + _distance(there, food), -next(numbers), there, way, passed, moves + 1, spent,
                         way if cell == at and moves == 1 else first)  # fmt: skip
                heapq.heappush(queue, entry)
    return None


def _goes_on(cell: Cell, aim: Cell, since_turn: int, moves: int, body: dict[Cell, int]) -> bool:
    """Whether the snake has somewhere to go after a meal."""
    left = _left(body, moves - 1)
    return any(_room(cell, way, left) > len(body) for way in _aims(aim, since_turn))


def is_free(cell: Cell, move: int, body: dict[Cell, int]) -> bool:
    """Whether the snake may enter a square with its so-manieth move from now; its tail leaves one with each."""
    return _is_inside(cell) and body.get(cell, -1) < move - 1


def _aims(aim: Cell, since_turn: int) -> Iterator[Cell]:
    """Straight on, and to both sides if the hand is quick enough."""
    yield aim
    if since_turn >= _APART:
        yield (aim[1], aim[0])
        yield (-aim[1], -aim[0])


def _left(body: dict[Cell, int], moves: int) -> set[Cell]:
    """What of a body is still there after so many moves without a meal."""
    return {cell for cell, number in body.items() if number >= moves}


def _room(at: Cell, aim: Cell, body: set[Cell]) -> int:
    """How many squares can be reached that way, as far as that matters."""
    first = _step(at, aim)
    if not _is_inside(first) or first in body:
        return 0
    reached, edge = {first}, [first]
    while edge and len(reached) < _ROOMY:
        cell = edge.pop()
        near = {_step(cell, way) for way in KEYS} - reached
        new = {one for one in near if _is_inside(one) and one not in body and one != at}
        reached |= new
        edge.extend(new)
    return len(reached)


def _is_inside(cell: Cell) -> bool:
    return LOW <= cell[0] <= HIGH and LOW <= cell[1] <= HIGH


def _step(cell: Cell, aim: Cell) -> Cell:
    return (cell[0] + aim[0], cell[1] + aim[1])


def _way(a: Cell, b: Cell) -> Cell:
    """Direction from a square to another in line with it; of no length for others."""
    across, up = b[0] - a[0], b[1] - a[1]
    if across and up:
        return (0, 0)
    return ((across > 0) - (across < 0), (up > 0) - (up < 0))


def _distance(a: Cell, b: Cell) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])

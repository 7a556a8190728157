"""Scripted player of Ms. Pac-Man; it reads places from the console's memory, maze and pellets from the picture."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tray_agent.core.events import Command
from tray_agent.core.media import Pixels
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.player import IDLE, holding

Node = tuple[int, int]
"""Row and column of a place where a pellet may lie."""
_COLUMNS = tuple(10 + 8 * i for i in range(9)) + tuple(86 + 8 * i for i in range(9))  # x of the middles in pixels
_ROWS = tuple(8 + 12 * i for i in range(14))
_MAZE_HEIGHT = 170
_KEYS = {"ArrowUp": (-1, 0), "ArrowDown": (1, 0), "ArrowLeft": (0, -1), "ArrowRight": (0, 1)}
_LEFT_OF_PICTURE, _ABOVE_PICTURE = 8, -6  # from memory's places to pixels
_FAR = 99


@dataclass(frozen=True)
class Maze:
    """What the picture shows of the maze.

    Attributes:
        ways: node -> key -> the next node that way.
        pellets: where pellets lie.
    """

    ways: Mapping[Node, Mapping[str, Node]] = field(default_factory=dict)
    pellets: frozenset[Node] = frozenset()


def seen_maze(pixels: Pixels) -> Maze:
    """Maze of a picture of shape (210, 160, 3). Walls and pellets are of one colour, ways of another."""
    colours = pixels[:_MAZE_HEIGHT].astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    values, counts = np.unique(colours, return_counts=True)
    if values.size < 2:
        return Maze()
    wall = colours == values[np.argsort(counts)[-2]]
    open_nodes = {
        (r, c) for r, y in enumerate(_ROWS) for c, x in enumerate(_COLUMNS) if not wall[y - 3, x] and not wall[y + 3, x]
    }
    ways = {node: _ways_from(node, open_nodes, wall) for node in open_nodes}
    return Maze(ways, frozenset((r, c) for r, c in open_nodes if wall[_ROWS[r], _COLUMNS[c]]))


def _ways_from(node: Node, open_nodes: set[Node], wall: npt.NDArray[np.bool_]) -> dict[str, Node]:
    ways = {}
    for key, (down, right) in _KEYS.items():
        other = (node[0] + down, (node[1] + right) % len(_COLUMNS))
        if other in open_nodes and not _walled(node, other, wall):
            ways[key] = other
    return ways


def _walled(one: Node, other: Node, wall: npt.NDArray[np.bool_]) -> bool:
    """Whether a wall is between neighbours; the first and the last column meet through the tunnel."""
    (top, bottom), (left, right) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    if top != bottom:
        return bool(wall[_ROWS[top] + 3 : _ROWS[bottom] - 2, _COLUMNS[left]].any())
    line = wall[_ROWS[top] - 3]
    if right - left > 1:
        return bool(line[: _COLUMNS[0]].any() or line[_COLUMNS[-1] :].any())
    return bool(line[_COLUMNS[left] : _COLUMNS[right]].any())


class PacmanPlayer:
    """Goes the shortest way to the nearest pellet or blue ghost on which no ghost is there first; else away from them.

    Memory: 10 and 16 own x and y, 6 to 9 and 12 to 15 the ghosts', 1 to 4 their states (128 and more: blue), 116 how
    long they stay blue.
    """

    _MARGIN, _CHASE, _FLASHING = 2, 7, 12

    def __init__(self) -> None:
        self._key = ""

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._key = ""

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram.astype(int)
        maze = seen_maze(game.pixels())
        here = _node(ram[10], ram[16])
        if here not in maze.ways:
            return IDLE
        blue = ram[116] > self._FLASHING
        ghosts = [(_node(ram[6 + i], ram[12 + i]), blue and ram[1 + i] >= 128) for i in range(4)]
        threats = ways_to(maze, [ghost for ghost, harmless in ghosts if not harmless])
        prey = {ghost for ghost, harmless in ghosts if harmless}
        self._key = self._way(maze, here, threats, prey) or self._away(maze, here, threats)
        return holding(self._key) if self._key else IDLE

    def _way(self, maze: Maze, here: Node, threats: Mapping[Node, int], prey: set[Node]) -> str:
        """First key of the shortest safe way to something to eat; "" if there is none."""
        first: dict[Node, str] = {here: ""}
        far = {here: 0}
        queue, pellet = deque([here]), ""
        while queue:
            node = queue.popleft()
            if node in prey and first[node] and far[node] <= self._CHASE:
                return first[node]
            if not pellet and node in maze.pellets and first[node]:
                pellet = first[node]
            for key, after in self._straight_first(maze.ways[node]):
                if after not in far and far[node] + 1 + self._MARGIN <= threats.get(after, _FAR):
                    far[after], first[after] = far[node] + 1, first[node] or key
                    queue.append(after)
        return pellet

    def _straight_first(self, ways: Mapping[str, Node]) -> list[tuple[str, Node]]:
        """Of equally long ways the one straight on: no dithering."""
        return sorted(ways.items(), key=lambda way: way[0] != self._key)

    def _away(self, maze: Maze, here: Node, threats: Mapping[Node, int]) -> str:
        """The way whose next crossings are farthest from the ghosts."""
        ways = self._straight_first(maze.ways[here])
        return max(ways, key=lambda way: _room(maze, way[1], here, threats), default=("", here))[0]


def _room(maze: Maze, start: Node, behind: Node, threats: Mapping[Node, int]) -> tuple[int, int]:
    """How many places can be reached before a ghost, and how far the nearest ghost is."""
    far, queue = {start: 1, behind: 0}, deque([start])
    while queue:
        node = queue.popleft()
        for after in maze.ways[node].values():
            if after not in far and far[node] + 1 < threats.get(after, _FAR):
                far[after] = far[node] + 1
                queue.append(after)
    close = threats.get(start, _FAR)
    return (0 if close <= 1 else len(far)), close


def ways_to(maze: Maze, starts: list[Node]) -> dict[Node, int]:
    """Steps from the nearest of `starts` to each node that can be reached."""
    far = {node: 0 for node in starts if node in maze.ways}
    queue = deque(far)
    while queue:
        node = queue.popleft()
        for after in maze.ways[node].values():
            if after not in far:
                far[after] = far[node] + 1
                queue.append(after)
    return far


def _node(x: int, y: int) -> Node:
    """Node nearest to a place in memory's units."""
    across, down = x - _LEFT_OF_PICTURE, y - _ABOVE_PICTURE
    row = min(range(len(_ROWS)), key=lambda r: abs(_ROWS[r] - down))
    return row, min(range(len(_COLUMNS)), key=lambda c: abs(_COLUMNS[c] - across))

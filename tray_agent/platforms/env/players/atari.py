"""Scripted players of the Atari games; they read the console's memory (no threads)."""

from tray_agent.core.events import Command
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.player import IDLE, holding


class SkiingPlayer:
    """Steers to the middle of the next gate.

    Memory: 25 player x, 15 heading (0 far left .. 15 far right; 7 and 8 straight down), 62+i object x,
    178 - ram[86+i] its line, 70+i its type (2 = flag of a gate; the second flag stands 32 right of the first).
    """

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram.astype(int)
        gates = [(178 - ram[86 + i], ram[62 + i]) for i in range(8) if ram[70 + i] == 2]
        ahead = [(y, x) for y, x in gates if y > 50]
        aim = (min(ahead)[1] + 16 if ahead else 78) - (ram[25] + 4)
        return self._turn(ram[15], aim)

    def _turn(self, heading: int, aim: float) -> Command:
        wanted = 7.5 + max(-4.0, min(4.0, aim / 4))
        if abs(heading - wanted) < 1:
            return IDLE
        return holding("ArrowRight" if heading < wanted else "ArrowLeft")


class PongPlayer:
    """Goes to where the ball will meet the paddle; keeps to the middle while the ball goes away.

    Memory: 49 ball x (grows to the right, 0 out of play), 54 ball y, 51 paddle y.
    """

    _PADDLE_X, _TOP, _BOTTOM, _MIDDLE = 188, 44, 205, 109
    _NEAR = 6

    def __init__(self) -> None:
        self._last = (0, 0)

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._last = (0, 0)

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram.astype(int)
        ball, (last_x, last_y) = (ram[49], ram[54]), self._last
        self._last = ball
        if ball[0] == 0 or last_x == 0:
            return IDLE
        aim: float = self._MIDDLE
        if ball[0] > last_x:
            ticks = (self._PADDLE_X - ball[0]) / (ball[0] - last_x)
            aim = _bounced(ball[1] + (ball[1] - last_y) * ticks, self._TOP, self._BOTTOM)
        off = aim - (ram[51] + 8)
        if abs(off) <= self._NEAR:
            return IDLE
        return holding("ArrowDown" if off > 0 else "ArrowUp")


class BreakoutPlayer:
    """Serves, then keeps the paddle under where the ball comes down.

    Memory: 99 ball x, 101 ball y (0 out of play), 72 paddle x.
    """

    _PADDLE_Y, _LEFT, _RIGHT = 181, 56, 200
    _NEAR = 5

    def __init__(self) -> None:
        self._last = (0, 0)

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._last = (0, 0)

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram.astype(int)
        ball, (last_x, last_y) = (ram[99], ram[101]), self._last
        self._last = ball
        if ball[1] == 0:
            return holding("Space")
        aim: float = ball[0]
        if last_y and ball[1] > last_y:
            ticks = (self._PADDLE_Y - ball[1]) / (ball[1] - last_y)
            aim = _bounced(ball[0] + (ball[0] - last_x) * ticks, self._LEFT, self._RIGHT)
        off = aim - (ram[72] + 8)
        if abs(off) <= self._NEAR:
            return IDLE
        return holding("ArrowRight" if off > 0 else "ArrowLeft")


class BoxingPlayer:
    """Closes in until the other's head is in reach of one glove, level with it, and punches about four times a second.

    Memory: 32 and 34 own x and y, 33 and 35 the other's.
    """

    _FAR, _NEAR, _GLOVE, _LEVEL = 24, 10, 8, 3
    _REACH_X, _REACH_Y = 40, 24
    _RHYTHM = 4

    def __init__(self) -> None:
        self._ticks = 0

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._ticks = 0

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram.astype(int)
        self._ticks += 1
        across, down = ram[33] - ram[32], ram[35] - ram[34]
        held = set()
        if not self._NEAR <= abs(across) <= self._FAR:
            held.add("ArrowRight" if (across > 0) == (abs(across) > self._FAR) else "ArrowLeft")
        to_glove = min((down - self._GLOVE, down + self._GLOVE), key=abs)
        if abs(to_glove) > self._LEVEL:
            held.add("ArrowDown" if to_glove > 0 else "ArrowUp")
        if abs(across) <= self._REACH_X and abs(down) <= self._REACH_Y and self._ticks % self._RHYTHM < 2:
            held.add("Space")
        return Command(frozenset(held))


class InvadersPlayer:
    """Shoots all the time, going to and fro under the columns that still stand.

    Memory: 28 own x, 26 left edge of the formation, 18 to 23 its rows, a bit for each column.
    """

    _LEFT, _RIGHT = 38, 113  # the walls are a little beyond

    def __init__(self) -> None:
        self._rightward = True

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._rightward = True

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram.astype(int)
        rows = ram[18:24]
        columns = [i for i in range(6) if (rows >> i & 1).any()]
        if not columns:
            return holding("Space")
        left = max(self._LEFT, ram[26] + 16 * columns[0])
        right = min(self._RIGHT, ram[26] + 16 * columns[-1] + 6)
        if ram[28] >= right:
            self._rightward = False
        elif ram[28] <= left:
            self._rightward = True
        return holding("ArrowRight" if self._rightward else "ArrowLeft", "Space")


class FreewayPlayer:
    """Walks up."""

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:  # noqa: ARG002 - a player's signature
        return holding("ArrowUp")


def _bounced(place: float, low: float, high: float) -> float:
    """Where something that flies on to `place` is when walls at `low` and `high` throw it back."""
    span = high - low
    folded = (place - low) % (2 * span)
    return low + (folded if folded <= span else 2 * span - folded)

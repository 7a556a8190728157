"""Scripted players of the Atari games; they read the console's memory (no threads)."""

from tray_agent.core.events import Command
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.flight import bounced
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
    """Goes to where the ball will meet the paddle; goes to the middle while the ball goes away.

    Two ticks of a key turn the paddle three paddles' lengths, and it comes after the turn: so the player adds what is
    still to come, and brakes by pressing the other key too until the paddle stands.
    Memory: 49 ball x (grows to the right), 54 ball y (0 out of play), 51 paddle y.
    """

    _PADDLE_X, _TOP, _BOTTOM, _MIDDLE = 188, 44, 205, 115
    _PADDLE_TOP, _PADDLE_BOTTOM = 39, 202
    _HALF, _WALL, _STILL = 6, 12, 5
    _NEAR, _NEAR_MIDDLE = 9, 20

    def __init__(self) -> None:
        self._last: tuple[int, int, int] | None = None
        self._fall = 0
        self._lag = 0.0

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._last, self._fall, self._lag = None, 0, 0.0

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram
        now = (int(ram[49]), int(ram[54]), int(ram[51]))
        last, self._last = self._last, now
        if last is None:
            return IDLE
        moved = now[2] - last[2]
        aim, near = self._aim(now, last)
        off = aim - (now[2] + self._HALF + self._still_to_come(now[2], moved))
        if abs(off) > near:
            return holding("ArrowDown" if off > 0 else "ArrowUp")
        return holding("ArrowDown", "ArrowUp") if abs(moved) > self._STILL else IDLE

    def _still_to_come(self, paddle: int, moved: int) -> float:
        """How far the paddle will go on by itself: measured, three quarters of the way left are gone after a tick."""
        turned = max(-1.1, min(1.1, (moved - 0.75 * self._lag) / 10))
        self._lag = 0.25 * self._lag + 13 * turned
        if not self._PADDLE_TOP < paddle < self._PADDLE_BOTTOM:
            self._lag = 0.0
        return self._lag

    def _aim(self, now: tuple[int, int, int], last: tuple[int, int, int]) -> tuple[float, float]:
        """Where the paddle's middle should be, and how near is near enough."""
        (x, y, paddle), (last_x, last_y, _) = now, last
        fall, before = y - last_y, self._fall
        at_wall = not self._TOP + self._WALL <= y <= self._BOTTOM - self._WALL
        if at_wall and abs(fall) < abs(before):  # it bounced in this tick
            fall = abs(before) if y < self._MIDDLE else -abs(before)
        self._fall = fall
        if y == 0 or last_y == 0 or x > self._PADDLE_X + 4:
            return paddle + self._HALF, self._NEAR_MIDDLE
        if x <= last_x:
            return self._MIDDLE, self._NEAR_MIDDLE
        ticks = (self._PADDLE_X - x) / (x - last_x)
        return bounced(y + fall * ticks, self._TOP, self._BOTTOM), self._NEAR


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
            aim = bounced(ball[0] + (ball[0] - last_x) * ticks, self._LEFT, self._RIGHT)
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


class FreewayPlayer:
    """Walks up."""

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def decide(self, game: EnvGame) -> Command:  # noqa: ARG002 - a player's signature
        return holding("ArrowUp")

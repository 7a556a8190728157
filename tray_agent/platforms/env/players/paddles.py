"""Scripted players of Pong and Breakout: a ball, and a paddle that is fast and runs on (no threads)."""

from dataclasses import dataclass

from tray_agent.core.events import Command
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.players.flight import bounced
from tray_agent.platforms.env.players.player import IDLE, holding


class Paddle:
    """Brings a paddle to a place with two keys.

    Two ticks of a key turn the paddle three paddles' lengths, and it comes after the turn: so what is still to come is
    counted in, and both keys at once brake until the paddle stands.

    Args:
        less, more: keys towards smaller and larger places.
        low, high: the ends of the way, where the paddle stands.
    """

    _STILL = 5

    def __init__(self, less: str, more: str, low: int, high: int) -> None:
        self._less, self._more = less, more
        self._low, self._high = low, high
        self._last: int | None = None
        self._lag = 0.0

    def reset(self) -> None:
        """A new episode begins."""
        self._last, self._lag = None, 0.0

    def to(self, place: int, aim: float | None, near: float) -> Command:
        """What to hold when the paddle is at `place` and should be within `near` of `aim`, or stay (None)."""
        moved = 0 if self._last is None else place - self._last
        self._last = place
        # measured: three quarters of the way that is left are gone after a tick
        turned = max(-1.1, min(1.1, (moved - 0.75 * self._lag) / 10))
        self._lag = 0.25 * self._lag + 13 * turned if self._low < place < self._high else 0.0
        off = 0.0 if aim is None else aim - (place + self._lag)
        if abs(off) > near:
            return holding(self._more if off > 0 else self._less)
        return holding(self._more, self._less) if abs(moved) > self._STILL else IDLE


@dataclass
class Drift:
    """Units a tick of a ball across its way, seen through bounces.

    Attributes:
        low, high: where walls throw it back.
        speed: units in the last tick; in the tick of a bounce what it is after it.
    """

    low: int
    high: int
    speed: int = 0

    def see(self, now: int, last: int) -> int:
        """The speed, from two places a tick apart."""
        moved = now - last
        at_wall = not self.low + 12 <= now <= self.high - 12
        if at_wall and abs(moved) < abs(self.speed):
            moved = abs(self.speed) if now < (self.low + self.high) / 2 else -abs(self.speed)
        self.speed = moved
        return moved

    def after(self, now: int, ticks: float) -> float:
        """Where the ball will be."""
        return bounced(now + self.speed * ticks, self.low, self.high)


class PongPlayer:
    """Keeps the paddle level with the ball, a little ahead of it, as people do.

    A player that waits in the middle and then goes straight to where the ball will land wins no more, and who learns
    from it never sees a paddle that is far from where it should be.

    Memory: 49 ball x (grows to the right), 54 ball y (0 out of play), 51 paddle y.
    """

    _PADDLE_X, _HALF, _NEAR = 188, 6, 10
    _AHEAD = 2
    """Ticks."""

    def __init__(self) -> None:
        self._paddle = Paddle("ArrowUp", "ArrowDown", 39, 202)
        self._drift = Drift(44, 205)
        self._last_y = 0

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._paddle.reset()
        self._drift.speed, self._last_y = 0, 0

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram
        x, y, paddle = int(ram[49]), int(ram[54]), int(ram[51])
        last_y, self._last_y = self._last_y, y
        self._drift.see(y, last_y)
        if y == 0 or last_y == 0 or x > self._PADDLE_X + 4:
            return self._paddle.to(paddle, None, self._NEAR)
        return self._paddle.to(paddle, self._drift.after(y, self._AHEAD) - self._HALF, self._NEAR)


class BreakoutPlayer:
    """Serves, then keeps the paddle under where the ball comes down.

    About as good as a person (31 points; the human tester of Mnih et al. 2015 had 30.5): it does not count on how far
    the paddle runs on after a key, and so misses now and then, as people do.

    Memory: 99 ball x, 101 ball y (0 out of play), 72 paddle x.
    """

    _PADDLE_Y, _LEFT, _RIGHT = 181, 56, 200
    _HALF, _NEAR = 8, 5

    def __init__(self) -> None:
        self._last = (0, 0)

    def reset(self, seed: int) -> None:  # noqa: ARG002 - a player's signature
        self._last = (0, 0)

    def decide(self, game: EnvGame) -> Command:
        ram = game.facts().ram
        x, y, paddle = int(ram[99]), int(ram[101]), int(ram[72])
        (last_x, last_y), self._last = self._last, (x, y)
        if y == 0:
            return holding("Space")
        aim: float = x
        if last_y and y > last_y:
            aim = bounced(x + (x - last_x) * (self._PADDLE_Y - y) / (y - last_y), self._LEFT, self._RIGHT)
        off = aim - (paddle + self._HALF)
        if abs(off) <= self._NEAR:
            return IDLE
        return holding("ArrowRight" if off > 0 else "ArrowLeft")

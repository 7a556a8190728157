"""Box2D CarRacing of Gymnasium, by keys or by pad (no threads)."""

import math
import warnings
from typing import Any

import numpy as np

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.platforms.env.game import Facts, GameInfo
from tray_agent.platforms.env.gym_game import GymBinding, GymGame

KEYS = Controls(buttons=("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"))
PAD = Controls(axes=("PadLX", "PadRT", "PadLT"))
_STEER, _GAS, _BRAKE = 0.2, 0.5, 0.6  # what a key is worth of the pad's full travel: a key can't be pressed halfway
_SIZE = 96
_LOOK = 5  # pieces of road ahead that a driver steers for


def car_racing(controls: Controls) -> GymGame:
    """The race with `KEYS` or `PAD`; one tick is 5 of its 50 frames a second."""
    name = "car-racing" if controls is KEYS else "car-racing-pad"
    info = GameInfo(name, controls, 50.0, 5, _SIZE, _SIZE, max_ticks=200)
    action = by_keys if controls is KEYS else by_pad
    return GymGame(GymBinding(info, _make, action, "Run: pip install 'tray-agent[games]'", facts=_facts))


def _make() -> Any:
    with warnings.catch_warnings():
        # Box2D's compiled types warn while they load; where warnings are errors that ends the process
        warnings.simplefilter("ignore", DeprecationWarning)
        from gymnasium.envs.box2d.car_racing import CarRacing

    return CarRacing(render_mode=None, continuous=True)


def by_keys(command: Command) -> Any:
    """Held arrows -> (steer, gas, brake)."""
    held = command.held
    steer = _STEER * (("ArrowRight" in held) - ("ArrowLeft" in held))
    return np.array([steer, _GAS * ("ArrowUp" in held), _BRAKE * ("ArrowDown" in held)], np.float32)


def by_pad(command: Command) -> Any:
    """Stick and triggers -> (steer, gas, brake)."""
    axes = command.axes
    wish = (axes.get("PadLX", 0.0), axes.get("PadRT", 0.0), axes.get("PadLT", 0.0))
    return np.clip(np.array(wish, np.float32), (-1.0, 0.0, 0.0), 1.0)


def _facts(env: Any, _told: dict[str, Any]) -> Facts:
    """`speed`; `aim` and `bend`: radians to the right, from the car's nose, of the road near and farther ahead."""
    if env.car is None:
        return Facts()
    hull = env.car.hull
    road = np.array([(x, y) for _, _, x, y in env.track])
    place = np.array([hull.position.x, hull.position.y])
    nearest = int(np.argmin(((road - place) ** 2).sum(axis=1)))
    return Facts(
        numbers={
            "speed": math.hypot(*hull.linearVelocity),
            "aim": _right_of(hull.angle, road[(nearest + _LOOK) % len(road)] - place),
            "bend": _right_of(hull.angle, road[(nearest + 3 * _LOOK) % len(road)] - place),
        }
    )


def _right_of(heading: float, way: Any) -> float:
    """Angle of `way` to the right of the nose, -pi..pi; a heading of 0 points along +y and grows to the left."""
    angle = heading - math.atan2(-way[0], way[1])
    return (angle + math.pi) % (2 * math.pi) - math.pi

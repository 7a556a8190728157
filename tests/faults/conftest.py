"""The fixtures of the fault tests live in plugins of their own; this file only names them."""

from fault_scene import daemons, doom, new_doom, playing, shared_doom
from x11_scene import own_x11, shared_x11, x11

__all__ = ["daemons", "doom", "new_doom", "own_x11", "playing", "shared_doom", "shared_x11", "x11"]

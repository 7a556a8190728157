"""The fixtures of the fault tests live in plugins of their own; this file only names them."""

from fault_scene import daemons, doom, new_doom, playing, shared_doom

__all__ = ["daemons", "doom", "new_doom", "playing", "shared_doom"]

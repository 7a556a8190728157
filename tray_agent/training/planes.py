"""The planes that are learned from: those of `core.planes`."""

from tray_agent.core.planes import LUMA_WEIGHTS, PLANES, Planes, planes_of

__all__ = ["LUMA_WEIGHTS", "PLANES", "Planes", "planes_of"]

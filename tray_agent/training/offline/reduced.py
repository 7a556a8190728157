"""A session with larger pictures than a run wants: they are reduced as they are read (no torch).

A picture that was reduced twice is not quite what one reduction makes: where the sizes are no multiples of each other,
edges come out a little softer. Smaller pictures are never enlarged: what is not in them can't be learned.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tray_agent.core.media import Pixels
from tray_agent.core.planes import PLANES, Planes, planes_of
from tray_agent.core.policy import PolicySpec
from tray_agent.core.reduce import reduce
from tray_agent.sessions.reader import SessionReader


def can_be_reduced(spec: PolicySpec, wanted: PolicySpec) -> bool:
    """Whether sessions of `spec` differ from those of `wanted` in nothing but larger pictures."""
    same = replace(spec, frame_width=wanted.frame_width, frame_height=wanted.frame_height) == wanted
    return same and spec.frame_width >= wanted.frame_width and spec.frame_height >= wanted.frame_height


class ReducedSession(SessionReader):
    """The session as `wanted` would have recorded it; see `can_be_reduced`."""

    def __init__(self, folder: Path, wanted: PolicySpec) -> None:
        """Read all but the pixels.

        Raises:
            SessionError: as `SessionReader`.
        """
        super().__init__(folder)
        self._wanted = wanted

    @property
    def spec(self) -> PolicySpec:
        """What it looks like."""
        return self._wanted

    def frames(self, start: int, stop: int) -> Pixels:
        """Pixels of the rows start..stop-1, uint8 (n, h, w, 3). Raises as `SessionReader.frames`."""
        width, height = self._wanted.frame_width, self._wanted.frame_height
        small = np.empty((stop - start, height, width, 3), np.uint8)
        for i, picture in enumerate(super().frames(start, stop)):
            small[i] = reduce(picture, (width, height))
        return small

    def planes(self, start: int, stop: int) -> Planes:
        """What the network sees of them, uint8 (n, 3, h, w). Raises as `SessionReader.frames`."""
        width, height = self._wanted.frame_width, self._wanted.frame_height
        planes = np.empty((stop - start, PLANES, height, width), np.uint8)
        for i, picture in enumerate(self.frames(start, stop)):
            planes[i] = planes_of(picture)
        return planes

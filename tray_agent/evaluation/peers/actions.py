"""Action vectors as targets of learning, and back (numpy)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tray_agent.core.controls import Controls, FloatVector

Floats = npt.NDArray[np.float32]
THRESHOLD = 0.5
"""A button is held from here on."""


@dataclass(frozen=True)
class ActionCode:
    """How the actions of one recording are coded.

    Attributes:
        buttons: how many of the controls are buttons; they come first in an action vector.
        combinations: sets of buttons that were held together, 0/1, shape (combinations, buttons).
        scale: root mean square of the other controls, 1 for those that never moved, shape (others,).
        lowest, highest: their range, shape (others,).
    """

    buttons: int
    combinations: Floats
    scale: Floats
    lowest: Floats
    highest: Floats

    @staticmethod
    def of(controls: Controls, actions: Floats) -> "ActionCode":
        """The code of action vectors (n, controls.size), n > 0."""
        buttons = len(controls.buttons)
        others = actions[:, buttons:]
        rms = np.sqrt(np.square(others, dtype=np.float64).mean(0))
        return ActionCode(
            buttons=buttons,
            combinations=np.unique(_held(actions[:, :buttons]), axis=0),
            scale=np.where(rms > 0, rms, 1.0).astype(np.float32),
            lowest=others.min(0),
            highest=others.max(0),
        )

    def held(self, actions: Floats) -> Floats:
        """Action vectors (n, size) -> buttons as 0/1 (n, buttons)."""
        return _held(actions[:, : self.buttons])

    def classes(self, actions: Floats) -> npt.NDArray[np.int64]:
        """Action vectors (n, size) -> rows of `combinations` (n,). Raises KeyError for one that never occurred."""
        row = {combination.tobytes(): i for i, combination in enumerate(self.combinations)}
        return np.array([row[held.tobytes()] for held in self.held(actions)], np.int64)

    def others(self, actions: Floats) -> Floats:
        """Action vectors (n, size) -> the other controls, of size about 1 (n, others)."""
        scaled: Floats = actions[:, self.buttons :] / self.scale
        return scaled

    def action(self, held: Floats, others: Floats) -> FloatVector:
        """Buttons (a number each, held from THRESHOLD on) and scaled other controls -> action vector."""
        rest = np.clip(others * self.scale, self.lowest, self.highest)
        return np.concatenate([_held(held), rest]).astype(np.float32)


def _held(buttons: Floats) -> Floats:
    return np.ascontiguousarray(buttons >= THRESHOLD, np.float32)

"""Policy outputs -> action vectors, by sampling (numpy only; runs in the daemon's tick thread).

Held states are sampled, not thresholded: taking the most likely action freezes agents in corners
(decisions/0005-policy.md). Temperature 1 plays as the player did; lower is more decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tray_agent.core.controls import Controls, FloatVector

FloatArray = npt.NDArray[np.float32]
_TRIGGERS = frozenset({"PadLT", "PadRT"})  # 0..1 where other axes are -1..1


@dataclass(frozen=True)
class ControlDecoding:
    """Limits of one control.

    Attributes:
        temperature: overrides the game's.
        min_hold_ticks: once pressed, held at least that long.
        max_hold_ticks: let go of for a tick after being held that long (0: no limit).
        min_gap_ticks: ticks from one press to the next, at least (0: no limit).
        threshold: press when the probability is at least this, instead of by chance.
    """

    temperature: float | None = None
    min_hold_ticks: int = 1
    max_hold_ticks: int = 0
    min_gap_ticks: int = 0
    threshold: float | None = None


@dataclass(frozen=True)
class Decoding:
    """How outputs become actions.

    Attributes:
        temperature: divides all logits; 1 samples as learned, towards 0 is the most likely.
        per_control: limits by control name.
    """

    temperature: float = 0.5
    per_control: Mapping[str, ControlDecoding] = field(default_factory=dict)


_COLDEST = 1e-3  # as good as "the most likely", and nothing overflows
_LONG_AGO = 1 << 30


MOST_SETS = 256
"""Of buttons held together; where a player uses more, each button is on its own."""


def likeliest(logits: FloatArray, together: Sequence[Sequence[int]]) -> npt.NDArray[np.bool_]:
    """What logits of the buttons (buttons,) say is held: the set with the largest sum; () each on its own."""
    if not together:
        return logits >= 0.0
    sets = np.asarray(together, np.float32)
    held: npt.NDArray[np.bool_] = sets[int((sets @ logits).argmax())] >= 0.5
    return held


def sigmoid(x: FloatArray) -> FloatArray:
    """Logistic function, safe for large |x|."""
    return np.float32(1.0) / (np.float32(1.0) + np.exp(-np.clip(x, -30.0, 30.0), dtype=np.float32))


def chances_of(logits: FloatArray, together: Sequence[Sequence[int]]) -> FloatArray:
    """How likely each button is held at temperature 1, of logits (n, buttons), the same shape."""
    if not together:
        return sigmoid(logits)
    sets = np.asarray(together, np.float32)
    scores = logits @ sets.T
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances: FloatArray = (weights @ sets) / weights.sum(axis=1, keepdims=True)
    return chances


class Sampler:
    """Draws action vectors. Keeps how long each button has been held; one owner."""

    def __init__(
        self,
        controls: Controls,
        relative_bins: Mapping[str, tuple[float, ...]],
        axis_bins: tuple[float, ...],
        decoding: Decoding,
        seed: int,
        together: tuple[tuple[int, ...], ...] = (),
    ) -> None:
        self._controls = controls
        self._relative_bins = [np.asarray(relative_bins[n], np.float32) for n in controls.relative]
        self._axis_bins = np.asarray(axis_bins, np.float32)
        self._random = np.random.default_rng(seed)
        each = [decoding.per_control.get(n, ControlDecoding()) for n in controls.names]
        given = [decoding.temperature if e.temperature is None else e.temperature for e in each]
        self._temperature = np.maximum(given, _COLDEST)  # float64, so that no logit overflows
        self._lowest = [0.0 if n in _TRIGGERS else -1.0 for n in controls.axes]
        self._min_hold = np.array([e.min_hold_ticks for e in each[: len(controls.buttons)]])
        self._max_hold = np.array([e.max_hold_ticks for e in each[: len(controls.buttons)]])
        self._min_gap = np.array([e.min_gap_ticks for e in each[: len(controls.buttons)]])
        # a threshold of -1 is below every probability and stands for "none"
        self._threshold = np.array(
            [-1.0 if e.threshold is None else e.threshold for e in each[: len(controls.buttons)]]
        )
        self._together = np.array(together, np.float64)
        self._held_for = np.zeros(len(controls.buttons), np.int64)
        self._since_press = np.full(len(controls.buttons), _LONG_AGO)

    def reset(self) -> None:
        """Forget what was held."""
        self._held_for[:] = 0
        self._since_press[:] = _LONG_AGO

    def inherit(self, other: "Sampler") -> None:
        """Go on where another sampler of the same controls is: what it holds counts as held."""
        self._held_for[:] = other._held_for
        self._since_press[:] = other._since_press

    def draw(self, held: FloatArray, relative: FloatArray, axes: FloatArray) -> FloatVector:
        """One action vector.

        Args:
            held: logits of the buttons, shape (buttons,).
            relative: logits of the relative controls' bins, shape (relative, bins).
            axes: logits of the axes' bins, shape (axes, bins).
        """
        b, r = len(self._controls.buttons), len(self._controls.relative)
        action = self._controls.neutral()
        action[:b] = self._draw_buttons(held)
        for i, bins in enumerate(self._relative_bins):
            action[b + i] = bins[self._choose(relative[i] / self._temperature[b + i])]
        for i in range(len(self._controls.axes)):
            # the mean, not a draw: sticks are positions, and jumping between modes shakes the picture
            weights = _softmax(axes[i] / self._temperature[b + r + i])
            action[b + r + i] = min(1.0, max(self._lowest[i], float(weights @ self._axis_bins)))
        return action

    def limit(self, action: FloatVector) -> FloatVector:
        """That action, within the limits of each control."""
        limited = action.copy()
        b = len(self._controls.buttons)
        limited[:b] = self._within_limits(action[:b] >= 0.5)
        return limited

    def _draw_buttons(self, logits: FloatArray) -> npt.NDArray[np.bool_]:
        sharper = logits / self._temperature[: len(logits)]
        if len(self._together):  # one of the sets the player used, by the sum of its buttons' logits
            by_chance = self._together[self._choose(self._together @ sharper)] >= 0.5
        else:
            by_chance = self._random.random(len(logits)) < sigmoid(sharper.clip(-30.0, 30.0).astype(np.float32))
        return self._within_limits(np.where(self._threshold >= 0.0, sigmoid(logits) >= self._threshold, by_chance))

    def _within_limits(self, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        held = self._held_for > 0
        wanted &= held | (self._since_press >= self._min_gap)
        wanted |= held & (self._held_for < self._min_hold)
        wanted &= ~((self._max_hold > 0) & (self._held_for >= self._max_hold))
        self._since_press = np.where(wanted & ~held, 1, self._since_press + 1)
        self._held_for = np.where(wanted, self._held_for + 1, 0)
        return wanted

    def _choose(self, logits: npt.NDArray[np.float64]) -> int:
        return int(self._random.choice(len(logits), p=_softmax(logits)))


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    normalised: npt.NDArray[np.float64] = weights / weights.sum()
    return normalised

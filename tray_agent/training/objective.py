"""What a network's outputs are worth beside what the player did: the loss that is learned from, skill, agreement."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tray_agent.core.policy import PolicySpec
from tray_agent.training.model import AXIS_BINS, RELATIVE_BINS
from tray_agent.training.together import alone

_FLAT = 1e-6

Outputs = tuple[Tensor, Tensor, Tensor]
"""Logits as `PolicyNet` gives them."""


class Objective:
    """That of one game's controls. Actions are rows as `Controls.split` takes them, which cuts tensors like arrays."""

    def __init__(self, spec: PolicySpec) -> None:
        self._controls = spec.controls
        self._bins = torch.tensor(RELATIVE_BINS)
        self._axis_bins = torch.tensor(AXIS_BINS)
        self.together = alone(len(spec.controls.buttons))
        """Which buttons go together; whoever knows what was pressed renews it."""

    def loss(self, outputs: Outputs, actions: Tensor) -> Tensor:
        """Sum of mean cross-entropies: buttons, bins of relative controls, bins of axes."""
        held, _, _ = self._controls.split(actions)  # type: ignore[arg-type]  # a tensor is cut alike
        total = torch.zeros((), device=actions.device)
        if held.shape[-1]:
            total = total + self.together.loss(outputs[0].float(), torch.as_tensor(held))
        for logits, nearest in self._binned(outputs, actions):
            total = total + functional.cross_entropy(logits.flatten(0, 1), nearest.flatten())
        return total

    def measures(self, outputs: Outputs, blind: Outputs, actions: npt.NDArray[np.float32]) -> dict[str, float]:
        """What these outputs are worth, and what baselines would be, as `Learner.held_out` tells.

        Args:
            outputs: of n ticks.
            blind: those without picture and sound.
            actions: what was done in those ticks, shape (n, controls).
        """
        wanted = torch.from_numpy(actions)
        held = self._held(actions)
        skills, baseline = self._skills(outputs, actions)
        measures = {
            "ticks": float(len(actions)),
            "loss": float(self.loss(outputs, wanted)),
            "blind_loss": float(self.loss(blind, wanted)),
        }
        if held.shape[1]:
            baseline += self.together.entropy(held)
            measures["balanced_accuracy"] = _balanced_accuracy(self.together.likeliest(outputs[0]), held)
        measures["baseline_loss"] = baseline
        return measures | ({"skill": float(np.mean(skills))} if skills else {})

    def skill(self, outputs: Outputs, actions: npt.NDArray[np.float32]) -> float | None:
        """Mean over the controls that vary, 0 a constant guess, 1 perfect; None where none varies."""
        skills = self._skills(outputs, actions)[0]
        return float(np.mean(skills)) if skills else None

    def same_choice(self, one: Outputs, other: Outputs) -> npt.NDArray[np.bool_]:
        """Of n outputs each, where the likeliest thing to do is the same in all controls, shape (n,)."""
        same = (self.together.likeliest(one[0]) == self.together.likeliest(other[0])).all(1)
        for mine, theirs in zip(one[1:], other[1:], strict=True):
            same &= (mine.argmax(-1) == theirs.argmax(-1)).all(1).numpy()
        return np.asarray(same)

    def _held(self, actions: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        return actions[:, : len(self._controls.buttons)] >= 0.5

    def _binned(self, outputs: Outputs, actions: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits (n, controls, bins) and right bins (n, controls) of relative controls and axes, if there are any."""
        _, relative, axes = self._controls.split(actions)  # type: ignore[arg-type]  # a tensor is cut alike
        for logits, values, bins in ((outputs[1], relative, self._bins), (outputs[2], axes, self._axis_bins)):
            if values.shape[-1]:
                wanted = torch.as_tensor(values)
                yield logits.float(), (wanted[..., None] - bins.to(wanted.device)).abs().argmin(-1)

    def _skills(self, outputs: Outputs, actions: npt.NDArray[np.float32]) -> tuple[list[float], float]:
        """Skill of each control that varies, and the summed entropy of the binned ones."""
        skills: list[float] = []
        for said, was in zip(self.together.likeliest(outputs[0]).T, self._held(actions).T, strict=True):
            if was.any() and not was.all():
                skills.append(2.0 * _balanced_accuracy(said[:, None], was[:, None]) - 1.0)
        baseline = 0.0
        for logits, nearest in self._binned(outputs, torch.from_numpy(actions)):
            baseline += _entropy(nearest.numpy())
            expected = (logits.softmax(-1) * torch.arange(logits.shape[-1])).sum(-1)
            for guess, bins in zip(expected.numpy().T, nearest.numpy().T, strict=True):
                if bins.std() > 0:
                    skills.append(float(np.corrcoef(guess, bins)[0, 1]) if guess.std() > _FLAT else 0.0)
        return skills, baseline


def _entropy(classes: npt.NDArray[np.int64]) -> float:
    """Loss of the best constant prediction of classes (n, controls), mean over controls."""
    entropies = []
    for column in classes.T:
        shares = np.bincount(column) / len(column)
        shares = shares[shares > 0]
        entropies.append(-(shares * np.log(shares)).sum())
    return float(np.mean(entropies))


def _balanced_accuracy(guess: npt.NDArray[np.bool_], held: npt.NDArray[np.bool_]) -> float:
    recalls = []
    for said, was in zip(guess.T, held.T, strict=True):
        recalls.append(np.mean([(said[where] == was[where]).mean() for where in (was, ~was) if where.any()]))
    return float(np.mean(recalls))

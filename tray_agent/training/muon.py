"""The optimiser: orthogonalised momentum for matrices, AdamW for all else (torch; whoever calls `step`).

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): a step goes as far along directions that a batch hardly
shows as along those it shows loudly. On held-out play it is after 1,600 batches where AdamW is after 3,200
(decisions/0017-optimiser.md). `torch.optim.Muon` takes no convolutions, and three iterations over the largest matrix as
a whole took 18 ms of an update; in blocks of rows and on their Gram matrices they take 2.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

_BLOCK = 128  # rows made orthogonal together, at most
_LEAST_SIDE = 16  # smaller matrices - heads of buttons, FiLM - are AdamW's
_LARGE = 1 << 18  # entries of a matrix that takes only every _EVERY-th step, so many times as long
_EVERY = 2
_MOMENTUM = 0.9
_ITERATIONS = 3
_A, _B, _C = 3.4445, -4.7750, 2.0315  # of the quintic Newton-Schulz iteration, as published
_TINY = 1e-14
_MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}


class Muon(torch.optim.AdamW):
    """`torch.optim.AdamW`, but for matrices, of which it keeps "exp_avg" alone, in the type of their gradients."""

    @torch.no_grad()
    def step(self, gradients: Mapping[nn.Parameter, Tensor]) -> None:  # type: ignore[override]  # `.grad` takes its parameter's type only
        """Change those parameters; under autocast in its type, which is much quicker.

        Args:
            gradients: of some or all of its parameters; those of matrices may be in a type of less precision.
        """
        self.zero_grad()  # of shared modules that these gradients leave out
        matrices: list[_Matrix] = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if (gradient := gradients.get(parameter)) is None:
                    continue
                if is_matrix(parameter):
                    momentum, steps = self._momentum(parameter, gradient)
                    every = _EVERY if parameter.numel() >= _LARGE else 1
                    if steps % every == 0:
                        rate = every * group["lr"]
                        matrices.append(_Matrix(parameter, _blocks(momentum), rate, group["weight_decay"]))
                else:
                    parameter.grad = gradient
        for matrix, factors in zip(matrices, orthogonalising([matrix.blocks for matrix in matrices]), strict=True):
            matrix.turn(factors)
        super().step()

    def _momentum(self, parameter: Tensor, gradient: Tensor) -> tuple[Tensor, int]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"] = torch.zeros_like(gradient)
        state.pop("exp_avg_sq", None)  # of a file that AdamW wrote
        state["step"] += 1
        state["exp_avg"] = state["exp_avg"].to(gradient.dtype)  # what was read from a file may be more precise
        momentum: Tensor = state["exp_avg"].lerp_(gradient, 1.0 - _MOMENTUM)
        return momentum, int(state["step"])


class _Matrix(NamedTuple):
    parameter: Tensor
    blocks: Tensor
    """Of its momentum, (n, rows, columns)."""
    rate: float
    decay: float

    def turn(self, factors: Tensor) -> None:
        """A step whose entries are as large as AdamW's: their root mean square is the rate.

        A block at a time, which the processor's cache holds from the product until the weights have it.
        """
        step = -self.rate * max(self.blocks.shape[1:]) ** 0.5
        parts = torch.split(self.parameter, self.blocks.shape[1])
        for rows, block, factor in zip(parts, self.blocks, factors, strict=True):
            turned = factor @ block.to(factor.dtype)
            rows.mul_(1.0 - self.rate * self.decay).add_(turned.reshape(rows.shape), alpha=step)


def is_matrix(parameter: Tensor) -> bool:
    """Whether it is a matrix worth the name: of a linear layer, or of a convolution with each filter as a row."""
    rows = parameter.shape[0] if parameter.ndim > 1 else 0
    return rows >= _LEAST_SIDE and parameter.numel() // rows >= _LEAST_SIDE


def kept_of(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """What a file should hold of a parameter's state beside its steps: a letter and a tensor each."""
    return ((letter, state[name]) for letter, name in _MOMENTS.items() if name in state)


def kept_in(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """What a file holds of a parameter, by letter, where it is called "letter.name" there."""
    return {letter: tensors[f"{letter}.{name}"] for letter in _MOMENTS if f"{letter}.{name}" in tensors}


def state_from(parameter: Tensor, kept: Mapping[str, Tensor], steps: int) -> dict[str, Tensor]:
    """Inverse of `kept_of`; {} where that does not hold enough to go on from.

    All of it is on the parameter's device, or CUDA's fused kernel reads elsewhere, and laid out in memory as the
    parameter is: what is computed with it is then the same to the last bit.
    """
    if "m" not in kept or not ("v" in kept or is_matrix(parameter)):
        return {}
    moments = {_MOMENTS[letter]: torch.empty_like(parameter.detach()).copy_(tensor) for letter, tensor in kept.items()}
    return {"step": torch.tensor(float(steps), device=parameter.device)} | moments


def orthogonalising(matrices: Sequence[Tensor]) -> list[Tensor]:
    """What each block is multiplied by from the left to make it about the nearest one with orthogonal rows of length 1.

    The published iteration X <- aX + bXX'X + c(XX')^2 X only ever multiplies X from the left by a polynomial of XX', so
    it is done on XX', which is smaller; on all at once, padded with zeros, because calls cost more than the numbers.
    Where there are fewer columns than rows, those become orthogonal.

    Args:
        matrices: blocks of each, shape (n, rows, columns).

    Returns:
        shape (n, rows, rows) for each, in autocast's type if that is on. Singular values of the products lie between
        about 0.7 and 1.2, but for those below some hundredths of the largest: three iterations do not lift them so far.
    """
    if not matrices:
        return []
    kind = matrices[0].device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else matrices[0].dtype
    with torch.autocast(kind, enabled=False):
        grams = [x @ x.mT for x in (blocks.to(dtype) for blocks in matrices)]
        side = max(gram.shape[1] for gram in grams)
        gram = torch.cat([pad(gram, (0, side - gram.shape[1]) * 2) for gram in grams])
        size = gram.diagonal(dim1=1, dim2=2).float().sum(1).clamp(min=_TINY)[:, None, None]  # squared, of each block
        gram = gram / size.to(gram.dtype)
        product = factor = _factor(gram)
        for _ in range(_ITERATIONS - 1):
            gram = factor @ gram @ factor
            factor = _factor(gram)
            product = factor @ product
        product = product * size.rsqrt().to(gram.dtype)
    parts = torch.split(product, [len(gram) for gram in grams])
    return [part[:, : gram.shape[1], : gram.shape[1]] for part, gram in zip(parts, grams, strict=True)]


def _factor(gram: Tensor) -> Tensor:
    """What an iteration multiplies by: a + b XX' + c (XX')^2."""
    factor = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
    factor.diagonal(dim1=1, dim2=2).add_(_A)
    return factor


def _blocks(matrix: Tensor) -> Tensor:
    """Shape (n, rows, columns), rows at most _BLOCK where they can be parted evenly."""
    rows = matrix.shape[0]
    each = _BLOCK if rows % _BLOCK == 0 else rows
    return matrix.reshape(rows // each, each, -1)

"""The optimiser: orthogonalised momentum for matrices, AdamW for all else (torch; whoever calls `step`).

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): a step goes as far along directions that a batch hardly
shows as along those it shows loudly. On held-out play it is after 1,600 batches where AdamW is after 3,200
(decisions/0017-optimiser.md). `torch.optim.Muon` takes no convolutions, and three iterations over the largest matrix as
a whole took 18 ms of an update; in blocks of rows and on their Gram matrices they take 2.
"""

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor

_BLOCK = 128  # rows made orthogonal together, at most
_LEAST_SIDE = 16  # smaller matrices - heads of buttons, FiLM - are AdamW's
_MOMENTUM = 0.9
_ITERATIONS = 3
_A, _B, _C = 3.4445, -4.7750, 2.0315  # of the quintic Newton-Schulz iteration, as published
_TINY = 1e-14
_MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}


class Muon(torch.optim.AdamW):
    """`torch.optim.AdamW`, but for matrices: of those `step` takes the gradient away, and keeps "exp_avg" alone."""

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure: nobody here evaluates a loss again
        """Change all parameters that have a gradient; under autocast in its type, which is much quicker."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and is_matrix(parameter):
                    self._turn(parameter, group["lr"], group["weight_decay"])
                    parameter.grad = None
        super().step()

    def _turn(self, parameter: Tensor, rate: float, decay: float) -> None:
        """A step whose entries are as large as AdamW's: their root mean square is the rate."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
        state.pop("exp_avg_sq", None)  # of a file that AdamW wrote
        state["step"] += 1
        momentum = state["exp_avg"].lerp_(cast("Tensor", parameter.grad), 1.0 - _MOMENTUM)
        blocks = _blocks(momentum)
        turned = orthogonalised(blocks)
        parameter.mul_(1.0 - rate * decay)
        parameter.add_(turned.reshape(parameter.shape), alpha=-rate * max(blocks.shape[1:]) ** 0.5)


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


def orthogonalised(blocks: Tensor) -> Tensor:
    """About the nearest matrices whose rows (or columns, if those are fewer) are orthogonal and of length one.

    The published iteration X <- aX + bXX'X + c(XX')^2 X only ever multiplies X from the left by a polynomial of XX', so
    it is done on XX', which is smaller, and the product is multiplied with X once.

    Args:
        blocks: shape (n, rows, columns).

    Returns:
        the same shape, in autocast's type if that is on; singular values lie between about 0.7 and 1.2, but for those
        below some hundredths of the largest, which three iterations do not lift so far.
    """
    kind = blocks.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else blocks.dtype
    with torch.autocast(kind, enabled=False):
        x = blocks.to(dtype)
        gram = x @ x.mT
        size = gram.diagonal(dim1=1, dim2=2).float().sum(1).clamp(min=_TINY)  # squared, of each block
        gram = gram / size[:, None, None].to(dtype)
        product = factor = _factor(gram)
        for _ in range(_ITERATIONS - 1):
            gram = factor @ gram @ factor
            factor = _factor(gram)
            product = factor @ product
        return (product * size.rsqrt()[:, None, None].to(dtype)) @ x


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

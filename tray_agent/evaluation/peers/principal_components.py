"""The directions in which many numbers differ most (torch; the caller's thread)."""

import time

import torch
from torch import Tensor

_ROUNDS = 2


def principal_components(x: Tensor, count: int, deadline: float, seed: int) -> Tensor:
    """A randomised range finder (Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1).

    Args:
        x: rows of numbers, each with a mean of 0 over the rows, float, shape (n, numbers).
        count: how many directions.
        deadline: on the monotonic clock; after it the rounds that make them more exact are left out.
        seed: of the directions it begins with.

    Returns:
        Orthonormal columns, the one with most of the variance first, shape (numbers, min(count, n, numbers)).
    """
    count = min(count, *x.shape)
    generator = torch.Generator().manual_seed(seed)
    basis: Tensor = torch.linalg.qr(x.T @ (x @ torch.randn(x.shape[1], count, generator=generator)))[0]
    for _ in range(_ROUNDS):
        if time.monotonic() < deadline:
            basis = torch.linalg.qr(x.T @ (x @ basis))[0]
    components: Tensor = basis @ torch.linalg.svd(x @ basis, full_matrices=False)[2].T
    return components

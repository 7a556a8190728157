"""The optimiser: what it does to matrices, what it leaves to AdamW, what a file keeps of it."""

import pytest
import torch
from torch import Tensor, nn

from tray_agent.training.muon import Muon, kept_of, orthogonalised, state_from

RATE = 1e-3


def published(x: Tensor) -> Tensor:
    """Three iterations as they are published, on the whole matrix."""
    x = x / x.norm()
    for _ in range(3):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


def with_gradient(*shape: int) -> nn.Parameter:
    parameter = nn.Parameter(torch.randn(shape))
    if len(shape) == 4:
        parameter.data = parameter.data.to(memory_format=torch.channels_last)
    parameter.grad = torch.randn(shape) * 1e-4
    return parameter


def gradient_of(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad.clone()


@pytest.mark.parametrize("in_bf16", [False, True])
def test_orthogonalised_is_the_published_iteration(in_bf16: bool) -> None:
    """Block by block, whatever their size, to the precision of the type."""
    torch.manual_seed(0)
    blocks = torch.randn(3, 32, 500) * torch.tensor([1e-6, 1.0, 1e3])[:, None, None]
    with torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
        found = orthogonalised(blocks)
    assert found.dtype == (torch.bfloat16 if in_bf16 else torch.float32)
    for block, turned in zip(blocks, found.float(), strict=True):
        expected = published(block)
        assert (turned - expected).norm() < (0.05 if in_bf16 else 1e-4) * expected.norm()
    values = torch.linalg.svdvals(found.float())
    assert values.min() > 0.6
    assert values.max() < 1.25


@pytest.mark.parametrize("shape", [(512, 300), (64, 32, 3, 3), (20, 40)])
def test_step_goes_down_and_is_as_large_as_the_rate(shape: tuple[int, ...]) -> None:
    """Against the gradient; root mean square of the entries about the rate, however small the gradient."""
    torch.manual_seed(0)
    parameter = with_gradient(*shape)
    before, gradient = parameter.detach().clone(), gradient_of(parameter)
    Muon([parameter], RATE, weight_decay=0.0).step()
    step = parameter.detach() - before
    assert (step * gradient).sum() < 0
    assert 0.5 * RATE < step.square().mean().sqrt() < 1.2 * RATE


def test_small_ones_are_adamws() -> None:
    """Biases and heads of a few buttons move exactly as under AdamW."""
    torch.manual_seed(0)
    mine = [with_gradient(64), with_gradient(3, 512)]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in mine]
    for to, source in zip(theirs, mine, strict=True):
        to.grad = gradient_of(source)
    Muon(mine, RATE, weight_decay=1e-2).step()
    torch.optim.AdamW(theirs, RATE, weight_decay=1e-2).step()
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_no_gradient_and_one_of_zeros_do_no_harm() -> None:
    """A matrix without gradient stays; one whose gradient is zero does not become NaN."""
    idle, still = with_gradient(32, 32), with_gradient(32, 32)
    idle.grad = None
    still.grad = torch.zeros(32, 32)
    before = idle.detach().clone(), still.detach().clone()
    Muon([idle, still], RATE, weight_decay=0.0).step()
    torch.testing.assert_close(idle.detach(), before[0], rtol=0, atol=0)
    torch.testing.assert_close(still.detach(), before[1], rtol=0, atol=0)


def test_goes_on_from_a_file_to_the_last_bit() -> None:
    """Moments through `kept_of` and `state_from`: the next step is the same."""
    torch.manual_seed(0)
    parameters = [with_gradient(64, 32, 3, 3), with_gradient(256, 96), with_gradient(64)]
    optimizer = Muon(parameters, RATE)
    optimizer.step()
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    again = Muon(copies, RATE)
    for parameter, copy in zip(parameters, copies, strict=True):
        kept = {letter: tensor.contiguous() for letter, tensor in kept_of(optimizer.state[parameter])}
        again.state[copy] = state_from(copy, kept, 1)
        gradient = torch.randn(parameter.shape)
        parameter.grad, copy.grad = gradient.clone(), gradient.clone()
    optimizer.step()
    again.step()
    for parameter, copy in zip(parameters, copies, strict=True):
        torch.testing.assert_close(parameter, copy, rtol=0, atol=0)


def test_moments_of_adamw_are_taken_over() -> None:
    """A file that AdamW wrote: a matrix goes on with its first moment, and the second is forgotten."""
    matrix = with_gradient(32, 32)
    optimizer = Muon([matrix], RATE)
    optimizer.state[matrix] = state_from(matrix, {"m": torch.ones(32, 32), "v": torch.ones(32, 32)}, 7)
    optimizer.step()
    assert dict(kept_of(optimizer.state[matrix])).keys() == {"m"}
    assert int(optimizer.state[matrix]["step"]) == 8


@pytest.mark.parametrize("kept", [set(), {"v"}, {"m"}])
def test_too_little_to_go_on_from(kept: set[str]) -> None:
    """What AdamW learns needs both moments: with less it begins anew instead of failing later."""
    bias = with_gradient(64)
    assert state_from(bias, {letter: torch.ones(64) for letter in kept}, 3) == {}

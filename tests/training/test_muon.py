"""The optimiser: what it does to matrices, what it leaves to AdamW, what a file keeps of it."""

import pytest
import torch
from torch import Tensor, nn

from tray_agent.training.muon import Muon, kept_of, orthogonalising, state_from

RATE = 1e-3


def published(x: Tensor) -> Tensor:
    """Three iterations as they are published, on the whole matrix."""
    x = x / x.norm()
    for _ in range(3):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


def matrix_of(*shape: int) -> nn.Parameter:
    parameter = nn.Parameter(torch.randn(shape))
    if len(shape) == 4:
        parameter.data = parameter.data.to(memory_format=torch.channels_last)
    return parameter


def gradient_of(parameter: nn.Parameter) -> Tensor:
    return torch.randn_like(parameter) * 1e-4


@pytest.mark.parametrize("in_bf16", [False, True])
def test_orthogonalising_is_the_published_iteration(in_bf16: bool) -> None:
    """Block by block, whatever their sizes, all at once, to the precision of the type."""
    torch.manual_seed(0)
    blocks = torch.randn(3, 32, 500) * torch.tensor([1e-6, 1.0, 1e3])[:, None, None]
    more = torch.randn(2, 128, 700)
    with torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
        factors = orthogonalising([blocks, more])
        found = [factor @ block for factor, block in zip(factors, (blocks, more), strict=True)]
    assert {turned.dtype for turned in found} == {torch.bfloat16 if in_bf16 else torch.float32}
    for block, turned in zip((*blocks, *more), (*found[0].float(), *found[1].float()), strict=True):
        expected = published(block)
        assert (turned - expected).norm() < (0.05 if in_bf16 else 1e-4) * expected.norm()
    values = torch.linalg.svdvals(found[0].float())
    assert values.min() > 0.6
    assert values.max() < 1.25


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(512, 300), (64, 32, 3, 3), (20, 40)])
def test_step_goes_down_and_is_as_large_as_the_rate(shape: tuple[int, ...], kind: torch.dtype) -> None:
    """Against the gradient; root mean square of the entries about the rate, however small the gradient."""
    torch.manual_seed(0)
    parameter = matrix_of(*shape)
    before, gradient = parameter.detach().clone(), gradient_of(parameter).to(kind)
    Muon([parameter], RATE, weight_decay=0.0).step({parameter: gradient})
    step = parameter.detach() - before
    assert (step * gradient).sum() < 0
    assert 0.5 * RATE < step.square().mean().sqrt() < 1.2 * RATE


def test_large_one_goes_two_steps_at_once() -> None:
    """Its momentum takes every gradient; from the same gradients it comes about as far as one stepped every time."""
    torch.manual_seed(0)
    large = matrix_of(512, 1024)
    parts = [nn.Parameter(part.clone()) for part in large.data.chunk(4)]
    before = large.detach().clone()
    optimizer, every_time = Muon([large], RATE, weight_decay=0.0), Muon(parts, RATE, weight_decay=0.0)
    for step in range(6):
        gradient, was = gradient_of(large), large.detach().clone()
        optimizer.step({large: gradient})
        every_time.step(dict(zip(parts, gradient.chunk(4), strict=True)))
        assert torch.equal(large, was) == (step % 2 == 0)
    torch.testing.assert_close(optimizer.state[large]["exp_avg"][384:], every_time.state[parts[3]]["exp_avg"])
    mine, theirs = ((after - before).flatten() for after in (large.detach(), torch.cat([*parts]).detach()))
    assert torch.cosine_similarity(mine, theirs, dim=0) > 0.9
    assert 0.9 < mine.norm() / theirs.norm() < 1.2


def test_small_ones_are_adamws() -> None:
    """Biases and heads of a few buttons move exactly as under AdamW."""
    torch.manual_seed(0)
    mine = [matrix_of(64), matrix_of(3, 512)]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in mine]
    gradients = {parameter: gradient_of(parameter) for parameter in mine}
    for to, source in zip(theirs, mine, strict=True):
        to.grad = gradients[source].clone()
    Muon(mine, RATE, weight_decay=1e-2).step(gradients)
    torch.optim.AdamW(theirs, RATE, weight_decay=1e-2).step()
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_no_gradient_and_one_of_zeros_do_no_harm() -> None:
    """What has no gradient stays, also if it had one the step before; a matrix whose gradient is zero is no NaN."""
    idle, still, bias = matrix_of(32, 32), matrix_of(32, 32), matrix_of(32)
    optimizer = Muon([idle, still, bias], RATE, weight_decay=0.0)
    optimizer.step({bias: gradient_of(bias)})
    before = [parameter.detach().clone() for parameter in (idle, still, bias)]
    optimizer.step({still: torch.zeros(32, 32)})
    for parameter, was in zip((idle, still, bias), before, strict=True):
        torch.testing.assert_close(parameter.detach(), was, rtol=0, atol=0)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_goes_on_from_a_file_to_the_last_bit(kind: torch.dtype) -> None:
    """Moments through `kept_of` and `state_from`: the next step is the same."""
    torch.manual_seed(0)
    parameters = [matrix_of(64, 32, 3, 3), matrix_of(256, 96), matrix_of(64)]
    kinds = [kind, kind, torch.float32]
    optimizer = Muon(parameters, RATE)
    optimizer.step({p: gradient_of(p).to(own) for p, own in zip(parameters, kinds, strict=True)})
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    again = Muon(copies, RATE)
    for parameter, copy in zip(parameters, copies, strict=True):
        kept = {letter: tensor.contiguous() for letter, tensor in kept_of(optimizer.state[parameter])}
        again.state[copy] = state_from(copy, kept, 1)
    gradients = [gradient_of(p).to(own) for p, own in zip(parameters, kinds, strict=True)]
    optimizer.step(dict(zip(parameters, gradients, strict=True)))
    again.step({copy: gradient.clone() for copy, gradient in zip(copies, gradients, strict=True)})
    for parameter, copy in zip(parameters, copies, strict=True):
        torch.testing.assert_close(parameter, copy, rtol=0, atol=0)


def test_moments_of_adamw_are_taken_over() -> None:
    """A file that AdamW wrote: a matrix goes on with its first moment, and the second is forgotten."""
    matrix = matrix_of(32, 32)
    optimizer = Muon([matrix], RATE)
    optimizer.state[matrix] = state_from(matrix, {"m": torch.ones(32, 32), "v": torch.ones(32, 32)}, 7)
    optimizer.step({matrix: gradient_of(matrix)})
    assert dict(kept_of(optimizer.state[matrix])).keys() == {"m"}
    assert int(optimizer.state[matrix]["step"]) == 8


@pytest.mark.parametrize("kept", [set(), {"v"}, {"m"}])
def test_too_little_to_go_on_from(kept: set[str]) -> None:
    """What AdamW learns needs both moments: with less it begins anew instead of failing later."""
    bias = matrix_of(64)
    assert state_from(bias, {letter: torch.ones(64) for letter in kept}, 3) == {}

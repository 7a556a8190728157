"""The encoder weights that come with the program (`models/encoder.safetensors`, of `tray-agent pretrain encoder`)."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

import tray_agent
from tray_agent.core.policy import PolicySpec
from tray_agent.errors import PlatformUnavailable
from tray_agent.training.encoders.convolutional import ConvEncoder

if TYPE_CHECKING:
    from tray_agent.training.model import PolicyNet

NAME = "encoder.safetensors"
PARTS = ("stem.", "top.")
"""Names of the tensors in the file begin so."""
_FIRST = "stem.0.weight"
_REMEDY = "Install the program again, or set trainer.encoder to scratch"


def shipped_weights() -> Path:
    """Inside an installed package, or `models/` of a checkout.

    Raises:
        PlatformUnavailable: the installation is incomplete.
    """
    package = Path(tray_agent.__file__).resolve().parent
    for folder in (package / "_models", package.parent / "models"):
        if (folder / NAME).is_file():
            return folder / NAME
    raise PlatformUnavailable(f"{package}: the shipped {NAME} is missing", _REMEDY)


def loader(path: Path, spec: PolicySpec) -> "Callable[[PolicyNet], None]":
    """What puts the file's weights into the convolutional encoder of a network of `spec`.

    Raises:
        PlatformUnavailable: see `read_weights`.
    """
    tensors = read_weights(path, spec)

    def load(net: "PolicyNet") -> None:
        cast("nn.Module", net.encoder).load_state_dict(tensors, strict=False)

    return load


def read_weights(path: Path, spec: PolicySpec) -> dict[str, Tensor]:
    """The file's weights by their names in a `ConvEncoder` of `spec`.

    Raises:
        PlatformUnavailable: the file can't be read or holds something else.
    """
    try:
        tensors: dict[str, Tensor] = load_file(path)
        tensors[_FIRST] = for_frames(tensors[_FIRST], spec.frames)
        _check(tensors, ConvEncoder(spec))
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise PlatformUnavailable(f"{path}: can't be used as an encoder: {error}", _REMEDY) from error
    return tensors


def _check(tensors: dict[str, Tensor], encoder: ConvEncoder) -> None:
    own = {name: tensor.shape for name, tensor in encoder.state_dict().items() if name.startswith(PARTS)}
    if {name: tensor.shape for name, tensor in tensors.items()} != own:
        raise ValueError("its tensors are not the encoder's")
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ValueError("some of its numbers are not finite")


def for_frames(weight: Tensor, frames: int) -> Tensor:
    """First convolution, made for luma, differences of 4 frames and two of colour -> for another count of frames.

    The oldest differences are left out, or filled up with zeros.
    """
    luma, differences, colour = weight[:, :1], weight[:, 1:-2], weight[:, -2:]
    wanted = frames - 1
    kept = differences[:, max(0, differences.shape[1] - wanted) :]
    missing = torch.zeros(weight.shape[0], wanted - kept.shape[1], *weight.shape[2:])
    return torch.cat([luma, missing, kept, colour], dim=1)

"""A file of weights that games are begun with, made by `tray-agent pretrain` (torch).

That of `pretrain policy` holds convolutions and sound branch, and a trunk for each size of features among the games it
was made of. What belongs to one game alone is not in it: statistics of the picture, FiLM (a new game's vector is a
stranger to it), heads. That of `pretrain encoder` holds convolutions alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import PlatformUnavailable
from tray_agent.training.encoders.bundled import PARTS, for_frames
from tray_agent.training.model import PolicyNet

ENCODER = "encoder."
COMMON = (*(ENCODER + part for part in PARTS), "sound.")
"""Names of the tensors that all games have in common begin so."""
TRUNK = "trunk."
_FIRST = f"{ENCODER}stem.0.weight"
_SMALL = 36  # pixels a side: what is common has the same shape whatever the picture's size
_REMEDY = "Make one with tray-agent pretrain, or set trainer.encoder to bundled"


def parts(net: PolicyNet) -> dict[str, Tensor]:
    """What such a file holds of a network, by the name it has there: the network's own tensors, no copies.

    A trunk's names tell the size of the features it takes, which follows from the size of the picture.
    """
    held: dict[str, Tensor] = {}
    for name, tensor in net.state_dict().items():
        if name.startswith(COMMON):
            held[name] = tensor
        elif name.startswith(TRUNK):
            held[f"{TRUNK}{net.encoder.size}.{name.removeprefix(TRUNK)}"] = tensor
    return held


def put(net: PolicyNet, tensors: Mapping[str, Tensor]) -> None:
    """Begin a network with what of a file's tensors has its shape; the first convolution is made to fit its frames."""
    for name, own in parts(net).items():
        if name in tensors:
            given = for_frames(tensors[name], net.spec.frames) if name == _FIRST else tensors[name]
            if given.shape == own.shape:
                own.copy_(given)


def loader(path: Path, spec: PolicySpec) -> Callable[[PolicyNet], None]:
    """What begins a network of `spec` with the file's weights; sound branch and trunk too, if it has one that fits.

    Raises:
        PlatformUnavailable: the file can't be read or holds something else.
    """
    try:
        tensors = load_file(path)
        held = COMMON
        if all(name.startswith(PARTS) for name in tensors):
            tensors = {ENCODER + name: tensor for name, tensor in tensors.items()}
            held = tuple(ENCODER + part for part in PARTS)
        _check(tensors, spec, held)
    except (OSError, SafetensorError, IndexError, ValueError, RuntimeError) as error:
        raise PlatformUnavailable(f"{path}: learning can't begin with it: {error}", _REMEDY) from error
    return lambda net: put(net, tensors)


def _check(tensors: dict[str, Tensor], spec: PolicySpec, held: tuple[str, ...]) -> None:
    small = PolicyNet(replace(spec, frame_width=_SMALL, frame_height=_SMALL))
    wanted = {name: tensor.shape for name, tensor in parts(small).items() if name.startswith(held)}
    common = {name: tensor for name, tensor in tensors.items() if not name.startswith(TRUNK)}
    if common.keys() == wanted.keys():
        common[_FIRST] = for_frames(common[_FIRST], spec.frames)
    if {name: tensor.shape for name, tensor in common.items()} != wanted:
        raise ValueError("its tensors are not the network's")
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ValueError("some of its numbers are not finite")

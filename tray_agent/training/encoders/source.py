"""The choice of an encoder (`trainer.encoder` in the settings) -> what makes the encoders of a game's networks.

`scratch`: convolutions that know nothing. `bundled`: the same, beginning with the weights shipped under `models/`.
`start:FILE`: the same, beginning with a file of weights that `tray-agent pretrain` made.
`timm:NAME` or `timm:NAME@FILE`: a larger network of the timm package, frozen; only what follows it is learned.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torch import Tensor, nn

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import PlatformUnavailable
from tray_agent.training.encoders import bundled
from tray_agent.training.encoders.convolutional import ConvEncoder
from tray_agent.training.encoders.preprocess import Preprocess
from tray_agent.training.replay import Replay

if TYPE_CHECKING:
    from tray_agent.training.model import PolicyNet

_log = logging.getLogger(__name__)
SCRATCH = "scratch"
BUNDLED = "bundled"
START = "start:"
TIMM = "timm:"


class Encoder(Protocol):
    """Part of a `PolicyNet`: a torch module.

    What it learns from are the frames' planes, or what is kept of them (`Batch.frames`).
    """

    preprocess: Preprocess
    film: nn.Linear
    """From the game vector; begins near zero."""
    size: int
    """Features per tick."""

    def seen(self, frames: Tensor) -> Tensor:
        """RGB as it is played on, uint8 (batch, frames, H, W, 3) -> what it learns from."""
        ...

    def nothing(self) -> Tensor:
        """What it would learn from where there is nothing to see, batch of 1."""
        ...

    def __call__(self, seen: Tensor, vector: Tensor) -> Tensor:
        """What it learns from and game vectors (batch, vector_size) -> features (batch, size)."""
        ...


@dataclass(frozen=True)
class EncoderSource:
    """A choice, ready to make encoders.

    Attributes:
        choice: as in the settings.
        make: a fresh encoder with untrained weights, for each network.
        begin: puts weights into a network that are learned on from; called once it has its first weights.
        fit: takes further statistics from what `replay` holds, beside those of the picture.
        replay: the replay it learns from: (spec, bytes for frames, seed, folder of the game's checkpoints).
        about: what a bundle's manifest says of it.
        architecture: part of the name that checkpoints must agree in; "" where they fit whatever was chosen.
        note: why it is another than was asked for, "" if it is not.
    """

    choice: str
    make: Callable[[PolicySpec], Encoder]
    begin: Callable[["PolicyNet"], None] = lambda _: None
    fit: Callable[[Sequence[Encoder], Replay], None] = lambda _encoders, _replay: None
    replay: Callable[[PolicySpec, int, int, Path], Replay] = lambda spec, size, seed, _: Replay(spec, size, seed)
    about: str = ""
    architecture: str = ""
    note: str = ""


SCRATCH_SOURCE = EncoderSource(SCRATCH, ConvEncoder)


def make_encoder(choice: str, spec: PolicySpec, weights: Path | None = None) -> EncoderSource:
    """What `choice` names.

    Args:
        choice: "scratch", "bundled", "start:FILE", "timm:NAME" or "timm:NAME@FILE".
        spec: of the game.
        weights: folder in which fetched weights are kept; the product's data folder by default.

    Raises:
        PlatformUnavailable: weights or a package are missing; the message says what to do.
    """
    if choice.startswith(TIMM):
        from tray_agent.training.encoders import frozen

        return frozen.timm_source(choice.removeprefix(TIMM), weights)
    if choice.startswith(START):
        from tray_agent.training.encoders import start  # knows the whole network, which is made of encoders

        path = Path(choice.removeprefix(START)).expanduser()
        return EncoderSource(choice, ConvEncoder, start.loader(path, spec), about=f"begun with {path.name}")
    if choice == BUNDLED:
        path = bundled.shipped_weights()
        return EncoderSource(BUNDLED, ConvEncoder, bundled.loader(path, spec), about=f"begun with {path.name}")
    return SCRATCH_SOURCE


def make_or_fall_back(choice: str, spec: PolicySpec, weights: Path | None = None) -> EncoderSource:
    """As `make_encoder`, but what can't be had is replaced by the nearest that can; `note` says so."""
    problems: list[str] = []
    for candidate in dict.fromkeys((choice, BUNDLED)):
        try:
            source = make_encoder(candidate, spec, weights)
        except PlatformUnavailable as error:
            _log.warning("encoder %s: %s", candidate, error)
            problems.append(str(error))
            continue
        return _noted(source, problems)
    return _noted(SCRATCH_SOURCE, problems)


def _noted(source: EncoderSource, problems: list[str]) -> EncoderSource:
    note = f"{'; '.join(problems)} (until then the encoder is {source.choice!r})" if problems else ""
    return replace(source, note=note)

"""The policy network. Frames in, held-state logits out; preprocessing is part of the graph.

Why these parts (measured, decisions/0005-policy.md): normalisation by the game's own mean and deviation per pixel is
the largest single gain with minutes of data; then LayerNorm, dropout and class weights; a stride-4 stem because two
CPU cores must train it; differences between frames show small things that move.
"""

from typing import cast

import torch
from torch import Tensor, nn

from tray_agent.core.policy import PolicySpec
from tray_agent.training.encoders.convolutional import ConvEncoder
from tray_agent.training.encoders.preprocess import Preprocess
from tray_agent.training.encoders.source import Encoder

ARCHITECTURE = "cnn-film-2"
FROZEN = "encoder.frozen."
"""Names of tensors that are never learned begin so."""
RELATIVE_BINS = (-150.0, -90.0, -54.0, -33.0, -20.0, -12.0, -7.0, -4.0, -2.0, -1.0, 0.0,
                 1.0, 2.0, 4.0, 7.0, 12.0, 20.0, 33.0, 54.0, 90.0, 150.0)  # fmt: skip
"""Counts in a tick; fine near zero, coarse far out (mu-law like), because aim needs the first and turns the second."""
AXIS_BINS = tuple(round(-1.0 + 0.2 * i, 1) for i in range(11))


class PolicyNet(nn.Module):
    """An encoder (convolutions unless another is given), a sound branch, a trunk and heads.

    Inputs: frames uint8 (batch, frames, H, W, 3); audio float (batch, *audio_shape); vector float (batch, vector_size).
    Outputs: logits `held` (batch, buttons), `relative` (batch, relative, len(RELATIVE_BINS)),
    `axes` (batch, axes, len(AXIS_BINS)).
    """

    about = ""
    """What a bundle's manifest says of it beside the architecture."""

    def __init__(
        self, spec: PolicySpec, encoder: Encoder | None = None, width: int = 512, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.spec = spec
        self.encoder: Encoder = encoder or ConvEncoder(spec)
        self.sound = nn.Sequential(nn.Flatten(), nn.Linear(spec.audio_shape[0] * spec.audio_shape[1], 64), nn.ReLU())
        self.trunk = nn.Sequential(
            nn.Linear(self.encoder.size + 64, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout)
        )
        controls = spec.controls
        self.sizes = (len(controls.buttons), len(controls.relative), len(controls.axes))
        self.register_parameter("vector_shift", None)
        # a layer of size 0 can't be exported: keep one unused row and cut it off
        self.held = nn.Linear(width, max(1, self.sizes[0]))
        self.relative = nn.Linear(width, max(1, self.sizes[1]) * len(RELATIVE_BINS))
        self.axes = nn.Linear(width, max(1, self.sizes[2]) * len(AXIS_BINS))
        self._initialise()
        for module in self.modules():  # a third faster on CPUs
            if isinstance(module, nn.Conv2d):
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def preprocess(self) -> Preprocess:
        """Statistics of the game's picture."""
        return self.encoder.preprocess

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.requires_grad:
                nn.init.orthogonal_(module.weight, 2**0.5)
                nn.init.zeros_(cast("Tensor", module.bias))
        self.renew()

    def renew(self) -> None:
        """What belongs to one game alone as it begins, near zero: heads (its controls), FiLM (its vector)."""
        for layer in (self.held, self.relative, self.axes, self.encoder.film):
            nn.init.orthogonal_(layer.weight, 0.01)
            nn.init.zeros_(layer.bias)

    def learn_vector(self) -> None:
        """Let the game's vector be learned: what is given is where it begins, `vector_shift` how far it has moved."""
        self.vector_shift = nn.Parameter(torch.zeros(self.spec.vector_size))

    def forward(self, frames: Tensor, audio: Tensor, vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.from_planes(self.encoder.seen(frames), audio, vector)

    def from_planes(self, planes: Tensor, audio: Tensor, vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, from what `replay.Batch.frames` holds: what the encoder learns from."""
        return self.heads(self.hidden(planes, audio, vector))

    def hidden(self, planes: Tensor, audio: Tensor, vector: Tensor) -> Tensor:
        """What the heads decide by, shape (batch, width)."""
        if self.vector_shift is not None:
            vector = vector + self.vector_shift
        features: Tensor = self.trunk(torch.cat([self.encoder(planes, vector), self.sound(audio)], dim=1))
        return features

    def heads(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs for what `hidden` gave."""
        return self.shaped(self.held(hidden), self.relative(hidden), self.axes(hidden))

    def shaped(self, held: Tensor, relative: Tensor, axes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs in their shapes, from flat rows as the heads give them."""
        relative = relative.reshape(-1, max(1, self.sizes[1]), len(RELATIVE_BINS))
        axes = axes.reshape(-1, max(1, self.sizes[2]), len(AXIS_BINS))
        return held[:, : self.sizes[0]], relative[:, : self.sizes[1]], axes[:, : self.sizes[2]]

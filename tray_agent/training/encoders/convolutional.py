"""The small convolutional encoder: learned with everything else, from nothing or from the weights shipped (torch)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.core.policy import PolicySpec
from tray_agent.training.augment import shifted
from tray_agent.training.encoders.preprocess import Preprocess

CHANNELS = 64
_LEAST_SIDE = 36  # smaller pictures leave nothing for the last convolution


class Flat(nn.Flatten):
    """`nn.Flatten` of planes with channels last; their gradient becomes so, too, or all before it is slower."""

    def forward(self, planes: Tensor) -> Tensor:
        """Shape (batch, channels, H, W) -> (batch, channels * H * W)."""
        if planes.requires_grad:
            planes.register_hook(_channels_last)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return super().forward(planes)


class ConvEncoder(nn.Module):
    """Stem, FiLM by the game vector (Perez et al. 2018, eq. 1-2), one more convolution, flattened.

    What it learns from are planes, uint8 or whole floats, shape (batch, frames + 2, H, W).
    """

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        self.preprocess = Preprocess(spec)
        self.stem = nn.Sequential(nn.Conv2d(self.preprocess.planes, 32, 8, 4), nn.GroupNorm(1, 32), nn.ReLU(),
                                  nn.Conv2d(32, CHANNELS, 4, 2), nn.GroupNorm(1, CHANNELS))  # fmt: skip
        self.margin = (0, max(0, _LEAST_SIDE - spec.frame_width), 0, max(0, _LEAST_SIDE - spec.frame_height))
        self.film = nn.Linear(spec.vector_size, 2 * CHANNELS)
        self.top = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, 1), nn.GroupNorm(1, CHANNELS), nn.ReLU(), Flat())
        with torch.no_grad():
            planes = torch.zeros(1, self.preprocess.planes, spec.frame_height, spec.frame_width)
            self.size = int(self.top(self.stem(self._padded(planes))).shape[1])

    def seen(self, frames: Tensor) -> Tensor:
        """RGB as it is played on, uint8 (batch, frames, H, W, 3) -> what it learns from."""
        return self.preprocess.from_rgb(frames)

    def nothing(self) -> Tensor:
        """What it would learn from where there is nothing to see, batch of 1."""
        return self.preprocess.nothing()

    def forward(self, planes: Tensor, vector: Tensor) -> Tensor:
        """Planes and game vectors (batch, vector_size) -> features (batch, size)."""
        normal = shifted(planes, self.preprocess.normaliser()) if self.training else self.preprocess(planes)
        x = self.stem(self._padded(normal).contiguous(memory_format=torch.channels_last))
        scale, shift = self.film(vector)[:, :, None, None].chunk(2, dim=1)
        features: Tensor = self.top(torch.relu(x * (1.0 + scale) + shift))
        return features

    def _padded(self, planes: Tensor) -> Tensor:
        return functional.pad(planes, self.margin) if any(self.margin) else planes


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)

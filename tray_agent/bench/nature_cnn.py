"""NatureCNN (Mnih et al. 2015) as an encoder of the product's learner: what the imitation library learns (torch).

Convolutions and input are the library's: four grey frames, by 255, 32 of 8x8/4, 64 of 4x4/2, 64 of 3x3/1, each with
ReLU. The 512 units that follow are the learner's own trunk, which is as wide, and hears and normalises (LayerNorm,
dropout) beside: all that the other network computes, and a little more.
"""

import torch
from torch import Tensor, nn

from tray_agent.core.policy import PolicySpec
from tray_agent.training.encoders.convolutional import Flat
from tray_agent.training.encoders.preprocess import Preprocess
from tray_agent.training.encoders.source import EncoderSource


class NatureEncoder(nn.Module):
    """An `Encoder`. It takes planes as any other, and leaves the colours out."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        self.preprocess = Preprocess(spec)
        self.film = nn.Linear(spec.vector_size, 1)  # each encoder has one; nothing hears this one
        self.convolutions = nn.Sequential(
            nn.Conv2d(spec.frames, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3, 1),
            nn.ReLU(), Flat(),
        )  # fmt: skip
        with torch.no_grad():
            grey = torch.zeros(1, spec.frames, spec.frame_height, spec.frame_width)
            self.size = int(self.convolutions(grey).shape[1])

    def seen(self, frames: Tensor) -> Tensor:
        """See Encoder."""
        return self.preprocess.from_rgb(frames)

    def nothing(self) -> Tensor:
        """See Encoder."""
        return self.preprocess.nothing()

    def forward(self, planes: Tensor, vector: Tensor) -> Tensor:  # noqa: ARG002 - the encoder's call
        """See Encoder."""
        device = planes.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
        grey = planes[:, : self.preprocess.frames].to(dtype=dtype, memory_format=torch.channels_last)
        features: Tensor = self.convolutions(grey / 255.0)
        return features


NATURE = EncoderSource("nature-cnn", NatureEncoder)

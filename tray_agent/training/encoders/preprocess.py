"""Whole-numbered planes -> floats normalised by the game's own mean and deviation per pixel (torch)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from tray_agent.core.planes import LUMA_WEIGHTS, PLANES
from tray_agent.core.policy import PolicySpec

_MIN_STD = (8.0, 4.0, 4.0)  # below this a pixel is still: dividing by less would blow up its noise
_CLIP = 5.0


class Preprocess(nn.Module):
    """Frames -> normalised planes: luma of the last, luma differences, two colour differences of the last."""

    mean: Tensor
    std: Tensor
    luma: Tensor

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        self.frames = spec.frames
        shape = (PLANES, spec.frame_height, spec.frame_width)
        self.register_buffer("mean", torch.full(shape, 80.0))
        self.register_buffer("std", torch.full(shape, 80.0))
        self.register_buffer("luma", torch.tensor(LUMA_WEIGHTS, dtype=torch.float32), persistent=False)
        self.planes = spec.frames + PLANES - 1

    def fit(self, planes: Tensor) -> None:
        """Set mean and deviation per pixel from planes, uint8, shape (n, 3, H, W)."""
        values = planes.float()
        self.mean.copy_(values.mean(0))
        least = torch.tensor(_MIN_STD, device=values.device)[:, None, None]
        self.std.copy_(torch.maximum(values.std(0), least))

    def nothing(self) -> Tensor:
        """The picture that tells nothing: the game's mean, float (1, frames + 2, H, W)."""
        return self._by_plane(self.mean)

    def from_rgb(self, frames: Tensor) -> Tensor:
        """The same as `planes.planes_of`, for a stack: uint8 (n, frames, H, W, 3) -> float (n, frames + 2, H, W)."""
        rgb = frames.float()
        luma = torch.floor(((rgb * self.luma).sum(-1) + 128.0) / 256.0)
        last = rgb[:, -1]
        colour = torch.stack([last[..., 0] - luma[:, -1], last[..., 2] - luma[:, -1]], dim=1)
        return torch.cat([luma, torch.floor((colour + 256.0) / 2.0)], dim=1)

    def forward(self, planes: Tensor) -> Tensor:
        """Uint8 or whole floats (n, frames + 2, H, W) -> float, same shape."""
        return self.normaliser()(planes)

    def normaliser(self) -> Callable[[Tensor], Tensor]:
        """`forward`, with what does not depend on its planes computed already: for many small parts of a batch."""
        scale = self._by_plane(self.std.reciprocal())
        return partial(self._normal, -self._by_plane(self.mean) * scale, scale)

    def _normal(self, shift: Tensor, scale: Tensor, planes: Tensor) -> Tensor:
        normal = torch.addcmul(shift, planes.float(), scale).clamp(-_CLIP, _CLIP)
        luma, colour = normal[:, : self.frames], normal[:, self.frames :]
        return torch.cat([luma[:, -1:], luma[:, 1:] - luma[:, :-1], colour], dim=1)

    def _by_plane(self, statistic: Tensor) -> Tensor:
        """Shape (3, H, W) -> (1, frames + 2, H, W)."""
        return torch.cat([statistic[:1].expand(self.frames, -1, -1), statistic[1:]])[None]

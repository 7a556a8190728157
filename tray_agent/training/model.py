"""The policy network. Frames in, held-state logits out; preprocessing is part of the graph.

Why these parts (measured, decisions/0005-policy.md): normalisation by the game's own mean and deviation per pixel is
the largest single gain with minutes of data; then LayerNorm, dropout and class weights; a stride-4 stem because two
CPU cores must train it; differences between frames show small things that move.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.core.policy import PolicySpec
from tray_agent.training.augment import shifted
from tray_agent.training.planes import LUMA_WEIGHTS, PLANES

ARCHITECTURE = "cnn-film-2"
RELATIVE_BINS = (-150.0, -90.0, -54.0, -33.0, -20.0, -12.0, -7.0, -4.0, -2.0, -1.0, 0.0,
                 1.0, 2.0, 4.0, 7.0, 12.0, 20.0, 33.0, 54.0, 90.0, 150.0)  # fmt: skip
"""Counts in a tick; fine near zero, coarse far out (mu-law like), because aim needs the first and turns the second."""
AXIS_BINS = tuple(round(-1.0 + 0.2 * i, 1) for i in range(11))
_MIN_STD = (8.0, 4.0, 4.0)  # below this a pixel is still: dividing by less would blow up its noise
_CLIP = 5.0
_LEAST_SIDE = 36  # smaller pictures leave nothing for the last convolution


class Preprocess(nn.Module):
    """Frames -> normalised planes: luma of the last, luma differences, two colour differences of the last."""

    mean: Tensor
    std: Tensor
    luma: Tensor
    seen_std: Tensor
    """Deviation per pixel of the frames it was fitted to, not raised to the least one divides by."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        self.frames = spec.frames
        shape = (PLANES, spec.frame_height, spec.frame_width)
        self.register_buffer("mean", torch.full(shape, 80.0))
        self.register_buffer("std", torch.full(shape, 80.0))
        self.register_buffer("seen_std", torch.zeros(shape), persistent=False)
        self.register_buffer("luma", torch.tensor(LUMA_WEIGHTS, dtype=torch.float32), persistent=False)
        self.planes = spec.frames + PLANES - 1

    def fit(self, planes: Tensor) -> None:
        """Set mean and deviation per pixel from planes, uint8, shape (n, 3, H, W)."""
        values = planes.float()
        self.mean.copy_(values.mean(0))
        self.seen_std.copy_(values.std(0))
        least = torch.tensor(_MIN_STD, device=values.device)[:, None, None]
        self.std.copy_(torch.maximum(self.seen_std, least))

    def nothing(self) -> Tensor:
        """The picture that tells nothing: the game's mean, float (1, frames + 2, H, W)."""
        return torch.cat([self.mean[:1].expand(self.frames, -1, -1), self.mean[1:]])[None]

    def from_rgb(self, frames: Tensor) -> Tensor:
        """The same as `planes.planes_of`, for a stack: uint8 (n, frames, H, W, 3) -> float (n, frames + 2, H, W)."""
        rgb = frames.float()
        luma = torch.floor(((rgb * self.luma).sum(-1) + 128.0) / 256.0)
        last = rgb[:, -1]
        colour = torch.stack([last[..., 0] - luma[:, -1], last[..., 2] - luma[:, -1]], dim=1)
        return torch.cat([luma, torch.floor((colour + 256.0) / 2.0)], dim=1)

    def forward(self, planes: Tensor) -> Tensor:
        """Uint8 or whole floats (n, frames + 2, H, W) -> float, same shape."""
        values = planes.float()
        luma = ((values[:, : self.frames] - self.mean[0]) / self.std[0]).clamp(-_CLIP, _CLIP)
        colour = ((values[:, self.frames :] - self.mean[1:]) / self.std[1:]).clamp(-_CLIP, _CLIP)
        return torch.cat([luma[:, -1:], luma[:, 1:] - luma[:, :-1], colour], dim=1)


class PolicyNet(nn.Module):
    """Convolutional policy with a sound branch, conditioned on the game vector by FiLM (Perez et al. 2018, eq. 1-2).

    Inputs: frames uint8 (batch, frames, H, W, 3); audio float (batch, *audio_shape); vector float (batch, vector_size).
    Outputs: logits `held` (batch, buttons), `relative` (batch, relative, len(RELATIVE_BINS)),
    `axes` (batch, axes, len(AXIS_BINS)).
    """

    def __init__(self, spec: PolicySpec, width: int = 512, dropout: float = 0.3) -> None:
        super().__init__()
        self.spec = spec
        self.preprocess = Preprocess(spec)
        self.stem = nn.Sequential(nn.Conv2d(self.preprocess.planes, 32, 8, 4), nn.GroupNorm(1, 32), nn.ReLU(),
                                  nn.Conv2d(32, 64, 4, 2), nn.GroupNorm(1, 64))  # fmt: skip
        self.margin = (0, max(0, _LEAST_SIDE - spec.frame_width), 0, max(0, _LEAST_SIDE - spec.frame_height))
        self.film = nn.Linear(spec.vector_size, 2 * 64)
        self.top = nn.Sequential(nn.Conv2d(64, 64, 3, 1), nn.GroupNorm(1, 64), nn.ReLU(), nn.Flatten())
        with torch.no_grad():
            planes = torch.zeros(1, self.preprocess.planes, spec.frame_height, spec.frame_width)
            features = self.top(self.stem(self._padded(planes))).shape[1]
        self.sound = nn.Sequential(nn.Flatten(), nn.Linear(spec.audio_shape[0] * spec.audio_shape[1], 64), nn.ReLU())
        self.trunk = nn.Sequential(nn.Linear(features + 64, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout))
        controls = spec.controls
        self.sizes = (len(controls.buttons), len(controls.relative), len(controls.axes))
        # a layer of size 0 can't be exported: keep one unused row and cut it off
        self.held = nn.Linear(width, max(1, self.sizes[0]))
        self.relative = nn.Linear(width, max(1, self.sizes[1]) * len(RELATIVE_BINS))
        self.axes = nn.Linear(width, max(1, self.sizes[2]) * len(AXIS_BINS))
        self._initialise()
        for part in (self.stem, self.top):  # a third faster on CPUs
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _padded(self, planes: Tensor) -> Tensor:
        return functional.pad(planes, self.margin) if any(self.margin) else planes

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.orthogonal_(module.weight, 2**0.5)
                nn.init.zeros_(cast("Tensor", module.bias))
        for head in (self.held, self.relative, self.axes, self.film):
            nn.init.orthogonal_(head.weight, 0.01)

    def forward(self, frames: Tensor, audio: Tensor, vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.from_planes(self.preprocess.from_rgb(frames), audio, vector)

    def from_planes(self, planes: Tensor, audio: Tensor, vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, from what `replay.Batch.frames` holds, uint8 (batch, frames + 2, H, W)."""
        normal = shifted(planes, self.preprocess) if self.training else self.preprocess(planes)
        x = self.stem(self._padded(normal).contiguous(memory_format=torch.channels_last))
        scale, shift = self.film(vector)[:, :, None, None].chunk(2, dim=1)
        x = self.top(torch.relu(x * (1.0 + scale) + shift))
        hidden = self.trunk(torch.cat([x, self.sound(audio)], dim=1))
        relative = self.relative(hidden).unflatten(1, (-1, len(RELATIVE_BINS)))
        axes = self.axes(hidden).unflatten(1, (-1, len(AXIS_BINS)))
        return self.held(hidden)[:, : self.sizes[0]], relative[:, : self.sizes[1]], axes[:, : self.sizes[2]]

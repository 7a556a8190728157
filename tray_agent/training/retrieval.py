"""Playing by memory: what did the player do where it looked like this? (torch)

A network half a minute old has good eyes and bad hands: its features tell situations apart before its heads have
learned what to do in each (decisions/0009-retrieval.md has the numbers). So ticks are remembered by the network's own
features, and what the player held in them is weighed by how alike they are. It is as much a policy as the network is:
the same inputs and outputs; the memory is part of the graph.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.training.encoders.preprocess import Preprocess
from tray_agent.training.encoders.source import Encoder
from tray_agent.training.model import AXIS_BINS, RELATIVE_BINS, PolicyNet
from tray_agent.training.replay import Batch

MEMORY = 1024
"""Ticks remembered at most: a minute of most games. More take longer to look at again than they are worth."""
_SHARPNESS = 30.0  # a likeness (cosine) lower by a thirtieth counts e times less
_NEVER = -1e4
_LEAST_CHANCE = 0.01
_AT_ONCE = 128

Outputs = tuple[Tensor, Tensor, Tensor]


class Retrieval(nn.Module):
    """A network and a memory of ticks by its features. Inputs and outputs as `PolicyNet`.

    Args:
        net: whose features; shared, not copied.
        share: of the memory in what comes out, 0 to 1; the rest is the network's.
    """

    centre: Tensor
    keys: Tensor
    weights: Tensor
    kept_held: Tensor
    kept_relative: Tensor
    kept_axes: Tensor
    share: Tensor

    def __init__(self, net: PolicyNet, share: float = 1.0) -> None:
        super().__init__()
        self.net = net
        width = net.held.in_features
        # the graph's outputs have the plain names
        sizes = {"kept_held": net.held, "kept_relative": net.relative, "kept_axes": net.axes}
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("keys", torch.zeros(MEMORY, width))
        self.register_buffer("weights", torch.full((MEMORY,), _NEVER))
        for name, head in sizes.items():
            self.register_buffer(name, torch.zeros(MEMORY, head.out_features))
        self.register_buffer("share", torch.tensor(share))

    @property
    def about(self) -> str:
        """What a bundle's manifest says of it beside the architecture."""
        return f"with a memory of {int((self.weights > _NEVER).sum())} ticks, share {float(self.share):g}"

    @property
    def encoder(self) -> Encoder:
        """The network's."""
        return self.net.encoder

    @property
    def preprocess(self) -> Preprocess:
        """Statistics of the game's picture."""
        return self.net.preprocess

    def remember(self, batch: Batch, weights: Tensor, vector: Tensor, bf16: bool = False) -> None:
        """Forget what was remembered, and take these ticks (MEMORY at most).

        Args:
            batch: ticks, as for learning.
            weights: how much each counts, shape (n,).
            vector: game vector, shape (vector_size,).
            bf16: look at them in bfloat16, where that is faster.
        """
        n = len(batch.actions)
        frames, audio = torch.from_numpy(batch.frames), torch.from_numpy(batch.audio)
        vectors = vector.expand(n, -1)
        self.eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            parts = [slice(i, i + _AT_ONCE) for i in range(0, n, _AT_ONCE)]
            features = torch.cat([self.net.hidden(frames[p], audio[p], vectors[p]) for p in parts]).float()
        with torch.no_grad():
            self.centre.copy_(features.mean(0))
            self.keys.zero_()[:n] = functional.normalize(features - self.centre, dim=1)
            self.weights.fill_(_NEVER)[:n] = torch.log(weights / weights.max())
            self._take_actions(torch.from_numpy(batch.actions))

    def forward(self, frames: Tensor, audio: Tensor, vector: Tensor) -> Outputs:
        return self.from_planes(self.encoder.seen(frames), audio, vector)

    def from_planes(self, planes: Tensor, audio: Tensor, vector: Tensor) -> Outputs:
        """As `PolicyNet.from_planes`."""
        features = self.net.hidden(planes, audio, vector)
        pairs = zip(self.net.heads(features), self._remembered(features), strict=True)
        held, relative, axes = (network + self.share * (memory - network) for network, memory in pairs)
        return held, relative, axes

    def _remembered(self, features: Tensor) -> Outputs:
        """What the memory alone says."""
        alike = functional.normalize(features - self.centre, dim=1) @ self.keys.T
        near = torch.softmax(_SHARPNESS * alike + self.weights, dim=1)
        held = torch.logit((near @ self.kept_held).clamp(_LEAST_CHANCE, 1.0 - _LEAST_CHANCE))
        relative, axes = (
            torch.log((near @ bins).clamp(min=_LEAST_CHANCE)) for bins in (self.kept_relative, self.kept_axes)
        )
        return self.net.shaped(held, relative, axes)

    def _take_actions(self, actions: Tensor) -> None:
        n = len(actions)
        held, relative, axes = self.net.spec.controls.split(actions)  # type: ignore[arg-type]
        self.kept_held.zero_()[:n, : held.shape[1]] = torch.as_tensor(held)
        for memory, values, bins in ((self.kept_relative, relative, RELATIVE_BINS), (self.kept_axes, axes, AXIS_BINS)):
            nearest = (torch.as_tensor(values)[..., None] - torch.tensor(bins)).abs().argmin(-1)
            chosen = functional.one_hot(nearest, len(bins)).flatten(1).float()
            memory.zero_()[:n, : chosen.shape[1]] = chosen

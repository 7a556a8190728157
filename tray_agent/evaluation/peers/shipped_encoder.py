"""Features of the encoder that comes with the product, for nearest neighbours: the product's eyes without its learning.

`models/encoder.safetensors` as it is: planes normalised by the game's own mean and deviation per pixel, the two parts
of `ConvEncoder` that the file holds, and FiLM that says nothing, as the file has none. Of the numbers that come out,
the principal components are kept.

Distances are Euclidean, so that nothing but the features differs from the peer that sees pixels. The cosine, which the
product's own memory goes by, does not tell more: GroupNorm makes the features of all pictures about as long (within a
tenth), and what the neighbours hold errs by as much from held-out play (Pong 0.213 and 0.211 a button, Breakout 0.234
and 0.234). All is done in float32: ten minutes of play take 7 s on two cores, and at play it sees the same.
"""

import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from tray_agent.core.planes import planes_of
from tray_agent.core.policy import PolicySpec
from tray_agent.evaluation.peers.actions import Floats
from tray_agent.evaluation.peers.history import Bytes, Windows
from tray_agent.evaluation.peers.peer import Recording
from tray_agent.evaluation.peers.principal_components import principal_components
from tray_agent.training.encoders.bundled import read_weights, shipped_weights
from tray_agent.training.encoders.convolutional import ConvEncoder

_COMPONENTS = 256
_TICKS = 4096
_STATISTICS_FRAMES = 1024
_AT_ONCE = 32  # windows: more do not stay in the processor's cache


class ShippedEncoder:
    """See the module; an `Encoder` of `neighbours`."""

    frame_size = (80, 105)
    """What the weights were made for."""
    frames = 4

    def __init__(self) -> None:
        self._net: ConvEncoder | None = None
        self._nothing = torch.zeros(0)  # a game vector that says nothing
        self._mean = self._basis = torch.zeros(0)

    def fit(self, data: Recording, windows: Windows, deadline: float, seed: int) -> None:
        """See Encoder. Raises PlatformUnavailable: the weights are missing or can't be read."""
        n = len(data)
        spec = replace(data.spec, frames=self.frames)
        self._net, self._nothing = _shipped(spec), torch.zeros(1, spec.vector_size)
        some = np.unique(np.linspace(0, n - 1, _STATISTICS_FRAMES).astype(np.int64))
        self._net.preprocess.fit(torch.from_numpy(np.stack([planes_of(data.frames[row]) for row in some])))
        seen: list[Tensor] = []
        rows = np.random.default_rng(seed).permutation(n)[:_TICKS]
        for part in np.array_split(rows, -(-len(rows) // _AT_ONCE)):
            if seen and time.monotonic() > deadline:
                break
            seen.append(self._seen(data.frames[windows.rows(part)]))
        x = torch.cat(seen)
        self._mean = x.mean(0)
        self._basis = principal_components(x - self._mean, _COMPONENTS, deadline, seed)

    def features(self, windows: Bytes) -> Floats:
        """See Encoder. Raises RuntimeError: it has not been fitted."""
        parts = [windows[at : at + _AT_ONCE] for at in range(0, len(windows), _AT_ONCE)]
        features: Floats = torch.cat([(self._seen(part) - self._mean) @ self._basis for part in parts]).numpy()
        return features

    def _seen(self, windows: Bytes) -> Tensor:
        """All that the encoder says of windows, float (n, its size)."""
        if self._net is None:
            raise RuntimeError("the encoder has not been fitted yet")
        with torch.no_grad():
            planes = self._net.seen(torch.from_numpy(windows))
            seen: Tensor = self._net(planes, self._nothing.expand(len(windows), -1))
        return seen


def _shipped(spec: PolicySpec) -> ConvEncoder:
    net = ConvEncoder(spec)
    net.load_state_dict(read_weights(shipped_weights(), spec), strict=False)
    nn.init.zeros_(net.film.weight)
    nn.init.zeros_(net.film.bias)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net.eval()

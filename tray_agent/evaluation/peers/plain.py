"""The plain agent: one frame through a small network, mean squared error on the action, a threshold for buttons."""

import time
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import AudioFeatures
from tray_agent.evaluation.peers.actions import ActionCode
from tray_agent.evaluation.peers.history import Integers
from tray_agent.evaluation.peers.peer import LearnReport, Recording, check
from tray_agent.evaluation.peers.training import device, fit, initialise, prepare

_BATCH = 64
_RATE = 1e-3


class PlainNet(nn.Module):
    """Frame, sound and game vector -> the action vector.

    Inputs: frames uint8 (batch, H, W, 3); audio float (batch, *audio_shape). Output: float (batch, controls.size).
    """

    vector: Tensor

    def __init__(self, spec: PolicySpec, vector: tuple[float, ...], frame_size: tuple[int, int]) -> None:
        super().__init__()
        width, height = frame_size
        self.register_buffer("vector", torch.tensor(vector, dtype=torch.float32))
        self.picture = nn.Sequential(
            nn.Conv2d(3, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        with torch.no_grad():
            features = self.picture(torch.zeros(1, 3, height, width)).shape[1]
        self.sound = nn.Linear(spec.audio_shape[0] * spec.audio_shape[1], 32)
        self.top = nn.Sequential(
            nn.Linear(features + 32 + len(vector), 256), nn.ReLU(), nn.Linear(256, spec.controls.size)
        )
        initialise(self.picture, self.top[:-1])

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        picture = self.picture(frames.permute(0, 3, 1, 2).float() / 255.0)
        vector = self.vector.expand(len(frames), -1)
        return cast("Tensor", self.top(torch.cat([picture, self.sound(audio.flatten(1)), vector], dim=1)))


class PlainPeer:
    """See the module."""

    frame_size = (96, 72)

    def __init__(self) -> None:
        self._net: PlainNet | None = None
        self._code: ActionCode | None = None

    def learn(self, data: Recording, seconds: float, threads: int, seed: int) -> LearnReport:
        """See Peer."""
        began = time.monotonic()
        check(data, self.frame_size)
        prepare(threads, seed)
        on = device()
        code = ActionCode.of(data.spec.controls, data.actions)
        net = PlainNet(data.spec, data.vector, self.frame_size).to(on)
        targets = torch.from_numpy(np.concatenate([code.held(data.actions), code.others(data.actions)], axis=1))

        def loss(rows: Integers) -> Tensor:
            frames, audio = torch.from_numpy(data.frames[rows]), torch.from_numpy(data.audio[rows])
            return functional.mse_loss(net(frames.to(on), audio.to(on)), targets[rows].to(on))

        done = fit(net, loss, len(data), _BATCH, _RATE, began + seconds, seed)
        self._net, self._code = net.cpu(), code
        return done.report(began)

    def reset(self) -> None:
        """It has no memory."""

    def act(self, pixels: Pixels, audio: AudioFeatures) -> FloatVector:
        """See Peer."""
        if self._net is None or self._code is None:
            raise RuntimeError("the peer has not learned yet")
        with torch.no_grad():
            output = self._net(torch.tensor(pixels[None]), torch.tensor(audio[None]))[0].numpy()
        return self._code.action(output[: self._code.buttons], output[self._code.buttons :])

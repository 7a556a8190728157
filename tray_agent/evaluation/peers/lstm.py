"""CNN, then an LSTM over four grey frames; one head for the combination of buttons, one for all other controls.

The combinations are those the player used. The LSTM begins anew with each window, in learning and in playing.
"""

import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels
from tray_agent.core.sample import AudioFeatures
from tray_agent.evaluation.peers.actions import ActionCode
from tray_agent.evaluation.peers.history import Integers, RecentFrames, Windows, grey, grey_frame
from tray_agent.evaluation.peers.peer import LearnReport, Recording, check
from tray_agent.evaluation.peers.training import device, fit, initialise, prepare

FRAMES = 4
_BATCH = 32
_RATE = 1e-3


class LstmNet(nn.Module):
    """Window of grey frames -> what to do.

    Input: uint8 (batch, FRAMES, H, W). Outputs: logits (batch, combinations); numbers (batch, others).
    """

    def __init__(self, combinations: int, others: int, frame_size: tuple[int, int]) -> None:
        super().__init__()
        width, height = frame_size
        self.frame = nn.Sequential(
            nn.Conv2d(1, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.Conv2d(32, 32, 3, 1), nn.ReLU(),
            nn.Flatten(),
        )  # fmt: skip
        with torch.no_grad():
            features = self.frame(torch.zeros(1, 1, height, width)).shape[1]
        self.squeeze = nn.Sequential(nn.Linear(features, 256), nn.ReLU())
        self.lstm = nn.LSTM(256, 256, batch_first=True)
        self.which = nn.Linear(256, combinations)
        self.others = nn.Linear(256, others) if others else None
        initialise(self.frame, self.squeeze)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        frames = windows.flatten(0, 1)[:, None].float() / 255.0
        features = self.squeeze(self.frame(frames)).unflatten(0, (-1, FRAMES))
        last = self.lstm(features)[0][:, -1]
        return self.which(last), last[:, :0] if self.others is None else self.others(last)


class LstmPeer:
    """See the module."""

    frame_size = (84, 84)

    def __init__(self) -> None:
        self._recent = RecentFrames(FRAMES)
        self._net: LstmNet | None = None
        self._code: ActionCode | None = None

    def learn(self, data: Recording, seconds: float, threads: int, seed: int) -> LearnReport:
        """See Peer."""
        began = time.monotonic()
        check(data, self.frame_size)
        prepare(threads, seed)
        on = device()
        code = ActionCode.of(data.spec.controls, data.actions)
        net = LstmNet(len(code.combinations), len(code.scale), self.frame_size).to(on)
        frames, windows = grey(data.frames), Windows(len(data), data.starts, FRAMES)
        classes, others = torch.from_numpy(code.classes(data.actions)), torch.from_numpy(code.others(data.actions))

        def loss(rows: Integers) -> Tensor:
            logits, numbers = net(torch.from_numpy(frames[windows.rows(rows)]).to(on))
            total = functional.cross_entropy(logits, classes[rows].to(on))
            return total + functional.mse_loss(numbers, others[rows].to(on)) if len(code.scale) else total

        done = fit(net, loss, len(data), _BATCH, _RATE, began + seconds, seed)
        self._net, self._code = net.cpu(), code
        return done.report(began)

    def reset(self) -> None:
        """See Peer."""
        self._recent.reset()

    def act(self, pixels: Pixels, audio: AudioFeatures) -> FloatVector:  # noqa: ARG002 - it is deaf
        """See Peer."""
        if self._net is None or self._code is None:
            raise RuntimeError("the peer has not learned yet")
        with torch.no_grad():
            logits, others = self._net(torch.from_numpy(self._recent.push(grey_frame(pixels))[None]))
        held = self._code.combinations[int(np.argmax(logits[0].numpy()))]
        return self._code.action(held, others[0].numpy())

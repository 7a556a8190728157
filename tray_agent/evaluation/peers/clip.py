"""The clip model: the last 20 frames at 256 x 256 -> which keys are down at the end, played through ONNX.

Made as a beginner's tutorial would: a small network sees each frame alone, what it says of the 20 is laid side by
side, two layers decide; binary cross-entropy, a threshold at one half. Where a game has axes, they are learned beside
the keys by mean squared error.
"""

import time
import warnings
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels
from tray_agent.core.sample import AudioFeatures
from tray_agent.evaluation.peers.actions import ActionCode
from tray_agent.evaluation.peers.history import Integers, RecentFrames, Windows
from tray_agent.evaluation.peers.peer import LearnReport, Recording, check
from tray_agent.evaluation.peers.training import device, fit, initialise, prepare

FRAMES = 20
_BATCH = 4
_RATE = 1e-3
_EXPORT_S = 0.5  # for putting the weights into the graph and loading it


class ClipNet(nn.Module):
    """Clip -> keys and axes.

    Input: uint8 (batch, FRAMES, H, W, 3). Output: float (batch, buttons + others): probabilities, then numbers.
    """

    def __init__(self, buttons: int, others: int, frame_size: tuple[int, int]) -> None:
        super().__init__()
        width, height = frame_size
        self.buttons = buttons
        self.frame = nn.Sequential(
            nn.Conv2d(3, 8, 8, 4), nn.ReLU(), nn.Conv2d(8, 16, 4, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(),
            nn.Flatten(),
        )  # fmt: skip
        with torch.no_grad():
            features = self.frame(torch.zeros(1, 3, height, width)).shape[1]
        self.squeeze = nn.Sequential(nn.Linear(features, 64), nn.ReLU())
        self.top = nn.Sequential(nn.Linear(FRAMES * 64, 128), nn.ReLU(), nn.Linear(128, buttons + others))
        initialise(self.frame, self.squeeze, self.top[:-1])

    def logits(self, clips: Tensor) -> Tensor:
        """As the output, but logits where there are probabilities."""
        frames = clips.flatten(0, 1).permute(0, 3, 1, 2).float().div_(255.0)
        features = self.squeeze(self.frame(frames))
        return cast("Tensor", self.top(features.unflatten(0, (-1, FRAMES)).flatten(1)))

    def forward(self, clips: Tensor) -> Tensor:
        out = self.logits(clips)
        return torch.cat([torch.sigmoid(out[:, : self.buttons]), out[:, self.buttons :]], dim=1)


class ClipPeer:
    """See the module.

    Args:
        frame_size: width and height of the frames.
    """

    def __init__(self, frame_size: tuple[int, int] = (256, 256)) -> None:
        self.frame_size = frame_size
        self._recent = RecentFrames(FRAMES)
        self._code: ActionCode | None = None
        self._graph = b""
        self._threads = 1
        self._session: Any = None

    def learn(self, data: Recording, seconds: float, threads: int, seed: int) -> LearnReport:
        """See Peer."""
        began = time.monotonic()
        check(data, self.frame_size)
        prepare(threads, seed)
        on = device()
        code = ActionCode.of(data.spec.controls, data.actions)
        net = ClipNet(code.buttons, len(code.scale), self.frame_size)
        graph = _trace(net, self.frame_size)  # takes seconds, so it is done before the time left is known
        net.to(on)
        windows = Windows(len(data), data.starts, FRAMES)
        held, others = torch.from_numpy(code.held(data.actions)), torch.from_numpy(code.others(data.actions))

        def loss(rows: Integers) -> Tensor:
            out = net.logits(torch.from_numpy(data.frames[windows.rows(rows)]).to(on))
            return _loss(out, held[rows].to(on), others[rows].to(on))

        done = fit(net, loss, len(data), _BATCH, _RATE, began + seconds - _EXPORT_S, seed)
        self._graph = _filled(graph, net.cpu())
        self._code, self._threads = code, threads
        self._session = _load(self._graph, threads)
        return done.report(began)

    def reset(self) -> None:
        """See Peer."""
        self._recent.reset()

    def act(self, pixels: Pixels, audio: AudioFeatures) -> FloatVector:  # noqa: ARG002 - it is deaf
        """See Peer."""
        if self._code is None:
            raise RuntimeError("the peer has not learned yet")
        if self._session is None:
            self._session = _load(self._graph, self._threads)
        output = self._session.run(None, {"clip": self._recent.push(pixels)[None]})[0][0]
        return self._code.action(output[: self._code.buttons], output[self._code.buttons :])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}  # a session can't be pickled; it is loaded again from the graph


def _loss(out: Tensor, held: Tensor, others: Tensor) -> Tensor:
    total = torch.zeros((), device=out.device)
    buttons = held.shape[1]
    if buttons:
        total = total + functional.binary_cross_entropy_with_logits(out[:, :buttons], held)
    if others.shape[1]:
        total = total + functional.mse_loss(out[:, buttons:], others)
    return total


def _trace(net: ClipNet, frame_size: tuple[int, int]) -> onnx.ModelProto:
    width, height = frame_size
    net.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own insides
        program = torch.onnx.export(
            net, (torch.zeros(1, FRAMES, height, width, 3, dtype=torch.uint8),), dynamo=True, optimize=False,
            external_data=False, input_names=["clip"], output_names=["action"], verbose=False,
        )  # fmt: skip
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return program.model_proto


def _filled(graph: onnx.ModelProto, net: ClipNet) -> bytes:
    weights = {name: value.detach().numpy() for name, value in net.named_parameters()}
    filled = 0
    for initializer in graph.graph.initializer:
        if initializer.name in weights:
            value = np.ascontiguousarray(weights[initializer.name])
            initializer.CopyFrom(numpy_helper.from_array(value, initializer.name))
            filled += 1
    if filled != len(weights):
        raise RuntimeError(f"the traced graph has {filled} of the network's {len(weights)} weights")
    return cast("bytes", graph.SerializeToString())


def _load(graph: bytes, threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

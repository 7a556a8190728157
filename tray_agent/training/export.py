"""Network -> ONNX bytes, checked against torch.

Tracing takes seconds, so it is done once per network; a refresh only replaces the weights inside the traced graph.
"""

import warnings

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import BundleError
from tray_agent.policy.onnx_policy import OUTPUTS
from tray_agent.training.model import PolicyNet
from tray_agent.training.retrieval import Retrieval

MAX_PARITY_ERROR = 1e-3
_ALWAYS_THERE = ("encoder.stem.", "encoder.top.", "trunk.")
_BESIDE_MEMORY = "net."
"""Names of a network's weights begin so in a graph that has a memory as well."""


class Exporter:
    """Turns one network's weights, or one memory's, into ONNX graphs, again and again."""

    def __init__(self, spec: PolicySpec) -> None:
        self._spec = spec
        self._template: onnx.ModelProto | None = None

    def export(self, net: PolicyNet | Retrieval) -> tuple[bytes, float]:
        """Serialized graph and its largest difference from torch on a random input.

        Raises:
            BundleError: the graph computes something else than the network.
        """
        net.eval()
        if self._template is None:
            self._template = self._trace(net)
        self._fill(self._template, net)
        data = self._template.SerializeToString()
        parity = self._parity(net, data)
        if not parity <= MAX_PARITY_ERROR:
            raise BundleError(f"the exported graph differs from the network by {parity:.2g}; it was not used")
        return data, parity

    def example(self, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """A random input of batch size 1."""
        s = self._spec
        generator = torch.Generator().manual_seed(seed)
        frames = torch.randint(0, 256, (1, s.frames, s.frame_height, s.frame_width, 3), generator=generator)
        return (
            frames.to(torch.uint8),
            torch.rand(1, *s.audio_shape, generator=generator),
            torch.rand(1, s.vector_size, generator=generator),
        )

    def _trace(self, net: PolicyNet | Retrieval) -> onnx.ModelProto:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of its own insides
            program = torch.onnx.export(
                net, self.example(), dynamo=True, optimize=False, external_data=False,
                input_names=["frames", "audio", "vector"], output_names=list(OUTPUTS), verbose=False,
            )  # fmt: skip
        if program is None:
            raise BundleError("torch.onnx.export gave no program")
        return program.model_proto

    def _fill(self, graph: onnx.ModelProto, net: PolicyNet | Retrieval) -> None:
        state = {k: v.detach().cpu().numpy() for k, v in (*net.named_parameters(), *net.named_buffers())}
        for initializer in graph.graph.initializer:
            if initializer.name in state:
                value = np.ascontiguousarray(state[initializer.name])
                initializer.CopyFrom(numpy_helper.from_array(value, initializer.name))

    def _parity(self, net: PolicyNet | Retrieval, data: bytes) -> float:
        import onnxruntime as ort

        session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
        worst = 0.0
        for seed in (1, 2):
            example = self.example(seed)
            with torch.no_grad():
                expected = [t.cpu().numpy() for t in net(*example)]
            names = [i.name for i in session.get_inputs()]
            feed = dict(zip(("frames", "audio", "vector"), (t.numpy() for t in example), strict=True))
            got = session.run(None, {n: feed[n] for n in names})
            with np.errstate(invalid="ignore"):
                differences = [np.abs(a - b).max() for a, b in zip(expected, got, strict=True) if a.size]
            worst = float(np.max([worst, *differences]))  # unlike max() it hands NaN on
        return worst


def fill_from(net: PolicyNet, data: bytes) -> None:
    """Put the weights of an exported graph into a network of the same shape; a memory beside them is left out.

    Raises:
        BundleError: it is the graph of another network.
    """
    state = dict((*net.named_parameters(), *net.named_buffers()))
    wanted = {name for name in state if name.startswith(_ALWAYS_THERE)}
    try:
        named = {i.name.removeprefix(_BESIDE_MEMORY): i for i in onnx.load_model_from_string(data).graph.initializer}
        held = {name: initializer for name, initializer in named.items() if name in state}
        with torch.no_grad():
            if net.vector_shift is not None:
                net.vector_shift.zero_()  # a graph made while vectors were not learned has none
            for name, initializer in held.items():
                state[name].copy_(torch.from_numpy(numpy_helper.to_array(initializer).copy()))
    except (DecodeError, ValueError, RuntimeError) as error:
        raise BundleError(f"the graph does not hold the network's weights: {error}") from error
    if missing := wanted - set(held):
        raise BundleError(f"the graph does not hold the network's weights: {min(missing)} is missing")
    if "vector_shift" in named and net.vector_shift is None:
        raise BundleError("the graph is of a network whose game vector was learned")

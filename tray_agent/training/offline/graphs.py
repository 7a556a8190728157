"""Exported graphs compared with each other on real ticks, and a graph's weights as whole numbers (onnxruntime)."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch

from tray_agent.core.media import Pixels
from tray_agent.errors import BundleError
from tray_agent.policy.onnx_policy import OUTPUTS
from tray_agent.training.objective import Outputs

LEAST_AGREEMENT = 0.99
"""Of held-out ticks with the same likeliest action, below which whole numbers are not kept."""
_WHOLE = ("MatMul", "Gemm")
"""Nearly all weights are in these; convolutions in whole numbers are slower and less exact."""


def say(graph: bytes, pictures: Pixels, audio: npt.NDArray[np.float32], vector: tuple[float, ...]) -> Outputs:
    """What a graph says of n ticks.

    Args:
        graph: serialized.
        pictures: uint8, shape (n, frames, H, W, 3).
        audio: shape (n, *audio_shape).
        vector: the game's.

    Raises:
        BundleError: it can't be run, or not on these inputs.
    """
    import onnxruntime as ort

    try:
        session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
        wanted = {i.name for i in session.get_inputs()}
        known = {"vector": np.asarray(vector, np.float32)[None]}
        rows = []
        for seen, heard in zip(pictures, audio, strict=True):
            feed = known | {"frames": seen[None], "audio": heard[None]}
            rows.append(session.run(list(OUTPUTS), {name: feed[name] for name in wanted}))
    except Exception as error:  # onnxruntime raises a dozen unrelated classes
        raise BundleError(f"the graph can't be run on recorded play: {error}") from error
    held, relative, axes = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*rows, strict=True))
    return held, relative, axes


def largest_difference(one: Outputs, other: Outputs) -> float:
    """Of two graphs' logits."""
    return float(max((a - b).abs().max() for a, b in zip(one, other, strict=True) if a.numel()))


def in_whole_numbers(graph: bytes) -> bytes:
    """The graph with the weights of its dense layers as 8-bit whole numbers (onnxruntime's dynamic quantisation).

    Raises:
        BundleError: it can't be done.
    """
    model = onnx.load_model_from_string(graph)
    del model.graph.value_info[:]  # it turns weights round, and stumbles over their shapes as they were
    with tempfile.TemporaryDirectory() as folder, hushed():
        path = Path(folder) / "int8.onnx"
        try:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            quantize_dynamic(model, path, op_types_to_quantize=list(_WHOLE), weight_type=QuantType.QInt8)
        except Exception as error:  # as above
            raise BundleError(f"the weights can't be made whole numbers: {error}") from error
        return path.read_bytes()


@contextmanager
def hushed() -> Iterator[None]:
    """Exporting and quantising give advice to their developers on the root logger."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)

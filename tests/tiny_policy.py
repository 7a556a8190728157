"""Bundles with hand-made ONNX graphs, so that tests of playing need no torch."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.policy.bundle import Manifest, write_bundle

KEYS = Controls(("ArrowLeft", "ArrowRight"))
SPEC = PolicySpec(KEYS, rate_hz=20, frame_width=8, frame_height=6, frames=3)
BINS = (-2.0, 0.0, 2.0)
AXIS_BINS = (-1.0, 0.0, 1.0)


def graph(spec: PolicySpec = SPEC, held=None, relative=None, axes=None, brightness: float = 0.0) -> bytes:
    """A graph whose logits are constants, but for `held`: brightness * mean of the newest frame is added to it.

    Args:
        held: logits of the buttons (zeros).
        relative, axes: logits of the bins (zeros).
    """
    c = spec.controls
    zeros = ((1, len(c.buttons)), (1, len(c.relative), len(BINS)), (1, len(c.axes), len(AXIS_BINS)))
    constants = [
        np.zeros(shape, np.float32) if value is None else np.asarray(value, np.float32).reshape(shape)
        for value, shape in zip((held, relative, axes), zeros, strict=True)
    ]
    shape = [1, spec.frames, spec.frame_height, spec.frame_width, 3]
    last = numpy_helper.from_array(np.array([spec.frames - 1], np.int64), "last")
    nodes = [
        helper.make_node("Gather", ["frames", "last"], ["newest"], axis=1),
        helper.make_node("Cast", ["newest"], ["as_float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["as_float"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "gain"], ["shift"]),
        helper.make_node("Add", ["c_held", "shift"], ["held"]),
        helper.make_node("Identity", ["c_relative"], ["relative"]),
        helper.make_node("Identity", ["c_axes"], ["axes"]),
    ]
    names = ("held", "relative", "axes")
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, z) for n, z in zip(names, zeros, strict=True)]
    inputs = [helper.make_tensor_value_info("frames", TensorProto.UINT8, shape)]
    initializers = [last, numpy_helper.from_array(np.array(brightness, np.float32), "gain")]
    initializers += [numpy_helper.from_array(v, f"c_{n}") for n, v in zip(names, constants, strict=True)]
    made = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def manifest(spec: PolicySpec = SPEC, game: str = "toy", **changes) -> Manifest:
    """A manifest that fits `graph(spec)`."""
    fields = {"relative_bins": dict.fromkeys(spec.controls.relative, BINS), "axis_bins": AXIS_BINS} | changes
    return Manifest(game=game, spec=spec, vector=(0.5,) * spec.vector_size, **fields)


def store(models: Path, run: str = "r1", spec: PolicySpec = SPEC, onnx_bytes: bytes | None = None, **changes) -> Path:
    """Write a bundle; its folder."""
    return write_bundle(models, manifest(spec, **changes), onnx_bytes or graph(spec), run)

"""A policy's ONNX graph as a torch module, for converters that begin with one (onnx, onnxruntime, torch).

The graph is all there is to read: bundles of other people and of earlier versions, and such with a memory beside the
network, go the same way. onnxruntime works out first what does not depend on the inputs, so that every size, axis and
index is a number that stands in the graph.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.errors import BundleError

_TYPES = {
    TensorProto.FLOAT: torch.float32, TensorProto.DOUBLE: torch.float64, TensorProto.UINT8: torch.uint8,
    TensorProto.INT32: torch.int32, TensorProto.INT64: torch.int64, TensorProto.BOOL: torch.bool,
}  # fmt: skip


class GraphModule(nn.Module):
    """Takes the graph's inputs by name and gives its outputs by name, as the graph does: sizes are fixed.

    Args:
        data: serialized graph.

    Raises:
        BundleError: it uses an operator that is not known here, or is no usable graph.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__()
        graph = _worked_out(data).graph
        for node in graph.node:
            if node.op_type not in _OPERATORS or node.domain not in {"", "ai.onnx"}:
                raise BundleError(f"the graph uses the operator {node.op_type}, which can't be converted")
        self._nodes = list(graph.node)
        self._numbers: dict[str, Any] = {}
        """Constants as plain numbers, for sizes and the like, by name."""
        self._named: dict[str, str] = {}
        """Name in the graph -> name of the buffer."""
        for number, constant in enumerate(graph.initializer):
            value = numpy_helper.to_array(constant)
            self._named[constant.name] = f"constant_{number}"
            self.register_buffer(self._named[constant.name], torch.from_numpy(np.array(value)))
            if value.ndim < 2 and np.issubdtype(value.dtype, np.integer):
                self._numbers[constant.name] = value.tolist()
        self._outputs = [output.name for output in graph.output]
        self._inputs = {
            i.name: ([d.dim_value for d in i.type.tensor_type.shape.dim], _TYPES[i.type.tensor_type.elem_type])
            for i in graph.input
        }

    def example(self) -> dict[str, Tensor]:
        """Inputs of the right shapes and types, all zero."""
        return {name: torch.zeros(shape, dtype=kind) for name, (shape, kind) in self._inputs.items()}

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        values: dict[str, Any] = {name: getattr(self, buffer) for name, buffer in self._named.items()} | inputs
        for node in self._nodes:
            values[node.output[0]] = _OPERATORS[node.op_type](_Call(node, values, self._numbers))
        return {name: values[name] for name in self._outputs}


def _worked_out(data: bytes) -> onnx.ModelProto:
    import onnxruntime as ort

    with tempfile.TemporaryDirectory(prefix="tray-agent-graph-") as folder:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "graph.onnx")
        options.log_severity_level = 3
        try:
            ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen unrelated classes for a bad file
            raise BundleError(f"onnxruntime can't read the graph: {error}") from error
        return onnx.load(options.optimized_model_filepath)


class _Call:
    """A node with the values it is given."""

    def __init__(self, node: onnx.NodeProto, values: dict[str, Any], numbers: dict[str, Any]) -> None:
        self._node = node
        self._values = values
        self._numbers = numbers
        self._attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

    def has(self, index: int) -> bool:
        return index < len(self._node.input) and self._node.input[index] != ""

    def value(self, index: int = 0) -> Any:
        return self._values[self._node.input[index]]

    def values(self) -> list[Any]:
        return [self._values[name] for name in self._node.input]

    def numbers(self, index: int) -> Any:
        """The input as a plain number or list of numbers. Raises BundleError where it hangs on what the policy sees."""
        try:
            return self._numbers[self._node.input[index]]
        except KeyError:
            raise BundleError(
                f"a size in the graph ({self._node.op_type}) is not fixed, so it can't be converted"
            ) from None

    def attribute(self, name: str, default: Any) -> Any:
        return self._attributes.get(name, default)


def _cast(call: _Call) -> Tensor:
    kind = _TYPES.get(call.attribute("to", 0))
    if kind is None:
        raise BundleError("the graph uses a kind of number that can't be converted")
    return call.value().to(kind)  # type: ignore[no-any-return]


def _reshape(call: _Call) -> Tensor:
    x, shape = call.value(), call.numbers(1)
    if not call.attribute("allowzero", 0):
        shape = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
    return x.reshape(shape)  # type: ignore[no-any-return]


def _unsqueeze(call: _Call) -> Tensor:
    x, axes = call.value(), call.numbers(1)
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x  # type: ignore[no-any-return]


def _slice(call: _Call) -> Tensor:
    x, starts, ends = call.value(), call.numbers(1), call.numbers(2)
    axes = call.numbers(3) if call.has(3) else range(len(starts))
    steps = call.numbers(4) if call.has(4) else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise BundleError("the graph turns something round (Slice), which can't be converted")
        begin, stop, _ = slice(start, end).indices(x.shape[axis])
        x = x[(slice(None),) * (axis % x.ndim) + (slice(begin, max(begin, stop), step),)]
    return x  # type: ignore[no-any-return]


def _gather(call: _Call) -> Tensor:
    x, index, axis = call.value(), call.numbers(1), call.attribute("axis", 0)
    if isinstance(index, int):
        return x.select(axis, index)  # type: ignore[no-any-return]
    return torch.stack([x.select(axis, i) for i in index], dim=axis)


def _clip(call: _Call) -> Tensor:
    x = call.value()
    x = torch.maximum(x, call.value(1)) if call.has(1) else x
    return torch.minimum(x, call.value(2)) if call.has(2) else x


def _expand(call: _Call) -> Tensor:
    x, shape = call.value(), call.numbers(1)
    return torch.broadcast_to(x, np.broadcast_shapes(tuple(x.shape), tuple(shape)))


def _conv(call: _Call) -> Tensor:
    x, weight = call.value(), call.value(1)
    if weight.ndim != 4 or call.attribute("auto_pad", b"NOTSET") != b"NOTSET":
        raise BundleError("the graph has a convolution of a kind that can't be converted")
    top, left, bottom, right = call.attribute("pads", (0, 0, 0, 0))
    if any((top, left, bottom, right)):
        x = functional.pad(x, (left, right, top, bottom))
    return functional.conv2d(
        x, weight, call.value(2) if call.has(2) else None, stride=tuple(call.attribute("strides", (1, 1))),
        dilation=tuple(call.attribute("dilations", (1, 1))), groups=call.attribute("group", 1),
    )  # fmt: skip


def _gemm(call: _Call) -> Tensor:
    a, b = call.value(), call.value(1)
    a = a.T if call.attribute("transA", 0) else a
    b = b if call.attribute("transB", 0) else b.T
    product: Tensor = functional.linear(a, b) * call.attribute("alpha", 1.0)
    return product + call.attribute("beta", 1.0) * call.value(2) if call.has(2) else product


def _instance_norm(call: _Call) -> Tensor:
    x = call.value()
    space = list(range(2, x.ndim))
    shape = [1, -1] + [1] * len(space)
    centred = x - x.mean(space, keepdim=True)
    deviation = torch.sqrt((centred * centred).mean(space, keepdim=True) + call.attribute("epsilon", 1e-5))
    normal: Tensor = centred / deviation * call.value(1).reshape(shape) + call.value(2).reshape(shape)
    return normal


def _layer_norm(call: _Call) -> Tensor:
    x = call.value()
    shape = x.shape[call.attribute("axis", -1) :]
    return functional.layer_norm(
        x, shape, call.value(1), call.value(2) if call.has(2) else None, call.attribute("epsilon", 1e-5)
    )


def _reduced(call: _Call) -> tuple[Tensor, list[int], bool]:
    x = call.value()
    axes = call.numbers(1) if call.has(1) else call.attribute("axes", [])  # an input since opset 18
    if not axes and call.attribute("noop_with_empty_axes", 0):
        raise BundleError("the graph adds up nothing, which can't be converted")
    return x, axes or list(range(x.ndim)), bool(call.attribute("keepdims", 1))


def _reduce_mean(call: _Call) -> Tensor:
    x, axes, keep = _reduced(call)
    return x.mean(axes, keepdim=keep)


def _reduce_sum(call: _Call) -> Tensor:
    x, axes, keep = _reduced(call)
    return x.sum(axes, keepdim=keep)


def _reduce_l2(call: _Call) -> Tensor:
    x, axes, keep = _reduced(call)
    return torch.sqrt((x * x).sum(axes, keepdim=keep))


def _split(call: _Call) -> list[Tensor]:
    if not call.attribute("keepdims", 1):
        raise BundleError("the graph splits in a way that can't be converted")
    sizes = call.numbers(1) if call.has(1) else 1
    return list(torch.split(call.value(), sizes, dim=call.attribute("axis", 0)))


_OPERATORS: dict[str, Callable[[_Call], Any]] = {
    "Add": lambda call: call.value() + call.value(1),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda call: torch.cat(call.values(), dim=call.attribute("axis", 0)),
    "Conv": _conv,
    "Div": lambda call: call.value() / call.value(1),
    "Expand": _expand,
    "Floor": lambda call: torch.floor(call.value()),
    "Gather": _gather,
    "Gemm": _gemm,
    "Identity": lambda call: call.value(),
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "Log": lambda call: torch.log(call.value()),
    "MatMul": lambda call: call.value() @ call.value(1),
    "Mul": lambda call: call.value() * call.value(1),
    "ReduceL2": _reduce_l2,
    "ReduceMean": _reduce_mean,
    "ReduceSum": _reduce_sum,
    "Relu": lambda call: torch.relu(call.value()),
    "Reshape": _reshape,
    "SequenceAt": lambda call: call.value()[call.numbers(1)],
    "Slice": _slice,
    "Softmax": lambda call: torch.softmax(call.value(), dim=call.attribute("axis", -1)),
    "SplitToSequence": _split,
    "Sub": lambda call: call.value() - call.value(1),
    "Transpose": lambda call: call.value().permute(call.attribute("perm", list(range(call.value().ndim))[::-1])),
    "Unsqueeze": _unsqueeze,
}
"""What is left of the graphs that `training/export.py` makes, once the constant parts are worked out."""

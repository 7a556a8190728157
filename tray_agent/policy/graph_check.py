"""Whether a stranger's ONNX graph may be given to onnxruntime at all (onnx, numpy; no I/O).

Only what a policy needs is let through: plain operators in one flat graph, weights inside the file and as large as they
say, every number finite, the inputs and outputs of the spec. What it does when run is found out by `trial.py`.
Names that are no UTF-8 come out of protobuf as bytes, so they are only compared and shown.
"""

from collections.abc import Iterator
from math import prod

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import BundleError
from tray_agent.policy.graph_size import check_structure
from tray_agent.policy.onnx_policy import OUTPUTS
from tray_agent.policy.static_shapes import check_static_shapes

_EXPORTED = """Add Cast CastLike Clip Concat Constant Conv Div Expand Floor Gather Gemm Identity InstanceNormalization
LayerNormalization Log MatMul Mul Range ReduceL2 ReduceSum Relu Reshape SequenceAt Shape Slice Softmax SplitToSequence
Sub Transpose Unsqueeze"""
_HARMLESS = """Abs And AveragePool BatchNormalization Ceil ConstantOfShape Elu Equal Erf Exp Flatten Gelu
GlobalAveragePool Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish LeakyRelu Less LessOrEqual
LogSoftmax Max MaxPool Mean Min Mod Neg Not Or PRelu Pad Pow Reciprocal ReduceMax ReduceMean ReduceMin Resize Round
Sigmoid Sign Softplus Split Sqrt Squeeze Sum Tanh Tile Where"""
OPERATORS = frozenset((*_EXPORTED.split(), *_HARMLESS.split()))
"""What our exporter makes of our networks, and what other small networks are made of. No If, Loop, Scan, Optional."""
_TYPES: dict[int, type] = {
    TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64,
    TensorProto.UINT8: np.uint8, TensorProto.INT8: np.int8, TensorProto.INT32: np.int32, TensorProto.INT64: np.int64,
    TensorProto.BOOL: np.bool_,
}  # fmt: skip
_DATA_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
_FLAT = {
    AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING, AttributeProto.TENSOR, AttributeProto.FLOATS,
    AttributeProto.INTS, AttributeProto.STRINGS, AttributeProto.TENSORS,
}  # fmt: skip
_MOST_DIMENSIONS = 8
_ORT_MARK = slice(4, 8)
_OUR_DOMAIN = ("", "ai.onnx")


def check_graph(data: bytes, spec: PolicySpec) -> None:
    """Look at a serialized graph without running it.

    Raises:
        BundleError: it is not the plain graph of a policy for that spec; the sentence says in what.
    """
    if data[_ORT_MARK] == b"ORTM":
        raise BundleError("its graph is in onnxruntime's own format, not in ONNX")
    check_structure(data)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise BundleError("its graph is damaged: it is no ONNX file") from error
    _check_operators(model)
    for tensor in _tensors(model.graph):
        _check_tensor(tensor)
    _check_attributes(model.graph)
    _check_ends(model.graph, spec)
    check_static_shapes(model.graph)


def _check_operators(model: onnx.ModelProto) -> None:
    if model.functions or model.training_info:
        raise BundleError("its graph brings functions of its own")
    for domain in (*(opset.domain for opset in model.opset_import), *(node.domain for node in model.graph.node)):
        if domain not in _OUR_DOMAIN:
            raise BundleError(f"its graph uses operators of the domain {domain!r:.60}, not only ONNX's own")
    for node in model.graph.node:
        if any(a.type in {AttributeProto.GRAPH, AttributeProto.GRAPHS} or a.HasField("g") for a in node.attribute):
            raise BundleError(f"its graph has a graph within a graph (in {node.op_type!r:.60})")
        if node.op_type not in OPERATORS:
            raise BundleError(f"its graph uses the operator {node.op_type!r:.60}, which no policy needs")


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    if graph.sparse_initializer:
        raise BundleError("its graph has sparse weights, which no policy needs")
    yield from graph.initializer
    for attribute in (a for node in graph.node for a in node.attribute):
        yield from attribute.tensors
        if attribute.HasField("t"):
            yield attribute.t


def _check_tensor(tensor: onnx.TensorProto) -> None:
    name = f"{tensor.name or 'a constant'!r:.60}"
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise BundleError(f"the numbers of {name} lie in another file")
    kind = _TYPES.get(tensor.data_type)
    if kind is None:
        raise BundleError(f"{name} is made of something else than plain numbers (type {tensor.data_type})")
    if len(tensor.dims) > _MOST_DIMENSIONS or any(size < 0 for size in tensor.dims):
        raise BundleError(f"{name} has impossible dimensions")
    if any(getattr(tensor, field) for field in _DATA_FIELDS):
        raise BundleError(f"{name} does not keep its numbers as raw data")
    wanted = prod(tensor.dims) * np.dtype(kind).itemsize
    if wanted != len(tensor.raw_data):
        raise BundleError(f"{name} says it has {wanted} bytes and has {len(tensor.raw_data)}")
    if not np.isfinite(np.frombuffer(tensor.raw_data, kind)).all():
        raise BundleError(f"{name} holds numbers that are not finite")


def _check_attributes(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type not in _FLAT:
                raise BundleError(f"{node.op_type} has an attribute of a kind no policy needs (type {attribute.type})")
            if not np.isfinite([attribute.f, *attribute.floats]).all():
                raise BundleError(f"an attribute of {node.op_type} is not finite")


def _check_ends(graph: onnx.GraphProto, spec: PolicySpec) -> None:
    wanted = {
        "frames": (TensorProto.UINT8, [1, spec.frames, spec.frame_height, spec.frame_width, 3]),
        "audio": (TensorProto.FLOAT, [1, *spec.audio_shape]),
        "vector": (TensorProto.FLOAT, [1, spec.vector_size]),
    }
    names = [value.name for value in graph.input]
    if len(set(names)) != len(names) or "frames" not in names or not set(names) <= set(wanted):
        raise BundleError(f"its graph's inputs are {names!s:.100}, not {', '.join(wanted)}")
    for value in graph.input:
        shape = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        if (value.type.tensor_type.elem_type, shape) != wanted[value.name]:
            raise BundleError(
                f"its graph's input {value.name} has the shape {shape!s:.60}, not {wanted[value.name][1]}"
            )
    outputs = [value.name for value in graph.output]
    if tuple(outputs) != OUTPUTS:
        raise BundleError(f"its graph's outputs are {outputs!s:.100}, not {', '.join(OUTPUTS)}")
    if any(value.type.tensor_type.elem_type != TensorProto.FLOAT for value in graph.output):
        raise BundleError("its graph's outputs are no plain numbers")

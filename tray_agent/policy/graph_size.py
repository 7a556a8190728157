"""How much of an ONNX file is structure, found without making objects of it (standard library only).

Parsing makes an object of every field: two bytes can become a hundred. So a stranger's file is walked first, as far
down as the weights: whatever is not the raw numbers of a weight is structure, and there may be only so much of that.
"""

from collections.abc import Iterator

from tray_agent.errors import BundleError

MAX_STRUCTURE_BYTES = 4 << 20
"""Ours have 0.4 MB, nearly all of it torch's notes on where each node came from."""
MAX_FIELDS = 100_000
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
"""Numbers of ModelProto.graph, GraphProto.initializer, TensorProto.raw_data."""
_Span = tuple[int, int]


def check_structure(onnx: bytes) -> None:
    """Refuse a file that would take far more memory than it has bytes.

    Raises:
        BundleError: it would, or it is no protobuf message.
    """
    weights = fields = 0
    for number, span in _fields(onnx, (0, len(onnx))):
        fields += 1
        for inner, part in _fields(onnx, span) if number == _GRAPH else ():
            fields += 1
            for field, (start, stop) in _fields(onnx, part) if inner == _INITIALIZER else ():
                fields += 1
                weights += stop - start if field == _RAW_DATA else 0
            _check(fields)
        _check(fields)
    if len(onnx) - weights > MAX_STRUCTURE_BYTES:
        raise BundleError(
            f"its graph has {(len(onnx) - weights) >> 20} MiB beside its weights, "
            f"more than the {MAX_STRUCTURE_BYTES >> 20} any policy needs"
        )


def _check(fields: int) -> None:
    if fields > MAX_FIELDS:
        raise BundleError(f"its graph has more than {MAX_FIELDS} parts")


def _fields(data: bytes, span: _Span) -> Iterator[tuple[int, _Span]]:
    """Number and place of each field's content within a message."""
    at, stop = span
    while at < stop:
        key, at = _varint(data, at, stop)
        start = at
        match key & 7:  # protobuf's wire types: a number of any length, 8 bytes, a length and so many bytes, 4 bytes
            case 0:
                _, at = _varint(data, at, stop)
            case 1:
                at += 8
            case 2:
                size, start = _varint(data, at, stop)
                at = start + size
            case 5:
                at += 4
            case _:
                raise BundleError("its graph is damaged: it is no ONNX file")
        if at > stop:
            raise BundleError("its graph is damaged: it was cut off, or is no ONNX file")
        yield key >> 3, (start, at)


def _varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise BundleError("its graph is damaged: it was cut off, or is no ONNX file")

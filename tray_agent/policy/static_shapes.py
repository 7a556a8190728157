"""Whether a graph's shapes hang on what it sees (onnx; no I/O).

A graph may compute shapes, as ours do, but only from constants and other shapes: then the first run takes as much
memory and time as any later one, and trying it out once tells all. Otherwise a certain picture could make a tensor
of any size in the middle of a game.
"""

import onnx

from tray_agent.errors import BundleError

_REDUCING = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
_SHAPING = {
    "Reshape": (1,), "Expand": (1,), "Tile": (1,), "Range": (0, 1, 2), "Slice": (1, 2, 3, 4), "ConstantOfShape": (0,),
    "Pad": (1, 3), "Resize": (1, 2, 3), "Unsqueeze": (1,), "Squeeze": (1,), "Split": (1,), "SplitToSequence": (1,),
    "SequenceAt": (1,), "TopK": (1,), "OneHot": (1,), **{f"Reduce{name}": (1,) for name in _REDUCING},
}  # fmt: skip
"""Operator -> the inputs whose values decide the shape of what comes out."""


def check_static_shapes(graph: onnx.GraphProto) -> None:
    """Follow what is seen through the graph's nodes.

    Raises:
        BundleError: it reaches an input that decides a shape; or the nodes do not stand in the order they run, so that
            it can't be followed.
    """
    seen = {value.name for value in graph.input}
    known = seen | {tensor.name for tensor in graph.initializer} | {""}
    for node in graph.node:
        if not known.issuperset(node.input) or not known.isdisjoint(name for name in node.output if name):
            raise BundleError(
                f"its node {node.name!r:.60} ({node.op_type}) takes what is not there yet, or makes it again"
            )
        known.update(node.output)
        hangs = [name in seen for name in node.input]
        if any(hangs[i] for i in _SHAPING.get(node.op_type, ()) if i < len(hangs)):
            raise BundleError(
                f"the size of what its node {node.name!r:.60} ({node.op_type}) makes hangs on the picture"
            )
        if any(hangs) and node.op_type not in {"Shape", "Size"}:
            seen.update(node.output)

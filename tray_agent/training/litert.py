"""ONNX -> LiteRT (TFLite), by litert-torch: a process of its own, `python -m tray_agent.training.litert GRAPH OUT`.

It loads torch and a compiler, and says much about itself on stderr; `policy/litert.py` starts it. What went wrong is
one line on stdout.
"""

import contextlib
import sys
from pathlib import Path

import torch

from tray_agent.errors import BundleError
from tray_agent.training.graph_module import GraphModule


def converted(onnx: bytes) -> bytes:
    """The graph as LiteRT's flatbuffer; one signature, whose inputs and outputs have the graph's names.

    Raises:
        BundleError: something in the graph can't be converted.
    """
    module = GraphModule(onnx).eval()
    import litert_torch  # takes seconds

    try:
        with torch.no_grad(), contextlib.redirect_stdout(sys.stderr):
            model = litert_torch.convert(module, sample_kwargs=module.example())
    except BundleError:
        raise
    except Exception as error:  # whatever torch.export, MLIR and the converter may raise
        raise BundleError(f"litert-torch could not convert it ({type(error).__name__}: {str(error)[:300]})") from error
    data: bytes = model.model_content()
    return data


def main(graph: Path, out: Path) -> int:
    """Entry of the process: 0, or 1 and a line that says why."""
    try:
        out.write_bytes(converted(graph.read_bytes()))
    except BundleError as error:
        print(" ".join(str(error).split()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

"""LiteRT (TFLite) graphs of policies: made of ONNX graphs by another process, run here (no torch; one owner each).

What neither our pins nor the product need is installed beside both: `installer/tflite.txt` says how and why.
"""

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import tray_agent
from tray_agent.core.media import Pixels
from tray_agent.core.sample import AudioFeatures
from tray_agent.errors import BundleError, PlatformUnavailable
from tray_agent.policy.onnx_policy import OUTPUTS

MAX_SECONDS = 600.0
_REMEDY = "In the folder of Tray Agent, run: pip install --no-deps -r installer/tflite.txt"


def to_litert(onnx: bytes) -> bytes:
    """A policy's ONNX graph as LiteRT's flatbuffer: the same inputs and outputs, by name, in one signature.

    Raises:
        PlatformUnavailable: the converter is not installed.
        BundleError: the graph can't be converted.
    """
    if importlib.util.find_spec("litert_torch") is None:
        raise PlatformUnavailable("TFLite graphs can't be made: litert-torch is not installed", _REMEDY)
    with tempfile.TemporaryDirectory(prefix="tray-agent-litert-") as folder:
        graph, out = Path(folder) / "policy.onnx", Path(folder) / "policy.tflite"
        graph.write_bytes(onnx)
        command = [sys.executable, "-m", "tray_agent.training.litert", str(graph), str(out)]
        here = Path(tray_agent.__file__).parents[1]
        try:
            done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=MAX_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise BundleError(f"the converter was not done after {MAX_SECONDS:.0f} s; nothing was written") from None
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [""])[-1]
            crashed = f"the converter crashed (exit code {done.returncode}: {last[:300]})"
            raise BundleError(f"{done.stdout.strip() or crashed}; nothing was written")
        return out.read_bytes()


class LitertGraph:
    """A converted graph, ready to run on one thread.

    Args:
        data: as `to_litert` gave it.
        vector: the game vector.

    Raises:
        PlatformUnavailable: the runtime is not installed.
        BundleError: the graph can't be loaded.
    """

    def __init__(self, data: bytes, vector: Sequence[float]) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise PlatformUnavailable(f"TFLite graphs can't be run: {error}", _REMEDY) from error
        try:
            # the interpreter has to live as long as what it runs
            self._interpreter = Interpreter(model_content=data, num_threads=1)
            self._run = self._interpreter.get_signature_runner()
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"the converted graph can't be loaded: {error}") from error
        self._inputs = set(self._run.get_input_details())
        self._vector = np.asarray(vector, np.float32)[None]

    def outputs(self, stack: Pixels, audio: AudioFeatures) -> tuple[npt.NDArray[np.float32], ...]:
        """As `OnnxPolicy.outputs`, on frames as `OnnxPolicy.stack` gives them."""
        feed = {"frames": stack[None], "audio": audio[None].astype(np.float32), "vector": self._vector}
        found = self._run(**{name: value for name, value in feed.items() if name in self._inputs})
        return tuple(found[name][0] for name in OUTPUTS)

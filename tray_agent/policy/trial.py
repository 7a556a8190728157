"""The first run of a stranger's policy: in a process of its own, with little memory and little time.

onnxruntime is large, and a graph made for it may crash it or take all memory there is. `try_apart` (any thread) starts
`python -m tray_agent.policy.trial FOLDER`, which plays the bundle on pictures of noise; whatever it does, only it ends.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import psutil

import tray_agent
from tray_agent.errors import BundleError
from tray_agent.policy.bundle import Bundle, Manifest, load_bundle, store_bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy

DECISIONS = 20
MAX_MEMORY_BYTES = 3 << 30
MAX_SECONDS = 60.0
_LOOK_EVERY_S = 0.05


def decision_ms(bundle: Bundle) -> float:
    """Median time of a decision on pictures of noise, ms.

    Raises:
        BundleError: it does not load, does not fit its manifest, or decides what is no number.
    """
    policy, spec, random = OnnxPolicy(bundle, Decoding()), bundle.manifest.spec, np.random.default_rng(0)
    times = []
    for _ in range(DECISIONS):
        pixels = random.integers(0, 256, (spec.frame_height, spec.frame_width, 3), dtype=np.uint8)
        audio = random.random(spec.audio_shape, np.float32)
        began = time.perf_counter()
        try:
            policy.act(pixels, audio)
        except ValueError as error:
            raise BundleError(f"it was tried out, and {error}") from error
        times.append(1000.0 * (time.perf_counter() - began))
    return round(median(times), 2)


def try_apart(manifest: Manifest, onnx: bytes) -> float:
    """`decision_ms`, in another process.

    Raises:
        BundleError: as there; or it crashed, took too much memory or too long.
    """
    with tempfile.TemporaryDirectory(prefix="tray-agent-trial-") as folder:
        bundle = store_bundle(Path(folder), manifest, onnx, "trial")
        command = [sys.executable, "-m", "tray_agent.policy.trial", str(bundle)]
        # -m looks into the current folder first, which may be the one strangers' files are downloaded to
        here = Path(tray_agent.__file__).parents[1]
        with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            try:
                _follow(process)
                told, _ = process.communicate()
            finally:
                process.kill()
    try:
        answer = json.loads(told)
    except ValueError:
        raise BundleError(f"it was tried out and crashed (exit code {process.returncode})") from None
    if "error" in answer:
        raise BundleError(str(answer["error"]))
    return float(answer["decision_ms"])


def _follow(process: "subprocess.Popen[bytes]") -> None:
    """Until it has ended; its few words fit into the pipe."""
    end = time.monotonic() + MAX_SECONDS
    while process.poll() is None:
        try:
            memory = psutil.Process(process.pid).memory_info().rss
        except psutil.Error:
            memory = 0  # it has just ended
        if memory > MAX_MEMORY_BYTES:
            raise BundleError(f"it was tried out and took more than {MAX_MEMORY_BYTES >> 30} GB of memory")
        if time.monotonic() > end:
            raise BundleError(f"it was tried out and was not done after {MAX_SECONDS:.0f} s")
        time.sleep(_LOOK_EVERY_S)


def main(folder: str) -> None:
    """Entry of the process: one JSON object on stdout."""
    try:
        told: dict[str, object] = {"decision_ms": decision_ms(load_bundle(Path(folder)))}
    except BundleError as error:
        told = {"error": str(error).replace(f"bundle {folder}", "it")[:1000]}
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])

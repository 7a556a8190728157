"""A bundle for other programs: a folder with its graph, as ONNX or converted to LiteRT (TFLite), and the manifest.

A converted graph has to say what the original says, or nothing is written. BUNDLES.md tells what the files hold.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tray_agent.core.media import Pixels
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import AudioFeatures, TickFlag
from tray_agent.errors import BundleError
from tray_agent.policy.bundle import MANIFEST_NAME, ONNX_NAME, Bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.litert import LitertGraph, to_litert
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.policy.share import without_notes
from tray_agent.sessions.reader import SessionReader

TFLITE_NAME = "policy.tflite"
MAX_DIFFERENCE = 1e-3
"""Of any output; what an ONNX graph may differ from its network by (`training/export.py`)."""
RANDOM_TICKS = 200
RECORDED_TICKS = 400
_SAID = {"onnx": "ONNX", "tflite": "TFLite"}

Ticks = Iterator[tuple[Pixels, AudioFeatures, bool]]
"""Picture, sound, and whether it is the first after a pause."""


def export_onnx(bundle: Bundle, out: Path) -> dict[str, Any]:
    """Write the graph, without torch's notes on its maker's files, and the manifest.

    Returns:
        {"bytes": {file: size}}.

    Raises:
        BundleError: the folder is there already or can't be written, or the graph is damaged.
    """
    graph = without_notes(bundle.onnx)
    manifest = replace(bundle.manifest, onnx_sha256=hashlib.sha256(graph).hexdigest())
    return {"bytes": _write(out, {ONNX_NAME: graph, MANIFEST_NAME: _told(manifest.to_json())})}


def export_tflite(
    bundle: Bundle, out: Path, session: Path | None = None, convert: Callable[[bytes], bytes] = to_litert
) -> dict[str, Any]:
    """Convert the graph, compare it with the original, and write it and the manifest.

    Args:
        bundle: what to export.
        out: the folder; it must not exist.
        session: recorded play of the bundle's profile to compare on, besides random pictures and sound.
        convert: ONNX -> LiteRT.

    Returns:
        {"bytes": {file: size}, "ticks", "difference", "limit", "decision_ms"}, the last four as `compared` gives them.

    Raises:
        PlatformUnavailable: converter or runtime are not installed.
        BundleError: as for `export_onnx`; or the graph can't be converted, or says something else than the original.
        SessionError: the session can't be read.
    """
    _refuse_existing(out)
    graph = convert(without_notes(bundle.onnx))
    found = compared(bundle, graph, session)
    about = {
        "sha256": hashlib.sha256(graph).hexdigest(), "difference": found["difference"], "ticks": found["ticks"],
    }  # fmt: skip
    manifest = bundle.manifest.to_json() | {"tflite": about}
    return {"bytes": _write(out, {TFLITE_NAME: graph, MANIFEST_NAME: _told(manifest)})} | found


def compared(bundle: Bundle, graph: bytes, session: Path | None = None) -> dict[str, Any]:
    """Let the bundle and its converted graph decide on the same ticks, in turns, on one thread each.

    Returns:
        {"ticks", "difference", "limit", "decision_ms"}: how many ticks and the largest difference of any output, each
        for "random" and, with a session, "recorded"; {"onnx", "tflite"}: {"p50", "p99"} over all of them, in ms.

    Raises:
        BundleError: the difference is above `MAX_DIFFERENCE`.
    """
    pair = _Pair(bundle, graph)
    kinds = {"random": _random(bundle.manifest.spec)}
    if session is not None:
        kinds["recorded"] = _recorded(session)
    ticks, difference = {}, {}
    for kind, some in kinds.items():
        ticks[kind], difference[kind] = pair.follow(some)
        if not difference[kind] <= MAX_DIFFERENCE:
            raise BundleError(
                f"the converted graph differs from the original by {difference[kind]:.2g} on {kind} ticks, more than "
                f"{MAX_DIFFERENCE:g}; nothing was written. Use --format onnx"
            )
    return {"ticks": ticks, "difference": difference, "limit": MAX_DIFFERENCE, "decision_ms": pair.decision_ms()}


class _Pair:
    """The original and the converted graph, and how long each took."""

    def __init__(self, bundle: Bundle, graph: bytes) -> None:
        self._policy = OnnxPolicy(bundle, Decoding())
        self._graph = LitertGraph(graph, bundle.manifest.vector)
        self._times_ms: dict[str, list[float]] = {name: [] for name in _SAID}

    def follow(self, ticks: Ticks) -> tuple[int, float]:
        """How many there were, and the largest difference."""
        worst, number = 0.0, 0
        for number, (pixels, audio, is_first) in enumerate(ticks, 1):
            if is_first:
                self._policy.reset()
            self._policy.see(pixels)
            said = {name: self._timed(name, audio) for name in (_SAID if number % 2 else reversed(_SAID))}
            pairs = zip(said["onnx"], said["tflite"], strict=True)
            with np.errstate(invalid="ignore"):
                worst = float(np.max([worst, *(np.abs(a - b).max() for a, b in pairs if a.size)]))  # hands NaN on
        return number, worst

    def _timed(self, name: str, audio: AudioFeatures) -> tuple[Any, ...]:
        began = time.perf_counter()
        outputs = self._policy.outputs(audio) if name == "onnx" else self._graph.outputs(self._policy.stack(), audio)
        self._times_ms[name].append(1000.0 * (time.perf_counter() - began))
        return outputs

    def decision_ms(self) -> dict[str, dict[str, float]]:
        found = {name: np.percentile(times[1:], (50, 99)) for name, times in self._times_ms.items()}
        return {name: {"p50": round(float(p50), 3), "p99": round(float(p99), 3)} for name, (p50, p99) in found.items()}


def _random(spec: PolicySpec) -> Ticks:
    random = np.random.default_rng(0)
    for _ in range(RANDOM_TICKS):
        pixels = random.integers(0, 256, (spec.frame_height, spec.frame_width, 3), dtype=np.uint8)
        yield pixels, random.random(spec.audio_shape, np.float32), False


def _recorded(session: Path) -> Ticks:
    for sample in islice(SessionReader(session).samples(), RECORDED_TICKS):
        yield sample.pixels, sample.audio, bool(sample.flags & TickFlag.GAP)


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What `compared` found, for people."""
    told = [f"{found['difference'][kind]:.2g} on {count} {kind} ticks" for kind, count in found["ticks"].items()]
    times = [f"{_SAID[name]} {ms['p50']:.2f} ({ms['p99']:.2f})" for name, ms in found["decision_ms"].items()]
    return [
        f"largest difference from the ONNX graph: {', '.join(told)} (limit {found['limit']:g})",
        f"a decision on one thread, ms, median (99th percentile): {', '.join(times)}",
    ]


def _told(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, indent=1).encode()


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise BundleError(f"{out} is there already; name another folder, or delete it")


def _write(out: Path, files: Mapping[str, bytes]) -> dict[str, int]:
    """Below a hidden name, renamed when it is whole."""
    _refuse_existing(out)
    hidden = out.parent / f".{out.name}.{os.getpid()}.tmp"
    try:
        hidden.mkdir(mode=0o700)
        for name, content in files.items():
            (hidden / name).write_bytes(content)
        hidden.rename(out)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise BundleError(f"{out} can't be written: {error.strerror or error}") from error
    return {name: len(content) for name, content in files.items()}

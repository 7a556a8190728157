"""ONNX graphs as torch modules, and on to LiteRT where its converter is installed."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from session_play import record

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.errors import BundleError, PlatformUnavailable
from tray_agent.policy import export
from tray_agent.policy.bundle import Bundle, Manifest, load_bundle, write_bundle
from tray_agent.policy.litert import to_litert
from tray_agent.training.export import Exporter
from tray_agent.training.graph_module import GraphModule
from tray_agent.training.model import AXIS_BINS, RELATIVE_BINS, PolicyNet
from tray_agent.training.retrieval import Retrieval

CONTROLS = Controls(("KeyW", "KeyA"), ("MouseX",), ("PadLX",))
SPEC = PolicySpec(CONTROLS, rate_hz=20, frame_width=48, frame_height=40, frames=2, audio=True)


def exported(memory: bool = False) -> bytes:
    """The graph of an untrained network, or of one with a memory in which some ticks count."""
    torch.manual_seed(1)
    net: PolicyNet | Retrieval = PolicyNet(SPEC)
    if memory:
        net = Retrieval(net, share=0.5)
        with torch.no_grad():
            net.keys.normal_(), net.kept_held.uniform_(), net.kept_relative.uniform_()
            net.weights[:9] = 0.0
    return Exporter(SPEC).export(net)[0]


def both(graph: bytes, inputs: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """What onnxruntime and the module say, output by output."""
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        module = GraphModule(graph)(**{name: torch.from_numpy(value) for name, value in inputs.items()})
    return [
        (value, module[output.name].numpy())
        for output, value in zip(session.get_outputs(), session.run(None, inputs), strict=True)
    ]


def small(nodes: list[onnx.NodeProto], constants: dict[str, object], shape: tuple[int, ...] = (2, 3, 4, 5)) -> bytes:
    """A graph from `x` (float) to `y`."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    kept = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", [x], [y], kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


@pytest.mark.parametrize("memory", [False, True])
def test_networks(memory: bool) -> None:
    """A network's graph, and one with a memory, say the same as onnxruntime does."""
    random = np.random.default_rng(3)
    inputs = {
        "frames": random.integers(0, 256, (1, 2, 40, 48, 3), dtype=np.uint8),
        "audio": random.random((1, *SPEC.audio_shape), np.float32),
        "vector": random.random((1, 8), np.float32),
    }
    pairs = both(exported(memory), inputs)
    assert [onnx.shape for onnx, _ in pairs] == [(1, 2), (1, 1, len(RELATIVE_BINS)), (1, 1, len(AXIS_BINS))]
    for expected, got in pairs:
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(got, expected, atol=1e-4)


KERNEL = np.random.default_rng(5).random((3, 3, 2, 3)).astype(np.float32)
FLOATS = np.arange(60, dtype=np.float32).reshape(5, 12) / 60
PIECES = {
    "pads": ([helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 0, 2, 1], strides=[1, 2])], {"k": KERNEL}),
    "gemm": (
        [
            helper.make_node("Reshape", ["x", "shape"], ["flat"]),
            helper.make_node("Gemm", ["flat", "w", "b"], ["y"], alpha=0.5, beta=2.0, transB=1),
        ],
        {"shape": np.array([0, -1]), "w": np.ones((7, 60), np.float32), "b": np.arange(7, dtype=np.float32)},
    ),
    "gather": ([helper.make_node("Gather", ["x", "i"], ["y"], axis=2)], {"i": np.array([3, 0, -1])}),
    "slice": (
        [helper.make_node("Slice", ["x", "from", "to", "axes", "steps"], ["y"])],
        {"from": np.array([-3, 0]), "to": np.array([99, 4]), "axes": np.array([-1, 2]), "steps": np.array([1, 2])},
    ),
    "clip": ([helper.make_node("Clip", ["x", "", "most"], ["y"])], {"most": np.float32(0.5)}),
    "mean": ([helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)], {"axes": np.array([2, 3])}),
    "unsqueeze": ([helper.make_node("Unsqueeze", ["x", "axes"], ["y"])], {"axes": np.array([-1, 0])}),
    "transpose": ([helper.make_node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2])], {}),
    "cast": (
        [
            helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT32),
            helper.make_node("Cast", ["whole"], ["y"], to=TensorProto.FLOAT),
        ],
        {},
    ),
}


@pytest.mark.parametrize("piece", PIECES)
def test_pieces(piece: str) -> None:
    """What our own networks do not use of an operator, graphs of others may."""
    ((expected, got),) = both(small(*PIECES[piece]), {"x": np.random.default_rng(4).random((2, 3, 4, 5), np.float32)})
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "constants", "why"),
    [
        ([helper.make_node("Erf", ["x"], ["y"])], {}, "operator Erf"),
        (
            [helper.make_node("Slice", ["x", "from", "to", "axes", "steps"], ["y"])],
            {"from": np.array([4]), "to": np.array([-99]), "axes": np.array([0]), "steps": np.array([-1])},
            "turns something round",
        ),
        (
            [
                helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
                helper.make_node("Expand", ["x", "i"], ["y"]),
            ],
            {},
            "is not fixed",
        ),
    ],
)
def test_refused(nodes: list[onnx.NodeProto], constants: dict[str, object], why: str) -> None:
    """What can't be converted is named."""
    with pytest.raises(BundleError, match=why):
        GraphModule(small(nodes, constants, (5,)))(x=torch.zeros(5))


def test_damaged_graph() -> None:
    """One sentence, not onnxruntime's classes."""
    with pytest.raises(BundleError, match="onnxruntime can't read the graph"):
        GraphModule(b"no graph")


def bundle(models: Path, graph: bytes) -> Bundle:
    """A stored bundle of that graph."""
    bins = {"relative_bins": {"MouseX": RELATIVE_BINS}, "axis_bins": AXIS_BINS}
    return load_bundle(write_bundle(models, Manifest("toy", SPEC, (0.5,) * 8, **bins), graph, "r1"))


def test_without_the_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install, and leaves nothing."""
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(PlatformUnavailable, match=r"litert-torch is not installed.*installer/tflite.txt"):
        export.export_tflite(bundle(tmp_path, exported()), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tflite(tmp_path: Path) -> None:
    """Converted for real: the same outputs on random and recorded ticks; what says something else is refused."""
    for module in ("litert_torch", "ai_edge_litert"):
        pytest.importorskip(module, reason=f"{module} is not installed (installer/tflite.txt; .ci/run tests with it)")
    original = bundle(tmp_path, exported(memory=True))
    session = record(tmp_path / "sessions", SPEC, [[0, 1, 0, 0]] * 12)
    told = export.export_tflite(original, tmp_path / "out", session)
    assert told["ticks"] == {"random": export.RANDOM_TICKS, "recorded": 12}
    assert 0 < told["difference"]["random"] <= export.MAX_DIFFERENCE
    assert {name for name, ms in told["decision_ms"].items() if 0 < ms["p50"] <= ms["p99"]} == {"onnx", "tflite"}
    assert len(export.sentences(told)) == 2
    graph = (tmp_path / "out" / export.TFLITE_NAME).read_bytes()
    assert told["bytes"][export.TFLITE_NAME] == len(graph)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["tflite"]["difference"] == told["difference"]
    assert manifest["onnx_sha256"] == original.manifest.onnx_sha256
    with pytest.raises(BundleError, match="differs from the original"):
        export.export_tflite(bundle(tmp_path / "other", exported()), tmp_path / "no", convert=lambda _: graph)
    assert not (tmp_path / "no").exists()
    with pytest.raises(BundleError, match=r"operator Erf, which can't be converted; nothing was written"):
        to_litert(small([helper.make_node("Erf", ["x"], ["y"])], {}))

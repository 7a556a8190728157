"""Acting with a loaded bundle: history, swaps, outputs that are not finite."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_policy import SPEC, graph, store

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.policy.bundle import load_bundle
from tray_agent.policy.decode import ControlDecoding, Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy

ICE_COLD = Decoding(0.0)
SILENCE = np.zeros(SPEC.audio_shape, np.float32)


def frame(level: int, spec: PolicySpec = SPEC) -> np.ndarray:
    return np.full((spec.frame_height, spec.frame_width, 3), level, np.uint8)


def policy(tmp_path: Path, decoding: Decoding = ICE_COLD, spec: PolicySpec = SPEC, **graph_options) -> OnnxPolicy:
    return OnnxPolicy(load_bundle(store(tmp_path, "r", spec, graph(spec, **graph_options)), spec), decoding)


def history(acting: OnnxPolicy) -> list[int]:
    """First pixel of each frame the policy would be given."""
    return [int(f[0, 0, 0]) for f in acting.stack()]


def test_first_frames_are_repeated_until_there_are_enough(tmp_path: Path) -> None:
    """Right after the start the oldest frame stands for those before it, as in training; then it slides."""
    acting = policy(tmp_path)
    seen = []
    for level in (10, 20, 30, 40):
        acting.act(frame(level), SILENCE)
        seen.append(history(acting))
    assert seen == [[10, 10, 10], [10, 10, 20], [10, 20, 30], [20, 30, 40]]
    acting.reset()
    acting.see(frame(50))
    assert history(acting) == [50, 50, 50]


def test_newer_policy_goes_on_where_the_old_one_was(tmp_path: Path) -> None:
    """After inherit the new policy has the same history and keeps what must still be held."""
    slow = Decoding(0.0, {"ArrowLeft": ControlDecoding(min_hold_ticks=5)})
    old = policy(tmp_path / "a", slow, held=[9, -9])
    for level in (10, 20):
        old.act(frame(level), SILENCE)
    new = policy(tmp_path / "b", slow, held=[-9, -9])
    new.inherit(old)
    assert history(new) == [10, 10, 20]
    assert [new.act(frame(30), SILENCE)[0] for _ in range(4)] == [1, 1, 1, 0]


def test_picture_decides(tmp_path: Path) -> None:
    """The newest frame reaches the graph: bright presses, dark does not."""
    acting = policy(tmp_path, held=[-100, -100], brightness=1.0)
    assert acting.act(frame(255), SILENCE).tolist() == [1, 1]
    assert acting.act(frame(0), SILENCE).tolist() == [0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["held", "relative", "axes"])
def test_output_that_is_not_finite_is_an_error(tmp_path: Path, bad: float, where: str) -> None:
    """NaN or infinity in any head is a ValueError, never an action."""
    spec = replace(SPEC, controls=Controls(("KeyA",), ("MouseX",), ("PadLX",)))
    values = {"held": [0.0], "relative": [0.0, 0.0, 0.0], "axes": [0.0, 0.0, 0.0]}
    values[where][0] = bad
    acting = policy(tmp_path, spec=spec, **values)
    with pytest.raises(ValueError, match="not finite"):
        acting.act(frame(0), SILENCE)

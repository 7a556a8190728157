"""Two bundles on the same recorded ticks."""

from dataclasses import replace
from pathlib import Path

import pytest
from session_play import record
from tiny_policy import graph, store

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.errors import BundleError, SessionError
from tray_agent.evaluation.compare_bundles import compare
from tray_agent.policy.bundle import Bundle, load_bundle

SPEC = PolicySpec(Controls(("KeyA", "KeyB")), rate_hz=1, frame_width=16, frame_height=16, frames=2)


def bundle(folder: Path, run: str, spec: PolicySpec = SPEC, **options: object) -> Bundle:
    return load_bundle(store(folder / "models", run, spec, graph(spec, **options)))


def test_only_held_out_ticks_count(tmp_path: Path) -> None:
    """In two minutes at 1 Hz two stretches of ten ticks; whoever presses what the player pressed there is right."""
    bright = [255 if tick % 2 else 0 for tick in range(120)]
    held_out = [tick // 10 % 6 == 5 for tick in range(120)]
    actions = [[float(b > 0), 0.0] if out else [0.0, 1.0] for b, out in zip(bright, held_out, strict=True)]
    session = record(tmp_path, SPEC, actions, bright)
    a = bundle(tmp_path, "a", held=[-100, -900], brightness=1.0)  # A presses the first key when it is bright
    b = bundle(tmp_path, "b", held=[-9, -9])  # B presses nothing
    found = compare(a, b, [session])
    assert (found["ticks"], found["held_out"]) == (20, True)
    assert found["a"]["balanced_accuracy"] == found["a"]["accuracy"] == 1.0
    assert found["b"]["accuracy"] == found["released"]["accuracy"] == 0.75
    assert found["b"]["balanced_accuracy"] == found["released"]["balanced_accuracy"] == 0.75
    assert found["copy_last"]["change_f1"] == 0.0
    assert found["a"]["change_f1"] == 1.0
    assert found["same"]["accuracy"] == 0.75
    assert 0.0 < found["a"]["inference_p50_ms"] <= found["a"]["inference_p99_ms"]
    twice = compare(a, b, [session, session])
    assert twice["ticks"] == 40


def test_sticks_and_mouse_are_told_by_distance(tmp_path: Path) -> None:
    """Mean counts and positions beside the player's; games without buttons have nothing else."""
    spec = replace(SPEC, controls=Controls((), ("MouseX",), ("PadLX",)))
    session = record(tmp_path, spec, [[2.0, 1.0]] * 20)
    right = bundle(tmp_path, "a", spec, relative=[[-90, -90, 0]], axes=[[-90, -90, 0]])
    half = bundle(tmp_path, "b", spec)
    found = compare(right, half, [session])
    assert (found["ticks"], found["held_out"]) == (20, False)
    assert found["a"]["distance"] == 0.0
    assert found["b"]["distance"] == found["same"]["distance"] == found["released"]["distance"] == 1.5
    assert "accuracy" not in found["a"]


def test_what_can_not_be_compared_is_refused(tmp_path: Path) -> None:
    """Bundles of different profiles, sessions of another, and sessions without a tick to learn from."""
    a = bundle(tmp_path, "a")
    other = bundle(tmp_path, "b", replace(SPEC, frames=3))
    session = record(tmp_path, SPEC, [[0.0, 1.0]] * 5)
    with pytest.raises(BundleError, match="a and b see or press different things"):
        compare(a, other, [session])
    with pytest.raises(SessionError, match="recorded for another profile"):
        compare(other, other, [session])
    with pytest.raises(SessionError, match="nothing to compare on"):
        compare(a, a, [record(tmp_path, SPEC, [], game="empty")])

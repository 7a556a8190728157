"""`bench kill`, short and without the trainer beside it."""

import argparse

import pytest
from x11_desktop import need

from tray_agent.bench import kill

pytestmark = pytest.mark.x11


def test_bench_kill_measures():
    """A few presses and deaths give all the numbers, in a flat object, the lease told apart."""
    need("Xvfb")
    parser = argparse.ArgumentParser()
    kill.add_arguments(parser)
    result = kill.run(parser.parse_args(["--presses", "5", "--deaths", "2", "--idle"]))
    metrics = result["metrics"]
    assert (metrics["hotkey_count"], metrics["takeover_count"]) == (5, 5)
    assert (metrics["sigkill_count"], metrics["sigstop_count"]) == (2, 2)
    assert 0 < metrics["hotkey_p50_ms"] <= metrics["hotkey_p99_ms"] <= metrics["hotkey_max_ms"]
    assert metrics["sigkill_max_ms"] > 0
    assert metrics["sigstop_max_ms"] > 100
    assert metrics["trainer_updates"] == 0


def test_bench_kill_with_nothing_to_do():
    """No presses and no deaths are no error."""
    need("Xvfb")
    parser = argparse.ArgumentParser()
    kill.add_arguments(parser)
    metrics = kill.run(parser.parse_args(["--presses", "0", "--deaths", "0", "--idle"]))["metrics"]
    assert metrics == {f"{name}_count": 0 for name in ("hotkey", "takeover", "sigkill", "sigstop")} | {
        "trainer_updates": 0
    }

"""`bench capture`, short."""

import argparse

import pytest
from x11_desktop import need

from tray_agent.bench import capture
from tray_agent.errors import PlatformUnavailable

pytestmark = pytest.mark.x11


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    capture.add_arguments(parser)
    return parser.parse_args(arguments)


def test_bench_capture_measures_all_ways() -> None:
    """Costs of all ways are there, client and server, and the ratios are theirs."""
    need("Xvfb")
    metrics = capture.run(options("--frames", "20"))["metrics"]
    assert metrics["frames"] == 20
    assert metrics["capture_vs_memcpy"] == pytest.approx(metrics["capture_ms"] / metrics["memcpy_ms"], abs=0.02)
    assert metrics["speedup_vs_mss_area"] == pytest.approx(metrics["mss_area_ms"] / metrics["capture_ms"], abs=0.02)


def test_bench_capture_on_a_given_display(flat_display: str) -> None:
    """A display that is given is used as it is."""
    assert capture.run(options("--frames", "3", "--display", flat_display))["metrics"]["capture_ms"] > 0


def test_bench_capture_without_a_display() -> None:
    """A display that does not answer is a clear error."""
    with pytest.raises(PlatformUnavailable, match="can't be opened"):
        capture.run(options("--display", ":64996"))

"""`bench watch`, seconds only, with a real game; and its counting of frames on a window of our own."""

import argparse
import contextlib
import time
from pathlib import Path

import pytest
from x11_desktop import need, open_window

from tray_agent.bench import watch
from tray_agent.bench.figures import quantile, slope
from tray_agent.bench.frame_counter import FrameCounter
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.x11 import connection
from tray_agent.stage.displays import find_program


@pytest.mark.x11
@pytest.mark.slow
def test_bench_watch_measures():
    """The game's frames are counted with and without the daemon, which really watches and learns meanwhile."""
    for program in ("Xvfb", "Xephyr", "openbox"):
        need(program)
    try:
        find_program("chocolate-doom")
    except PlatformUnavailable as missing:
        pytest.skip(str(missing))
    if not Path("/usr/share/games/doom/freedoom1.wad").exists():
        pytest.skip("freedoom is not installed")
    parser = argparse.ArgumentParser()
    watch.add_arguments(parser)
    result = watch.run(parser.parse_args(["--rounds", "1", "--round-seconds", "2", "--minutes", "0.05"]))
    metrics = result["metrics"]
    assert result["bench"] == "watch"
    assert 5 < metrics["game_fps_alone"] < 40
    assert metrics["game_fps_ratio"] == pytest.approx(metrics["game_fps_watched"] / metrics["game_fps_alone"], 0.01)
    assert 0 <= metrics["frames_lost_share"] <= 1
    assert metrics["frames"] >= metrics["watched_ticks"] >= metrics["watched_actions"] > 0
    assert metrics["updates"] > 0
    assert 30 < metrics["daemon_rss_mb"] < 1000
    assert metrics["rss_span_s"] >= 3
    assert "rss_growth_mb_per_10min" not in metrics


@pytest.mark.x11
def test_frames_are_counted_by_what_is_drawn(flat_display: str):
    """Each drawing is one frame however many pieces it has; a window that stands still shows none."""
    with contextlib.closing(connection.open_display(flat_display)) as display:
        window = open_window(display)
        counter = FrameCounter(flat_display, window.id)
        counter.start()
        counter.wait(0.2)
        counter.take(time.monotonic_ns())
        counter.wait(0.2)
        still = counter.frames
        counter.take(time.monotonic_ns())
        assert counter.frames == still
        for number in range(1, 6):
            for x in (0, 50):
                window.clear_area(x, 0, 40, 40)
            display.sync()
            counter.wait(2.0)
            counter.take(number * 20_000_000 + time.monotonic_ns())
            assert counter.frames == still + number
        counter.close()
        counter.close()


def test_growth_is_told_only_of_settled_memory():
    """The time in which the buffers fill up is left out; a short run says nothing."""
    filling = [(float(t), 100.0 + min(t, 75)) for t in range(0, 400, 5)]
    assert watch.growth(filling)["rss_growth_mb_per_10min"] == pytest.approx(0.0)
    leaking = [(t, mb + t / 60.0) for t, mb in filling]
    assert watch.growth(leaking)["rss_growth_mb_per_10min"] == pytest.approx(10.0)
    assert watch.growth(filling[:20]) == {}


def test_figures():
    """Nearest-rank quantiles and the least-squares slope; nothing comes of nothing."""
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([float(n) for n in range(200)], 0.99) == 198.0
    assert quantile([7.0], 0.99) == 7.0
    assert slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)
    for points in ([], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)]):
        with pytest.raises(ValueError, match="no line"):
            slope(points)

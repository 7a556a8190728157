"""`bench loop`, a few changes only, on a real X server."""

import argparse

import pytest
from x11_desktop import need

from tray_agent.bench import loop
from tray_agent.bench.tick_trace import TickRow
from tray_agent.errors import WorkerFailed


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    loop.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.x11
@pytest.mark.slow
def test_bench_loop_measures():
    """A few changes are answered by real key events, and the parts of the way come out in order."""
    for program in ("Xvfb", "openbox"):
        need(program)
    result = loop.run(options("--changes", "8", "--rates", "30", "--size", "640x480"))
    metrics = result["metrics"]
    assert result["bench"] == "loop"
    assert result["machine"]["cores"] >= 1
    assert metrics["count_30hz"] == 8
    assert 0 < metrics["p50_ms_30hz"] <= metrics["p99_ms_30hz"] <= metrics["max_ms_30hz"]
    assert 0 < metrics["ours_share_30hz"] <= 1
    assert min(metrics[f"{part}_p50_ms_30hz"] for part in ("grab", "look", "decide", "press", "ours")) > 0
    assert (metrics["width"], metrics["height"]) == (640, 480)


def test_parts_add_up_and_missed_slots_count_as_ours():
    """Whoever comes a slot late is charged for it; waiting for the first slot is not ours."""
    ms = 1_000_000
    row = TickRow(due=130 * ms, woke=131 * ms, seen=133 * ms, decides=134 * ms, acts=136 * ms, held=True)
    parts = loop.split_up(row, (True, 100 * ms, 140 * ms), 20 * ms)
    assert parts["ours"] == 40 - 10
    assert sum(value for name, value in parts.items() if name != "ours") == 40
    assert (parts["wait"], parts["wake"], parts["grab"], parts["press"]) == (30, 1, 2, 4)


def test_key_events_are_matched_with_the_ticks_that_sent_them():
    """Ticks that held the same as before answer nothing; an event nobody sent is an error."""
    rows = [TickRow(acts=at, held=held) for at, held in ((10, False), (20, True), (30, True), (40, False))]
    changes = [(True, 15, 25), (False, 32, 45)]
    assert [row.acts for _, row in loop.answers(changes, rows)] == [20, 40]
    with pytest.raises(WorkerFailed, match="no tick"):
        list(loop.answers([(True, 15, 18)], rows))


@pytest.mark.parametrize("text", ["1280", "x720", "0x10", "axb"])
def test_bench_loop_refuses_a_wrong_size(text: str, capsys: pytest.CaptureFixture[str]):
    """A size that is none is refused with an example of a right one."""
    with pytest.raises(SystemExit):
        options("--size", text)
    assert "1280x720" in capsys.readouterr().err

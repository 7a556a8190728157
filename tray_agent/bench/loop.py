"""`bench loop`: from a picture that changes to the key that arrives, through the product's own path, on X11.

A window of a program of ours goes bright or dark at any moment between two ticks; screen source, observer, policy
(ONNX), player, guard process and XTest do what they always do; the window gets the key event. Caller's thread, which
polls the guard as the daemon's main thread does, and the tick thread. Other processes: X server, openbox, the
window's program, the guard.
"""

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tray_agent.errors import WorkerFailed

if TYPE_CHECKING:
    from tray_agent.bench.lamp_scene import LampScene
    from tray_agent.bench.tick_trace import TickRow

Change = tuple[bool, int, int]
"""Bright or dark, when the window was told to change, when its key event came (ns)."""
_WARM_UP = 6
_LULL_TICKS = (0.6, 2.6)
_PARTS = ("wait", "wake", "grab", "look", "decide", "press", "ours")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--changes", type=int, default=400, help="how often the picture changes, at each rate (400)")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[20.0, 60.0], metavar="HZ", help="decisions a second (20 60)"
    )
    parser.add_argument(
        "--size", type=_size, default=(1280, 720), metavar="WxH", help="of the screen and the window (1280x720)"
    )


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdigit() and height.isdigit() and int(width) * int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size like 1280x720")
    return int(width), int(height)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; `metrics` holds milliseconds, by rate: `p99_ms_20hz` of the whole way, `ours_*` of it less the waiting
    for the next tick, and its parts.

    Raises:
        PlatformUnavailable: a program is missing here.
        WorkerFailed: a part did not start, or playing ended.
    """
    from tray_agent.bench.figures import machine, progress
    from tray_agent.bench.lamp_scene import LampScene
    from tray_agent.stage.displays import terminated_like_interrupted

    facts = machine()
    metrics: dict[str, float | int] = {}
    with terminated_like_interrupted(), tempfile.TemporaryDirectory(prefix="ta-loop-") as folder, ExitStack() as stack:
        scene = LampScene(Path(folder), options.size, options.rates)
        stack.callback(scene.close)
        scene.start()
        for rate_hz in options.rates:
            progress(f"loop: {options.changes} changes at {rate_hz:g} Hz ...")
            changes, rows = _measure(scene, rate_hz, max(1, options.changes // 2))
            found = _summary(changes, rows, 1e9 / rate_hz)
            metrics |= {f"{name}_{rate_hz:g}hz": value for name, value in found.items()}
    width, height = options.size
    return {"bench": "loop", "machine": facts, "metrics": metrics | {"width": width, "height": height}}


def _measure(scene: "LampScene", rate_hz: float, pairs: int) -> tuple[list[Change], list["TickRow"]]:
    from tray_agent.bench.lamp_scene import LampPlay

    lull_s = (_LULL_TICKS[0] / rate_hz, _LULL_TICKS[1] / rate_hz)
    with LampPlay(scene, rate_hz) as play:
        _changes(scene, play.poll, _WARM_UP, lull_s)
        changes = _changes(scene, play.poll, pairs, lull_s)
    return changes, play.trace.rows


def _changes(scene: "LampScene", poll: Callable[[], None], pairs: int, lull_s: tuple[float, float]) -> list[Change]:
    answers = scene.light(pairs, lull_s, poll)
    return [(name == "on", *answer[name]) for answer in answers for name in ("on", "off")]


def _summary(changes: list[Change], rows: list["TickRow"], period_ns: float) -> dict[str, float | int]:
    from tray_agent.bench.figures import quantile

    whole = [(came - changed) / 1e6 for _, changed, came in changes]
    parts = [split_up(row, change, period_ns) for change, row in answers(changes, rows)]
    figures: dict[str, float | int] = {"count": len(whole), "max_ms": round(max(whole), 3)}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        figures[f"{name}_ms"] = round(quantile(whole, share), 3)
        for part in _PARTS:
            figures[f"{part}_{name}_ms"] = round(quantile([each[part] for each in parts], share), 3)
    figures["ours_share"] = round(sum(each["ours"] for each in parts) / sum(whole), 3)
    return figures


def answers(changes: list[Change], rows: list["TickRow"]) -> Iterator[tuple[Change, "TickRow"]]:
    """Each change with the tick whose command answered it: the first with the other state, made in between."""
    turns = [row for before, row in itertools.pairwise(rows) if row.held != before.held]
    position = 0
    for change in changes:
        bright, changed, came = change
        while position < len(turns) and turns[position].acts < changed:
            position += 1
        if position == len(turns) or turns[position].held != bright or turns[position].acts > came:
            raise WorkerFailed("a key event came that no tick had sent")
        yield change, turns[position]


def split_up(row: "TickRow", change: Change, period_ns: float) -> dict[str, float]:
    """Milliseconds of the way's parts, which add up to the whole; "ours" is the whole less the wait for a slot."""
    _, changed, came = change
    wait = max(0, row.due - changed)
    unavoidable = wait % period_ns  # what exceeds the next slot of the grid was missed by us
    spent = {
        "wait": wait, "wake": row.woke - max(row.due, changed), "grab": row.seen - row.woke,
        "look": row.decides - row.seen, "decide": row.acts - row.decides, "press": came - row.acts,
        "ours": came - changed - unavoidable,
    }  # fmt: skip
    return {name: value / 1e6 for name, value in spent.items()}

"""Part `overhead` of `bench sessions`: the daemon's CPU while it records a 1080p window, without learning.

A Xephyr on an Xvfb of our own shows a window that is full of moving pictures (`film_game`), a player presses keys on
the display around it, and the daemon does what `tray-agent record` makes it do. Caller's thread; then, on the same
display, capture and writer are paced here alone, to tell their shares.
"""

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil

from tray_agent.bench.figures import progress
from tray_agent.bench.film_game import TITLE
from tray_agent.bench.session_found import Found
from tray_agent.bench.session_plays import Plays
from tray_agent.bench.watch_scene import KEYS, RandomHands
from tray_agent.core.clock import MonotonicClock
from tray_agent.core.controls import Controls
from tray_agent.core.media import VideoQuality
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import WorkerFailed
from tray_agent.platforms.x11.screen import X11ScreenSource
from tray_agent.runtime.pacer import Pacer
from tray_agent.sessions.writer import SessionWriter
from tray_agent.stage.daemon import StagedDaemon
from tray_agent.stage.desk import NestedDesk

_SCREEN = (1920, 1080)
_FRAME = (112, 63)  # what `tray-agent games add` gives a window of that shape
_RATE_HZ = 20.0
_SHOWN_HZ = 30
_GAME = "film"
_START_S = 60.0
_SETTLE_S = 3.0
_PARTS_S = 10.0
_LEAST_SHARE = 0.9
_PROFILE = f"""\
games:
  {_GAME}:
    vector: 100
    match: {{title: '^{TITLE}$'}}
    controls: {{keys: [{", ".join(KEYS)}]}}
    rate_hz: {_RATE_HZ:g}
    frame: {{width: {_FRAME[0]}, height: {_FRAME[1]}}}
"""
_NOTE = (
    f"overhead: the whole daemon while it records a {_SCREEN[0]}x{_SCREEN[1]} window ({_SHOWN_HZ} new pictures a "
    f"second) at {_RATE_HZ:g} Hz and {_FRAME[0]}x{_FRAME[1]}, nothing subtracted; its guard is a process of its own "
    "(overhead_guard_core); what the X server does for a capture is not in it (see bench capture)"
)


def measure(plays: Plays, options: argparse.Namespace) -> Found:
    """CPU seconds a second.

    Raises:
        PlatformUnavailable: X servers or openbox are missing here.
        WorkerFailed: the daemon recorded nothing.
    """
    session = plays.play(options.games[-1], options.minutes).session
    home = plays.folder / "overhead"
    home.mkdir()
    with ExitStack() as stack:
        desk = NestedDesk(home / "programs.log", _SCREEN)
        stack.callback(desk.close)
        desk.start()
        command = [sys.executable, "-P", "-m", "tray_agent.bench.film_game", str(session), str(_SHOWN_HZ)]
        handle = int(desk.displays.line_of(desk.displays.run(command, desk.display, pipes=True), _START_S))
        desk.await_window(lambda window: window.handle == handle and window.rect == (0, 0, *_SCREEN))
        metrics = _recorded(desk, home, plays.quality, options.seconds)
        progress("  capture and writer alone ...")
        metrics |= _parts(desk.display, home, plays.quality)
    return Found(metrics, [_NOTE])


def _recorded(desk: NestedDesk, home: Path, quality: VideoQuality, seconds: float) -> dict[str, float | int]:
    """By the daemon."""
    hands = RandomHands(desk.keyboard)
    daemon = StagedDaemon(desk.displays, desk.display, home, _GAME)
    daemon.configure("games.yaml", _PROFILE)
    daemon.configure("tray_agent.yaml", f"recording: {{quality: {quality}}}\n")
    daemon.start()
    try:
        daemon.wait(
            lambda status: bool(status["game_in_front"] and status["ticks"]["running"]),
            _START_S,
            lambda: _play(hands, 0.2),
        )
        daemon.ask("record", game=_GAME)
        _play(hands, _SETTLE_S)
        family = [daemon.process, *daemon.process.children(recursive=True)]
        progress(f"  recording for {seconds:g} s ...")
        ticks, began = daemon.status()["watch"]["ticks"], time.monotonic()
        before = [_cpu_s(process) for process in family]
        _play(hands, seconds)
        spent = [_cpu_s(process) - cpu_s for process, cpu_s in zip(family, before, strict=True)]
        passed_s, watch = time.monotonic() - began, daemon.status()["watch"]
    finally:
        daemon.quit()
    rate_hz = (watch["ticks"] - ticks) / passed_s
    if rate_hz < _LEAST_SHARE * _RATE_HZ or not watch["actions"]:
        raise WorkerFailed(f"the daemon recorded {rate_hz:.1f} ticks a second: {watch}\n{desk.displays.last_words()}")
    return {
        "overhead_core": round(spent[0] / passed_s, 4),
        "overhead_guard_core": round(sum(spent[1:]) / passed_s, 4),
        "overhead_ticks_per_s": round(rate_hz, 2),
    }


def _play(hands: RandomHands, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        hands.step()
        time.sleep(min(left, hands.until_next_s()))


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _parts(display: str, home: Path, quality: VideoQuality) -> dict[str, float | int]:
    """Cores that capture with reduction, and encoding with writing, take by themselves at that rate."""
    spec = PolicySpec(Controls(KEYS), _RATE_HZ, *_FRAME)
    silence, action = np.zeros(spec.audio_shape, np.float32), np.zeros(spec.controls.size, np.float32)
    clock = MonotonicClock()
    source = X11ScreenSource(_FRAME, display, clock)
    writer = SessionWriter(
        home / "parts" / _GAME / "session", spec, _GAME, [0.0] * spec.vector_size, threaded=False, quality=quality
    )
    source.start()
    writer.start()
    pacer, capture_s, writer_s = Pacer(clock, _RATE_HZ), 0.0, 0.0
    try:
        for _ in range(round(_PARTS_S * _RATE_HZ)):
            tick = pacer.wait().index
            began = time.thread_time()
            frame = source.grab()
            grabbed = time.thread_time()
            writer.add(TickSample(tick, frame.t_ns, frame.pixels, silence, action, TickFlag.LEARN))
            capture_s += grabbed - began
            writer_s += time.thread_time() - grabbed
    finally:
        source.close()
        writer.close()
    return {
        "overhead_capture_core": round(capture_s / _PARTS_S, 4),
        "overhead_writer_core": round(writer_s / _PARTS_S, 4),
    }

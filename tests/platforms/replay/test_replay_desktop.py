"""A recording as a desktop, in lockstep and in real time."""

import contextlib
import time

import numpy as np
import pytest
from session_data import SPEC, VECTOR, pixels, sample

from tray_agent.core.clock import ManualClock, MonotonicClock
from tray_agent.core.events import InputEvent, WindowInfo
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk
from tray_agent.errors import CaptureLost
from tray_agent.platforms.replay.desktop import Recording, ReplayDesktop
from tray_agent.runtime.pacer import Pacer
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.writer import SessionWriter

START = 10**15
PERIOD = 50_000_000


def _frame(i):
    return np.full((4, 6, 3), i, np.uint8)


def _recording(frames=20, **fields):
    times = START + np.arange(frames, dtype=np.int64) * PERIOD
    events = tuple(InputEvent(START + i * 70_000_000, "button", "KeyW", float(i % 2), "kbd") for i in range(10))
    sound = np.arange(AUDIO_RATE_HZ, dtype=np.float32) / AUDIO_RATE_HZ
    return Recording(times, _frame, events, sound, START - 20_000_000, **fields)


def _started(recording, clock):
    desktop = ReplayDesktop(recording, clock)
    for source in (desktop.screen, desktop.inputs, desktop.audio, desktop.window):
        source.start()
    return desktop


def test_lockstep_gives_every_frame_on_its_tick():
    """With a pacer on a manual clock each tick sees its own frame, time-stamped on the desktop's clock."""
    clock = ManualClock(7)
    desktop = _started(_recording(), clock)
    pacer = Pacer(clock, 20)
    for i in range(20):
        pacer.wait()
        frame = desktop.screen.grab()
        assert frame.t_ns == 7 + i * PERIOD
        assert (frame.pixels == i).all()
        assert not desktop.ended


def test_end_is_capture_lost_and_no_window():
    """One period after the last frame the screen is lost and no window is in front."""
    clock = ManualClock()
    window = WindowInfo(5, "game", "Game", (0, 0, 6, 4))
    desktop = _started(_recording(window=window), clock)
    clock.advance_ns(20 * PERIOD)
    assert not desktop.ended
    assert (desktop.screen.grab().pixels == 19).all()
    assert desktop.window.active() == window
    clock.advance_ns(1)
    assert desktop.ended
    assert desktop.window.active() is None
    with pytest.raises(CaptureLost, match="ended"):
        desktop.screen.grab()


def test_events_come_once_in_order_when_due():
    """Every event comes exactly once, not before its time, and keeps all but its time stamp's origin."""
    clock = ManualClock(0)
    recording = _recording()
    desktop = _started(recording, clock)
    got = []
    for _ in range(40):
        events = desktop.inputs.read(0.0)
        assert all(e.t_ns <= clock.now_ns() for e in events)
        got += events
        clock.advance_ns(PERIOD // 2)
    assert [(e.t_ns + START, e.control, e.value, e.device) for e in got] == [
        (e.t_ns, e.control, e.value, e.device) for e in recording.events
    ]


def test_waiting_for_an_event_moves_to_it():
    """read with a time-out returns at the next event, or at the time-out when none comes before."""
    clock = ManualClock(0)
    desktop = _started(_recording(), clock)
    assert len(desktop.inputs.read(1.0)) == 1
    assert len(desktop.inputs.read(1.0)) == 1
    assert clock.now_ns() == 70_000_000
    assert desktop.inputs.read(0.01) == []
    assert clock.now_ns() == 80_000_000


def test_sound_comes_whole_and_in_time():
    """All samples come once, in order, each chunk at its time and never early."""
    clock = ManualClock(0)
    recording = _recording()
    desktop = _started(recording, clock)
    parts = []
    for _ in range(40):
        for chunk in desktop.audio.read():
            first = sum(map(len, parts))
            assert chunk.t_ns == -20_000_000 + first * 10**9 // AUDIO_RATE_HZ
            assert chunk.t_ns + len(chunk.samples) * 10**9 // AUDIO_RATE_HZ <= clock.now_ns() + 1
            assert len(chunk.samples) <= AUDIO_RATE_HZ // 20
            parts.append(chunk.samples)
        clock.advance_ns(33_000_000)
    assert np.array_equal(np.concatenate(parts), recording.sound)


def test_real_time():
    """On the real clock the recording takes its real time."""
    clock = MonotonicClock()
    desktop = _started(_recording(frames=6), clock)
    begun = time.monotonic()
    seen = set()
    with contextlib.suppress(CaptureLost):
        while True:
            seen.add(int(desktop.screen.grab().pixels[0, 0, 0]))
            clock.sleep_until(clock.now_ns() + 5_000_000)
    assert desktop.ended
    assert 0.29 < time.monotonic() - begun < 5
    assert 0 in seen
    assert len(seen) > 1


def test_recordings_that_make_no_sense():
    """No frames, or frames that do not rise in time, are refused."""
    for times in ([], [5, 5], [5, 4]):
        with pytest.raises(ValueError, match="rise in time"):
            ReplayDesktop(Recording(np.array(times, np.int64), _frame), ManualClock())


def test_set_region_and_close_do_no_harm():
    """The ports' other calls are there and may come at any time."""
    desktop = ReplayDesktop(_recording(), ManualClock())
    desktop.screen.set_region((0, 0, 1, 1))
    assert (desktop.screen.grab().pixels == 0).all()
    for source in (desktop.screen, desktop.inputs, desktop.audio, desktop.window):
        source.close()
        source.close()


def test_a_session_on_disk_plays_again(tmp_path):
    """What a session holds comes out of a replay desktop picture by picture, with its inputs and its sound."""
    clock = ManualClock(START)
    writer = SessionWriter(tmp_path / "s", SPEC, "game", VECTOR, clock=clock, threaded=False)
    writer.start()
    for tick in range(25):
        writer.add(sample(tick, START + tick * PERIOD))
        writer.add_events([InputEvent(START + tick * PERIOD, "button", "KeyW", float(tick % 2))])
        writer.add_audio([AudioChunk(START + tick * PERIOD, np.full(800, tick / 32, np.float32))])
    writer.close()
    session = SessionReader(tmp_path / "s")
    recording = Recording(
        session.ticks.t_ns,
        lambda i: session.frames(i, i + 1)[0],
        session.events,
        session.sound(),
        session.info.start_ns,
    )
    clock = ManualClock(0)
    desktop = _started(recording, clock)
    pacer, heard = Pacer(clock, 20), []
    for tick in range(25):
        assert pacer.wait().index == tick
        assert np.array_equal(desktop.screen.grab().pixels, pixels(tick))
        assert [e.value for e in desktop.inputs.read(0.0)] == [float(tick % 2)]
        heard += desktop.audio.read()
    assert len(heard) == 24
    assert abs(heard[7].samples - 7 / 32).max() < 1e-4

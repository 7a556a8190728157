"""The fake desktop."""

import numpy as np
import pytest

from tray_agent.core.clock import ManualClock
from tray_agent.core.controls import TickAccumulator
from tray_agent.core.events import Command
from tray_agent.errors import CaptureLost
from tray_agent.platforms.fake.desktop import CONTROLS, FakeDesktop

SECOND = 1_000_000_000


def played(seed: int, looks: int) -> tuple[list[bytes], list[tuple[int, str, float]], int]:
    """Ten seconds, looked at `looks` times: pictures at whole seconds, events, score."""
    clock = ManualClock()
    desktop = FakeDesktop(clock, seed=seed)
    pictures, events = [], []
    for look in range(1, looks + 1):
        clock.sleep_until(10 * SECOND * look // looks)
        frame = desktop.screen.grab()
        if frame.t_ns % SECOND == 0:
            pictures.append(frame.pixels.tobytes())
        events += [(e.t_ns, e.control, e.value) for e in desktop.inputs.read(0)]
    return pictures, events, desktop.world.score


def test_same_seed_same_world_however_often_one_looks() -> None:
    """Pictures, events and score depend on the seed and time, not on how often a port is asked."""
    seldom, often, other = played(1, 10), played(1, 200), played(2, 10)
    assert seldom == often
    assert seldom != other
    assert len(set(seldom[0])) > 5


def test_scripted_player_beats_standing_still() -> None:
    """Its keys keep the paddle under the ball; without it the score is far lower."""
    clock = ManualClock()
    good, idle = FakeDesktop(clock), FakeDesktop(clock, plays=False)
    clock.advance_ns(60 * SECOND)
    good.catch_up()
    idle.catch_up()
    assert good.world.score > 2 * idle.world.score


def test_sink_plays_as_well_as_the_player() -> None:
    """What the sink holds moves the paddle, is recorded, and is marked own: no tick counts it as the player's."""
    clock = ManualClock()
    desktop = FakeDesktop(clock, plays=False)
    ticks = TickAccumulator(CONTROLS)
    for _ in range(600):
        desktop.sink.apply(Command(desktop.world.wanted))
        clock.advance_ns(SECOND // 20)
    ticks.add(desktop.inputs.read(0))
    assert desktop.world.score > 0.8 * desktop.world.steps
    assert not ticks.take().any()
    assert len(desktop.sink.commands) == 600
    desktop.sink.release_all()
    assert desktop.sink.command.held == frozenset()


def test_physical_press_is_the_players() -> None:
    """A press by hand moves the paddle and arrives with its time, not own."""
    clock = ManualClock(5)
    desktop = FakeDesktop(clock, plays=False)
    desktop.inputs.press("ArrowLeft", True)
    clock.advance_ns(SECOND)
    (event,) = desktop.inputs.read(0)
    assert (event.t_ns, event.control, event.value, event.own) == (5, "ArrowLeft", 1.0, False)
    assert desktop.world.paddle == 0.0


def test_sound_is_gapless() -> None:
    """Chunks join without hole or overlap and never exceed the clock."""
    clock = ManualClock()
    desktop = FakeDesktop(clock)
    desktop.audio.start()
    total = 0
    for nap in (1, 10_000_000, 33_333_333, SECOND):
        clock.advance_ns(nap)
        for chunk in desktop.audio.read():
            assert chunk.t_ns == total * SECOND // 16_000
            total += chunk.samples.size
    assert total == clock.now_ns() * 16_000 // SECOND
    assert np.abs(chunk.samples).max() > 0.2


def test_faults_can_be_injected() -> None:
    """A lost screen, lost sound, a frozen picture and a lost focus look as on a real desktop."""
    clock = ManualClock()
    desktop = FakeDesktop(clock)
    desktop.screen.frozen = True
    first = desktop.screen.grab()
    clock.advance_ns(SECOND)
    second = desktop.screen.grab()
    assert first.pixels.tobytes() == second.pixels.tobytes()
    assert second.t_ns == first.t_ns + SECOND
    desktop.screen.fail_with = desktop.audio.fail_with = "unplugged"
    with pytest.raises(CaptureLost, match="unplugged"):
        desktop.screen.grab()
    with pytest.raises(CaptureLost, match="unplugged"):
        desktop.audio.read()
    desktop.window.info = None
    assert desktop.window.active() is None

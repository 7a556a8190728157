"""One suite for every InputSource that can run here."""

import time
from pathlib import Path

import pytest
from port_rigs import REAL, FakeWorld, LockstepWorld, ReplayWorld, Rig, closing_twice, pad_reader, until
from x11_desktop import Player

from tray_agent.core import keys
from tray_agent.core.events import Command, InputEvent
from tray_agent.core.ports import InputSource
from tray_agent.platforms.env.clients import EnvControl, EnvInputs
from tray_agent.platforms.env.guard_backend import EnvGuardBackend
from tray_agent.platforms.pad.with_pads import WithPads
from tray_agent.platforms.x11.guard_backend import X11GuardBackend
from tray_agent.platforms.x11.inputs import X11InputSource


@pytest.fixture(params=["fake", "lockstep", "replay", "env", "x11", "x11-with-pads"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig[InputSource]:
    """A source that was not started."""
    kind: str = request.param
    if kind == "fake":
        return _fake()
    if kind == "lockstep":
        return _lockstep(request)
    if kind == "replay":
        replay = ReplayWorld()
        return Rig(replay.desktop.inputs, replay.clock, replay.pass_time)
    if kind == "env":
        return _env(request)
    made = _x11(request)
    return made if kind == "x11" else Rig(WithPads(made.port, pad_reader(tmp_path)), REAL, made.stir, made.agent)


def _fake() -> Rig[InputSource]:
    world = FakeWorld()

    def agent() -> None:
        world.desktop.sink.apply(Command(frozenset({"ArrowRight"})))
        world.desktop.sink.release_all()

    return Rig(world.desktop.inputs, world.clock, world.player, agent)


def _lockstep(request: pytest.FixtureRequest) -> Rig[InputSource]:
    world = LockstepWorld()
    request.addfinalizer(world.desktop.close)

    def agent() -> None:
        world.desktop.sink.apply(Command(frozenset({"ArrowRight"})))
        world.desktop.sink.release_all()

    return Rig(world.desktop.inputs, world.clock, world.play, agent)


def _env(request: pytest.FixtureRequest) -> Rig[InputSource]:
    path = request.getfixturevalue("breakout").socket_path
    player, hand = EnvControl(path), EnvGuardBackend(path)
    player.start()
    request.addfinalizer(player.close)

    def agent() -> None:
        hand.start({})
        hand.apply(Command(frozenset({"ArrowRight"})))
        hand.close()

    return Rig(EnvInputs(path), REAL, lambda: player.tap("ArrowLeft"), agent)


def _x11(request: pytest.FixtureRequest) -> Rig[InputSource]:
    physical: Player = request.getfixturevalue("physical")
    display: str = request.getfixturevalue("display")

    def agent() -> None:
        hand = X11GuardBackend(display)
        hand.start({})
        hand.apply(Command(frozenset({"ArrowRight"})))
        hand.close()

    return Rig(X11InputSource(display), REAL, lambda: physical.tap("ArrowLeft"), agent)


def collect(rig: Rig[InputSource], count: int, own: bool) -> list[InputEvent]:
    """Read until `count` events of the player, or of the agent, have come."""
    events: list[InputEvent] = []
    again_at = time.monotonic() + 1.0

    def enough() -> bool:
        nonlocal again_at
        events.extend(rig.port.read(0.05))
        if not events and not own and time.monotonic() > again_at:
            # a packaged game may take the player's key before it has heard of its new listener
            rig.stir()
            again_at += 1.0
        return sum(event.own == own for event in events) >= count

    until(enough, f"{count} events")
    return events


def test_closing_is_always_allowed(rig: Rig[InputSource]) -> None:
    """close() is harmless before start and twice after it."""
    with closing_twice(rig.port):
        rig.port.start()


def test_the_players_keys_come_in_order(rig: Rig[InputSource]) -> None:
    """Presses and releases alternate, are named and stamped on the desktop's clock, and are nobody else's."""
    with closing_twice(rig.port):
        rig.port.start()
        rig.stir()
        events = collect(rig, 2, own=False)
    stamps = [event.t_ns for event in events]
    assert stamps == sorted(stamps)
    assert stamps[-1] <= rig.clock.now_ns()
    for event in events:
        assert event.control in keys.BUTTONS | set(keys.RELATIVE) | set(keys.AXES)
        assert event.kind in ("button", "relative", "axis")
        assert event.device
        assert not event.own
    for name in {event.control for event in events if event.kind == "button"}:
        values = [event.value for event in events if event.control == name]
        assert values == [float((i + 1) % 2) for i in range(len(values))]


def test_events_come_once_and_nothing_is_waited_for(rig: Rig[InputSource]) -> None:
    """What was read is gone, and a read without a time-out returns at once."""
    with closing_twice(rig.port):
        rig.port.start()
        rig.stir()
        collect(rig, 2, own=False)
        began = time.monotonic()
        assert rig.port.read(0.0) == []
        assert time.monotonic() - began < 1.0


def test_the_agents_keys_are_marked(rig: Rig[InputSource]) -> None:
    """What the agent pressed comes as its own, so that it is never recorded."""
    if rig.agent is None:
        pytest.skip("a recording holds no agent's hand")
    with closing_twice(rig.port):
        rig.port.start()
        rig.agent()
        events = [event for event in collect(rig, 2, own=True) if event.own]
    assert [(event.control, event.value) for event in events] == [("ArrowRight", 1.0), ("ArrowRight", 0.0)]

"""Recording on a real nested desktop: whose key, which key, motion, wheel, time, hot-plugging, loss."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from x11_desktop import Player, XServers, wait_until
from Xlib.ext import xinput

from tray_agent.core.clock import MonotonicClock
from tray_agent.core.events import InputEvent
from tray_agent.core.keys import EVDEV, FORBIDDEN
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.platforms.x11 import connection, raw_events
from tray_agent.platforms.x11.inputs import X11InputSource

pytestmark = pytest.mark.x11


@pytest.fixture
def source(display: str) -> Iterator[X11InputSource]:
    found = X11InputSource(display)
    found.start()
    yield found
    found.close()


@pytest.fixture
def program(display: str) -> Iterator[Player]:
    """A program that presses inside the display: its events come from the test devices."""
    found = Player(display)
    yield found
    found.close()


def collect(source: X11InputSource, enough: Callable[[list[InputEvent]], bool]) -> list[InputEvent]:
    events: list[InputEvent] = []

    def done() -> bool:
        events.extend(source.read(0.2))
        return enough(events)

    wait_until(done, what="events")
    return events


def brief(events: list[InputEvent]) -> list[tuple[str, float, bool]]:
    return [(e.control, e.value, e.own) for e in events]


def test_players_key_is_not_own_and_a_programs_is(source: X11InputSource, physical: Player, program: Player) -> None:
    """The person's key arrives once, with its device, not own; XTest inside arrives once, own."""
    source.read(0.0)
    physical.tap("KeyW")
    heard = collect(source, lambda e: len(e) >= 2)
    assert brief(heard) == [("KeyW", 1.0, False), ("KeyW", 0.0, False)]
    program.tap("KeyA")
    own = collect(source, lambda e: len(e) >= 2)
    assert brief(own) == [("KeyA", 1.0, True), ("KeyA", 0.0, True)]
    assert heard[0].device != own[0].device


def test_every_key_has_its_name(source: X11InputSource, program: Player) -> None:
    """Each key of the vocabulary, pressed by position, is reported under its own name."""
    names = sorted(set(EVDEV) - FORBIDDEN - {"CapsLock", "NumLock", "ScrollLock"})
    program.tap(*names)
    events = collect(source, lambda e: len(e) >= 2 * len(names))
    assert [e.control for e in events] == names + names[::-1]


def test_relative_motion_of_a_relative_device(source: X11InputSource, program: Player) -> None:
    """Counts come unaccelerated and signed; a diagonal is two events of one time."""
    program.move(7, -4)
    program.move(-300, 0)
    events = collect(source, lambda e: len(e) >= 3)
    assert [(e.kind, e.control, e.value) for e in events] == [
        ("relative", "MouseX", 7.0),
        ("relative", "MouseY", -4.0),
        ("relative", "MouseX", -300.0),
    ]
    assert events[0].t_ns == events[1].t_ns


def test_motion_of_a_device_that_reports_positions(source: X11InputSource, physical: Player) -> None:
    """The nested server's mouse sends positions; what is recorded is how far it moved."""
    physical.move(-1, 0)
    source.read(0.2)
    physical.move(12, 9)
    events = collect(source, lambda e: len(e) >= 2)
    assert brief(events) == [("MouseX", 12.0, False), ("MouseY", 9.0, False)]


def test_wheel_and_buttons(source: X11InputSource, physical: Player) -> None:
    """Wheel away is +1 per notch, towards is -1; buttons have names."""
    physical.wheel(2)
    physical.wheel(-1)
    physical.tap("MouseRight")
    events = [e for e in collect(source, lambda e: len(e) >= 5) if e.control not in ("MouseX", "MouseY")]
    assert [(e.control, e.value) for e in events] == [
        ("WheelY", 1.0),
        ("WheelY", 1.0),
        ("WheelY", -1.0),
        ("MouseRight", 1.0),
        ("MouseRight", 0.0),
    ]


def test_time_is_the_press_not_the_reading(source: X11InputSource, physical: Player) -> None:
    """An event that waited in the queue carries the time at which it happened, to a few milliseconds."""
    clock = MonotonicClock()
    before = clock.now_ns()
    physical.press("KeyQ")
    after = clock.now_ns()
    clock.sleep_until(after + 150_000_000)
    event = collect(source, bool)[-1]
    assert before - 5_000_000 <= event.t_ns <= after + 60_000_000
    physical.release("KeyQ")


def test_read_times_out_empty(source: X11InputSource) -> None:
    """With nothing pressed read returns an empty list, at once or after its timeout."""
    source.read(0.05)
    assert source.read(0.0) == []
    assert source.read(0.02) == []


def test_new_devices_are_learnt(source: X11InputSource, display: str) -> None:
    """A master device created later, with its test devices, is known without a restart: its presses are own."""
    with contextlib.closing(connection.open_display(display)) as other:
        connection.announce_xi2(other)
        before = {d.deviceid for d in other.xinput_query_device(xinput.AllDevices).devices}
        AddMaster(display=other.display, opcode=other.display.get_extension_major(xinput.extname), name="second")
        other.sync()
        added = [d for d in other.xinput_query_device(xinput.AllDevices).devices if d.deviceid not in before]
        slaves = [d.deviceid for d in added if d.name.endswith(("XTEST pointer", "XTEST keyboard"))]
        assert len(slaves) == 2
        devices = source._devices
        assert devices is not None

        def known() -> bool:
            source.read(0.05)
            return all((d := devices.get(s)) is not None and d.xtest for s in slaves)

        wait_until(known, what="the new devices")


class AddMaster(xinput.rq.Request):
    """XIChangeHierarchy with one change, adding a master pointer and keyboard."""

    _request = xinput.rq.Struct(
        xinput.rq.Card8("opcode"),
        xinput.rq.Opcode(43),
        xinput.rq.RequestLength(),
        xinput.rq.Card8("changes", 1),
        xinput.rq.Pad(3),
        xinput.rq.Card16("type", xinput.AddMaster),
        xinput.rq.Card16("words", 4),
        xinput.rq.LengthOf("name", 2),
        xinput.rq.Bool("core", 1),
        xinput.rq.Bool("enable", 1),
        xinput.rq.String8("name", 8),
    )


def test_lost_display_is_capture_lost(x_servers: XServers, flat_display: str) -> None:
    """When the server dies read raises CaptureLost, again and again, and close stays silent."""
    source = X11InputSource(flat_display)
    source.start()
    server = x_servers.processes[flat_display]
    server.kill()
    server.wait()
    for _ in range(2):
        with pytest.raises(CaptureLost, match="gone"):
            wait_until(lambda: source.read(0.2), what="the loss")
    source.close()
    source.close()
    with pytest.raises(CaptureLost, match="not started"):
        source.read(0.0)


def test_server_without_xinput_is_refused(x_servers: XServers) -> None:
    """A display that does not exist can't be listened to; the message has a remedy."""
    with pytest.raises(PlatformUnavailable, match="DISPLAY"):
        X11InputSource(":64997").start()


def test_unpack_reads_raw_values_behind_the_accelerated() -> None:
    """Of a raw motion's two lists of values the second, unaccelerated one is taken; fractions are kept."""
    head = raw_events._HEAD.pack(7, 1234, 0, 7, 1, 0)
    values = b"".join(raw_events._FP3232.pack(*v) for v in ((9, 0), (9, 0), (3, 0), (-2, 1 << 31)))
    found = raw_events.unpack(raw_events.MOTION, head + (0b1001).to_bytes(4, "little") + values)
    assert (found.deviceid, found.sourceid, found.time_ms) == (7, 7, 1234)
    assert found.axes == {0: 3.0, 3: -1.5}

"""Inputs on a thread of their own: exact times, nothing kept while nobody watches, devices that vanish."""

import queue
import time
from collections.abc import Callable, Iterator

import pytest

from tray_agent.capture.input_pump import InputPump, SteppedInputs
from tray_agent.core.events import InputEvent
from tray_agent.errors import CaptureLost, PlatformUnavailable


def press(control: str, t_ns: int, down: bool = True, own: bool = False) -> InputEvent:
    return InputEvent(t_ns, "button", control, float(down), "test", own)


class Device:
    """An input source fed by the test; an exception put in is raised."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[list[InputEvent] | Exception] = queue.SimpleQueue()
        self.starts = self.closes = 0
        self.start_error: Exception | None = None

    def start(self) -> None:
        self.starts += 1
        if self.start_error is not None:
            raise self.start_error

    def read(self, timeout_s: float) -> list[InputEvent]:
        try:
            item = self.events.get(timeout=timeout_s)
        except queue.Empty:
            return []
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        self.closes += 1


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.002)


class Pumped:
    """A running pump over a `Device`."""

    def __init__(self) -> None:
        self.device = Device()
        self.pump = InputPump(lambda: self.device)

    def feed(self, *events: InputEvent) -> None:
        """Hand events over and wait until the pump has them."""
        self.device.events.put([*events, press("KeyZ", max(e.t_ns for e in events))])
        newest = max(e.t_ns for e in events)
        until(lambda: self.pump.last_player_ns >= newest, "the pump to read")

    def take(self, before_ns: int) -> list[tuple[str, float, int]]:
        return [(e.control, e.value, e.t_ns) for e in self.pump.take(before_ns) if e.control != "KeyZ"]


@pytest.fixture
def pumped() -> Iterator[Pumped]:
    """A pump that runs and ends in time."""
    pumped = Pumped()
    pumped.pump.start()
    yield pumped
    pumped.pump.request_stop()
    assert pumped.pump.join(5.0)
    assert pumped.device.closes >= 1


def test_events_come_in_the_tick_they_happened_in(pumped: Pumped) -> None:
    """What happened before the tick's time is taken once, the rest waits."""
    pumped.pump.begin_anew(0)
    pumped.feed(press("KeyA", 10), press("KeyA", 20, down=False), press("KeyB", 30))
    assert pumped.take(20) == [("KeyA", 1.0, 10)]
    assert pumped.take(20) == []
    assert pumped.take(31) == [("KeyA", 0.0, 20), ("KeyB", 1.0, 30)]


def test_nothing_is_kept_while_nobody_watches(pumped: Pumped) -> None:
    """Before the game is in front, and after it left, keys are not kept: they may be a password."""
    pumped.feed(press("KeyP", 10), press("KeyP", 11, down=False))
    pumped.pump.begin_anew(20)
    assert pumped.take(99) == []
    pumped.feed(press("KeyA", 30), press("KeyA", 31, down=False))
    pumped.pump.pause()
    pumped.feed(press("KeyS", 40), press("KeyS", 41, down=False))
    pumped.pump.begin_anew(50)
    assert pumped.take(99) == []


def test_what_is_held_comes_again_and_the_agents_own_does_not(pumped: Pumped) -> None:
    """Who begins to watch in the middle of a press learns of it, at the moment watching begins."""
    pumped.feed(press("KeyA", 10), press("KeyB", 11), press("KeyC", 12, own=True), press("KeyB", 13, down=False))
    pumped.pump.begin_anew(100)
    assert pumped.take(101) == [("KeyA", 1.0, 100)]


def test_lost_device_lets_go_and_is_opened_again(pumped: Pumped, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that vanishes in the middle of a press: its key counts as released, the reason is told."""
    monkeypatch.setattr("tray_agent.capture.input_pump._RETRY_S", 0.01)
    pumped.pump.begin_anew(0)
    pumped.feed(press("KeyA", 10))
    pumped.device.start_error = PlatformUnavailable("the device is gone", "Plug it in")
    pumped.device.events.put(CaptureLost("unplugged"))
    until(lambda: "the device is gone" in pumped.pump.problem, "the loss to be told")
    assert pumped.take(99) == [("KeyA", 1.0, 10), ("KeyA", 0.0, 10)]
    pumped.device.start_error = None
    until(lambda: not pumped.pump.problem, "the device to be back")
    pumped.feed(press("KeyB", 50))
    assert pumped.take(99) == [("KeyB", 1.0, 50)]


def test_stepped_inputs_keep_what_is_not_due() -> None:
    """Without a thread: read on the caller's, by the same rule of time."""
    device = Device()
    inputs = SteppedInputs(device)
    device.events.put([press("KeyA", 10), press("KeyB", 20)])
    assert [e.control for e in inputs.take(15)] == ["KeyA"]
    inputs.begin_anew(15)
    assert [e.control for e in inputs.take(25)] == ["KeyB"]

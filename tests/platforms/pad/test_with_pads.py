"""Pads beside keyboard and mouse: heard together, pressed together, and honest where they can't be."""

import importlib
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from tray_agent import guard_process
from tray_agent.core.events import Command, InputEvent
from tray_agent.core.guard_port import BackendReport, Heard
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.guard.fake_backend import FakeBackend
from tray_agent.guard.log_backend import LogBackend
from tray_agent.platforms.pad import press
from tray_agent.platforms.pad.guard_backend import Echoes, WithPadBackend
from tray_agent.platforms.pad.press import VirtualPad
from tray_agent.platforms.pad.with_pads import WithPads
from tray_agent.runtime import pipes

ADDED = {"added": 0, "name": "Some Pad", "guid": "", "own": False}
KEY = InputEvent(5, "button", "KeyW", 1.0, "keyboard")


def pressed(control: str, t_ns: int = 5) -> dict[str, object]:
    return {"t_ns": t_ns, "pad": 0, "kind": "button", "control": control, "value": 1.0}


def reader(folder: Path, *lines: dict[str, object], then: str = "sys.stdin.read()") -> tuple[str, ...]:
    """A pad reader that says the lines."""
    path = folder / "reader.py"
    text = "\n".join(json.dumps(line) for line in ({"ready": True}, ADDED, *lines))
    path.write_text(f"import sys, time\nprint({text!r}, flush=True)\n{then}\n")
    return sys.executable, str(path)


class Keyboard:
    """A source that says what it is given, then breaks if it shall."""

    def __init__(self, *events: InputEvent, broken: str = "") -> None:
        self.waiting = deque(events)
        self.broken = broken
        self.closed = False

    def start(self) -> None:
        pass

    def read(self, timeout_s: float) -> list[InputEvent]:
        if self.waiting:
            return [self.waiting.popleft()]
        if self.broken:
            raise CaptureLost(self.broken)
        time.sleep(timeout_s)
        return []

    def close(self) -> None:
        self.closed = True


def gather(source: WithPads, count: int) -> list[InputEvent]:
    """Read until there are `count` events."""
    events: list[InputEvent] = []
    deadline = time.monotonic() + 10
    while len(events) < count:
        assert time.monotonic() < deadline, events
        events += source.read(0.05)
    return events


def test_keys_and_pads_come_together(tmp_path: Path) -> None:
    """One read gives both; close ends both and may be repeated."""
    keyboard = Keyboard(KEY)
    source = WithPads(keyboard, reader(tmp_path, pressed("PadA")))
    source.start()
    assert {event.control for event in gather(source, 2)} == {"KeyW", "PadA"}
    assert source.read(0.0) == []
    assert source.note == ""
    source.close()
    source.close()
    assert keyboard.closed


def test_what_came_in_one_read_is_ordered_by_time(tmp_path: Path) -> None:
    """Events of both sides are sorted by their time stamps, not by their arrival."""
    source = WithPads(Keyboard(), reader(tmp_path))
    for t_ns in (9, 3, 7):
        source._queue.put(InputEvent(t_ns, "button", "KeyW", 1.0))
    assert [event.t_ns for event in source.read(1.0)] == [3, 7, 9]


def test_pads_that_can_not_be_read_are_a_note(tmp_path: Path) -> None:
    """Without a reader the keyboard is heard all the same, and the reason can be asked for."""
    source = WithPads(Keyboard(KEY), ("/nonexistent/reader",))
    source.start()
    try:
        assert gather(source, 1) == [KEY]
        assert "can't be read" in source.note
    finally:
        source.close()


def test_a_broken_desktop_is_told_after_its_last_event(tmp_path: Path) -> None:
    """What came before the break is delivered, then reading raises at once instead of waiting."""
    source = WithPads(Keyboard(KEY, broken="the display has gone"), reader(tmp_path))
    source.start()
    try:
        assert gather(source, 1) == [KEY]
        began = time.monotonic()
        with pytest.raises(CaptureLost, match="the display has gone"):
            source.read(30.0)
        assert time.monotonic() - began < 10
    finally:
        source.close()


class Hand(VirtualPad):
    """A pad plugged into nothing, where there is no kernel driver: keeps the commands it was given."""

    def __init__(self, problem: str = "") -> None:
        super().__init__()
        self.problem = problem
        self.commands: list[Command] = []
        self.closed = False

    @property
    def plugged_in(self) -> bool:
        return not self.problem and not self.closed

    def start(self) -> None:
        if self.problem:
            raise PlatformUnavailable(self.problem, "Do something about it")

    def apply(self, command: Command) -> None:
        self.commands.append(command)

    def release_all(self) -> tuple[str, ...]:
        last = self.commands[-1] if self.commands else Command()
        self.commands.append(Command())
        return tuple(sorted(last.held))

    def close(self) -> None:
        self.closed = True


class Pipe(FakeBackend):
    """A fake backend that really waits for the descriptor it is given."""

    def wait(self, command_fd: int, timeout_s: float) -> Heard:
        return Heard(commands_ready=pipes.wait_readable(None, command_fd, timeout_s)[1])


def test_a_command_is_split_between_keyboard_and_pad(tmp_path: Path) -> None:
    """Pad controls go to the pad, all else to the other backend; letting go and closing reach both."""
    inner, hand = Pipe(), Hand()
    backend = WithPadBackend(inner, command=reader(tmp_path), hand=hand)
    report = backend.start({})
    assert report == BackendReport(hears_player=True)
    backend.apply(Command(frozenset({"KeyW", "PadA"}), {"MouseX": 3.0}, {"PadLX": 0.5}))
    assert (inner.down, inner.moved, inner.axes) == (frozenset({"KeyW"}), {"MouseX": 3.0}, {})
    assert hand.commands == [Command(frozenset({"PadA"}), {}, {"PadLX": 0.5})]
    assert backend.release_all() == ("KeyW", "PadA")
    assert hand.commands[-1] == Command()
    assert inner.down == frozenset()
    backend.close()
    backend.close()
    assert hand.closed


def test_a_touched_pad_ends_the_wait(tmp_path: Path) -> None:
    """The wait returns with the pad's event though neither command nor key came; a command ends it as well."""
    go = tmp_path / "go"
    then = f"import os\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    then += f"print({json.dumps(pressed('PadB'))!r}, flush=True)\nsys.stdin.read()"
    backend = WithPadBackend(Pipe(), command=reader(tmp_path, then=then), hand=Hand())
    read, write = os.pipe()
    try:
        backend.start({})
        assert backend.wait(read, 0.01) == Heard()
        go.touch()
        began = time.monotonic()
        heard = backend.wait(read, 20.0)
        assert time.monotonic() - began < 10
        assert [(event.control, event.own) for event in heard.events] == [("PadB", False)]
        assert not heard.commands_ready
        os.write(write, b"x")
        assert backend.wait(read, 20.0) == Heard(commands_ready=True)
    finally:
        backend.close()
        os.close(read)
        os.close(write)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda folder: {"command": reader(folder), "hand": Hand("there is no driver")}, "no driver. Do something"),
        (lambda folder: {"command": ("/nonexistent/reader",), "hand": Hand()}, "can't be read"),
        (lambda folder: {"command": reader(folder), "press": False}, "without a virtual pad"),
    ],
)
def test_what_is_wrong_with_pads_is_reported(tmp_path: Path, make: Callable[[Path], dict], why: str) -> None:
    """No pad, or no ears for one, is `no_pad` and leaves the rest of the report alone."""
    backend = WithPadBackend(FakeBackend(), **make(tmp_path))
    report = backend.start({})
    backend.close()
    assert why in report.no_pad
    assert report.hears_player


def test_a_pad_command_without_a_pad_is_an_error(tmp_path: Path) -> None:
    """Keys are pressed without a virtual pad, but a pad's control is never dropped silently."""
    inner = FakeBackend()
    backend = WithPadBackend(inner, command=reader(tmp_path), hand=Hand("no driver"))
    backend.start({})
    try:
        backend.apply(Command(frozenset({"KeyW"})))
        assert inner.down == {"KeyW"}
        with pytest.raises(OSError, match="no virtual pad"):
            backend.apply(Command(frozenset({"PadA"})))
    finally:
        backend.close()


def test_echoes_tell_our_pad_where_its_guid_does_not() -> None:
    """What our pad was just told is ours, also at SDL's precision; anything else is the player's."""
    echoes = Echoes()
    event = InputEvent(0, "button", "PadA", 1.0)
    assert not echoes.is_own(event)
    echoes.told(Command(frozenset({"PadA"}), {}, {"PadLX": 0.333}))
    assert echoes.is_own(event)
    assert echoes.is_own(InputEvent(0, "axis", "PadLX", 0.33))
    assert not echoes.is_own(InputEvent(0, "axis", "PadLX", -0.5))
    assert not echoes.is_own(InputEvent(0, "button", "PadB", 1.0))
    echoes.told(Command(axes={"PadLX": 0.0}))
    assert echoes.is_own(InputEvent(0, "button", "PadA", 0.0))
    assert echoes.is_own(event), "events of a moment ago may still be on their way"


def test_echoes_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A press that ended long ago is no longer taken for ours."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    echoes = Echoes()
    echoes.told(Command(frozenset({"PadA"})))
    now[0] += 10
    assert echoes.is_own(InputEvent(0, "button", "PadA", 1.0)), "still held"
    echoes.told(Command())
    now[0] += 10
    assert not echoes.is_own(InputEvent(0, "button", "PadA", 1.0))


def test_option_pad_wraps_any_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard process makes the wrapped backend, imports no vgamepad by that, and never presses when it only logs."""
    monkeypatch.delitem(sys.modules, "vgamepad", raising=False)
    made = guard_process.make_backend("fake", {"pad": {"press": True}})
    assert isinstance(made, WithPadBackend)
    assert "vgamepad" not in sys.modules
    hearing = {"backend": "fake", "options": {"pad": {"press": True}}}
    log = guard_process.make_backend("log", {"path": str(tmp_path / "log"), "hearing": hearing})
    assert isinstance(log, LogBackend)
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    monkeypatch.setattr(press, "require_driver", lambda: pytest.fail("a virtual pad was looked for"))
    assert log.start({}).presses is False
    log.close()


def test_wrong_pad_options_are_refused() -> None:
    """An option that the wrapper does not have is a clear error."""
    with pytest.raises(PlatformUnavailable, match="can't be used here"):
        guard_process.make_backend("fake", {"pad": {"wings": True}})

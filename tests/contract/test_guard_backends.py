"""One suite for every GuardBackend that can run here."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from port_rigs import pad_reader, until

from tray_agent.core.events import Command, InputEvent
from tray_agent.core.guard_port import BackendReport, GuardBackend, Heard
from tray_agent.guard.fake_backend import FakeBackend
from tray_agent.guard.log_backend import LogBackend
from tray_agent.platforms.env.guard_backend import EnvGuardBackend
from tray_agent.platforms.pad.guard_backend import WithPadBackend
from tray_agent.platforms.x11.guard_backend import X11GuardBackend
from tray_agent.runtime import pipes

KILL = {"kill": ("ControlLeft", "AltLeft", "KeyK")}
HEARS_ITSELF = ("env", "x11", "x11-with-pads")


class Pipe:
    """The daemon's pipe."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()

    def say(self) -> None:
        os.write(self.write, b"x")

    def close(self) -> None:
        os.close(self.read)
        os.close(self.write)


@pytest.fixture
def commands() -> Iterator[Pipe]:
    """A pipe to wait for."""
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture(params=["fake", "log", "env", "x11", "x11-with-pads", "log-over-env"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which backend."""
    return str(request.param)


@pytest.fixture
def backend(kind: str, commands: Pipe, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GuardBackend]:
    """A backend that was not started."""
    made = _make(kind, commands, request, tmp_path)
    yield made
    made.close()
    made.close()


def _make(kind: str, commands: Pipe, request: pytest.FixtureRequest, folder: Path) -> GuardBackend:
    if kind == "fake":
        return FakeBackend(commands_ready=lambda: pipes.is_readable(commands.read))
    if kind == "log":
        return LogBackend(str(folder / "log"))
    if kind.startswith("x11"):
        plain = X11GuardBackend(request.getfixturevalue("flat_display"))
        return plain if kind == "x11" else WithPadBackend(plain, press=False, command=pad_reader(folder))
    plain_env = EnvGuardBackend(request.getfixturevalue("breakout").socket_path)
    return plain_env if kind == "env" else LogBackend(str(folder / "log"), plain_env)


def quiet(backend: GuardBackend, fd: int) -> None:
    """Take whatever is still on its way."""
    until(lambda: backend.wait(fd, 0.05) == Heard(), "nothing more to come")


def test_closing_needs_no_start(backend: GuardBackend) -> None:
    """Every way out is harmless on a backend that was never started."""
    assert backend.release_all() == ()
    backend.close()


def test_the_start_reports(backend: GuardBackend, kind: str) -> None:
    """The report tells whether the player is heard, and why not; hotkeys that are free have no problem."""
    report = backend.start(KILL)
    assert isinstance(report, BackendReport)
    assert report.hears_player == (not report.why_deaf)
    assert report.hotkey_problems == {}
    assert report.presses == (not kind.startswith("log"))


def test_a_wait_ends_by_its_time_or_by_a_command(backend: GuardBackend, commands: Pipe) -> None:
    """Nothing: sleeps about as long as told. A command: returns at once, again and again until it is read."""
    backend.start(KILL)
    quiet(backend, commands.read)
    began = time.monotonic()
    assert backend.wait(commands.read, 0.1) == Heard()
    assert 0.05 < time.monotonic() - began < 2.0
    commands.say()
    began = time.monotonic()
    assert backend.wait(commands.read, 20.0).commands_ready
    assert backend.wait(commands.read, 20.0).commands_ready
    assert time.monotonic() - began < 5.0
    os.read(commands.read, 1)
    assert not backend.wait(commands.read, 0.0).commands_ready


def test_what_is_held_is_let_go_of_once(backend: GuardBackend) -> None:
    """release_all names exactly what was down, and has nothing to do the second time."""
    backend.start(KILL)
    backend.apply(Command(frozenset({"ArrowLeft", "Space"})))
    backend.apply(Command(frozenset({"ArrowLeft"})))
    backend.apply(Command(frozenset({"ArrowLeft", "Space"})))
    assert sorted(backend.release_all()) == ["ArrowLeft", "Space"]
    assert backend.release_all() == ()


def test_own_presses_are_own(backend: GuardBackend, kind: str, commands: Pipe) -> None:
    """What the backend pressed comes back marked, so that it never counts as a touch."""
    if kind not in HEARS_ITSELF:
        pytest.skip("this backend presses nothing that could come back")
    backend.start(KILL)
    backend.apply(Command(frozenset({"ArrowLeft"})))
    backend.release_all()
    events: list[InputEvent] = []

    def both() -> bool:
        events.extend(backend.wait(commands.read, 0.05).events)
        return len(events) >= 2

    until(both, "press and release")
    assert [(e.control, e.value, e.own) for e in events] == [("ArrowLeft", 1.0, True), ("ArrowLeft", 0.0, True)]


def test_after_the_end_nothing_raises_but_pressing(backend: GuardBackend, kind: str) -> None:
    """Closed: letting go is harmless, and pressing is an OSError, which ends the guard."""
    backend.start(KILL)
    backend.close()
    assert backend.release_all() == ()
    assert backend.release_leftovers() == ()
    if kind != "fake":
        with pytest.raises(OSError, match=r".+"):
            backend.apply(Command(frozenset({"Space"})))

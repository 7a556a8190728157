"""The guard's pipes, its log backend and its first message."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from guard_desk import HOTKEYS, Desk

from tray_agent.core.events import Command, WindowInfo
from tray_agent.core.guard_port import BackendReport, Heard
from tray_agent.errors import PlatformUnavailable
from tray_agent.guard import loop, protocol
from tray_agent.guard.channel import PipeChannel
from tray_agent.guard.fake_backend import FakeBackend
from tray_agent.guard.log_backend import LogBackend
from tray_agent.guard.protocol import Dropped, Hello, Hotkey, ProtocolError
from tray_agent.guard_process import make_backend


class Pipes:
    """Both ends of a guard's pipes."""

    def __init__(self) -> None:
        self.guard_in, self.daemon_out = os.pipe()
        self.daemon_in, self.guard_out = os.pipe()
        self.wake_in, self.wake_out = os.pipe()
        os.set_blocking(self.wake_in, False)
        os.set_blocking(self.daemon_in, False)
        self.channel = PipeChannel(self.guard_in, self.guard_out, self.wake_in)
        self.channel.start()

    def hang_up(self) -> None:
        os.close(self.daemon_out)
        self.daemon_out = -1

    def close(self) -> None:
        self.channel.close()
        for fd in (self.guard_in, self.daemon_out, self.daemon_in, self.guard_out, self.wake_in, self.wake_out):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    """A started channel and the daemon's ends of it."""
    made = Pipes()
    yield made
    made.close()


def test_lines_come_whole(pipes: Pipes):
    """A line that arrives in pieces is one line."""
    assert pipes.channel.read() == []
    os.write(pipes.daemon_out, b'{"op":"qu')
    assert pipes.channel.read() == []
    os.write(pipes.daemon_out, b'it"}\nmore\n')
    assert pipes.channel.read() == [b'{"op":"quit"}', b"more"]


def test_lines_come_in_batches(pipes: Pipes):
    """A flood is taken in portions, so that the player is heard in between; the end comes after the last."""
    os.write(pipes.daemon_out, b"x\n" * 100)
    pipes.hang_up()
    assert len(pipes.channel.read()) == 64
    assert pipes.channel.pending
    assert len(pipes.channel.read()) == 36
    assert not pipes.channel.closed
    assert pipes.channel.read() == []
    assert pipes.channel.closed


def test_endless_line_is_no_daemon(pipes: Pipes):
    """Someone who sends a line without end is treated as gone."""
    for _ in range(3):
        os.write(pipes.daemon_out, b"x" * 60_000)
        pipes.channel.read()
    assert pipes.channel.closed


def test_broken_input_is_an_end(pipes: Pipes):
    """An input that can't be read counts as closed."""
    channel = PipeChannel(pipes.daemon_out, pipes.guard_out)
    assert channel.fileno() == pipes.daemon_out
    assert channel.read() == []
    assert channel.closed


def test_signal_wakes_the_wait(pipes: Pipes):
    """The wake descriptor makes the channel readable, once, and brings no lines."""
    import select

    os.write(pipes.wake_out, b"\x0f")
    assert select.select([pipes.channel.fileno()], [], [], 1.0)[0]
    assert pipes.channel.read() == []
    assert not select.select([pipes.channel.fileno()], [], [], 0.0)[0]


def test_reports_never_wait_for_a_reader(pipes: Pipes):
    """With nobody reading, reports are kept up to a bound, then counted; a reader gets them in order."""
    for i in range(5000):
        pipes.channel.send(Hotkey("watch", i))
    text = _drain(pipes)
    pipes.channel.send(Hotkey("watch", 5000))
    events = [protocol.decode_event(line) for line in (text + _drain(pipes)).splitlines()]
    times = [event.t_ns for event in events if isinstance(event, Hotkey)]
    lost = [event.count for event in events if isinstance(event, Dropped)]
    assert times == sorted(times)
    assert times[-1] == 5000
    assert len(times) + sum(lost) == 5001


def _drain(pipes: Pipes) -> bytes:
    text = b""
    while True:
        pipes.channel.flush()
        try:
            text += os.read(pipes.daemon_in, 1 << 16)
        except BlockingIOError:
            return text


def test_reports_to_nobody_are_forgotten(pipes: Pipes):
    """A reader that is gone is no error here; the input's end tells it too."""
    os.close(pipes.daemon_in)
    pipes.daemon_in = -1
    pipes.channel.send(Hotkey("watch", 1))
    pipes.channel.flush()


def test_loop_does_not_sleep_on_pending_lines():
    """While lines wait in memory the backend is not asked to sleep."""
    desk = Desk()
    type(desk.channel).pending  # noqa: B018 - the attribute replaced below exists

    class Pending(type(desk.channel)):
        pending = True

    desk.channel.__class__ = Pending
    before = desk.clock.now_ns()
    desk.channel.lines.append(protocol.encode_op(protocol.Ping(1)))
    desk.backend.script.append(Heard())
    desk.loop.step()
    assert desk.of(protocol.Pong)
    desk.loop.step()
    assert desk.clock.now_ns() == before


def test_sleep_can_not_be_measured_everywhere(monkeypatch: pytest.MonkeyPatch):
    """Where the system has no such clock, the machine counts as awake."""
    monkeypatch.delattr(loop.time, "CLOCK_BOOTTIME")
    assert loop.asleep_ns() == 0


def test_hello_survives_the_command_line():
    """The first message arrives as it was given."""
    hello = Hello("fake", HOTKEYS, {"socket_path": "x"}, 150, 42)
    assert Hello.from_json(hello.to_json()) == hello


@pytest.mark.parametrize(
    "change",
    [
        {"backend": "mine"},
        {"hotkeys": []},
        {"hotkeys": {}},
        {"hotkeys": {"kill": []}},
        {"hotkeys": {"kill": ["KeyK"], "play": ["KeyK"]}},
        {"hotkeys": {"kill": ["KeyK"], "play": []}},
        {"hotkeys": {"kill": ["KeyKK"]}},
        {"options": 3},
        {"lease_ms": 1},
        {"lease_ms": "200"},
    ],
)
def test_wrong_hello_is_refused(change: dict[str, object]):
    """A guard that could not be stopped, or is not understood, does not start."""
    good = json.loads(Hello("fake", HOTKEYS).to_json())
    with pytest.raises(ProtocolError):
        Hello.from_json(json.dumps(good | change))


@pytest.mark.parametrize("line", [b"{}", b'{"event":"armed"}', b'{"event":"ready","report":{"x":1}}', b"1"])
def test_wrong_event_is_refused(line: bytes):
    """The daemon does not guess what a guard may have meant."""
    with pytest.raises(ProtocolError):
        protocol.decode_event(line)


def test_log_backend_writes_and_presses_nothing(tmp_path: Path):
    """Each command becomes a line, letting go one more; the file is the user's alone; the ears never press."""
    ears = FakeBackend()
    ears.window = WindowInfo(1, "game", "", (0, 0, 1, 1))
    backend = LogBackend(str(tmp_path / "logs" / "out.jsonl"), ears)
    report = backend.start(dict(HOTKEYS))
    assert (report.hears_player, report.presses) == (True, False)
    backend.apply(Command(frozenset({"KeyW", "KeyA"}), {"MouseX": 2.0}, {"PadLX": -1.0}))
    assert backend.active() == ears.window
    assert backend.wait(0, 0.0) == Heard()
    assert backend.release_all() == ("KeyA", "KeyW", "PadLX")
    assert backend.release_all() == ()
    assert backend.release_leftovers() == ()
    backend.close()
    backend.close()
    lines = [json.loads(line) for line in (tmp_path / "logs" / "out.jsonl").read_text().splitlines()]
    assert [(line["held"], line["relative"], line["axes"]) for line in lines] == [
        (["KeyA", "KeyW"], {"MouseX": 2.0}, {"PadLX": -1.0}),
        ([], {}, {}),
    ]
    assert lines[0]["t_ns"] <= lines[1]["t_ns"]
    assert (tmp_path / "logs" / "out.jsonl").stat().st_mode & 0o777 == 0o600
    assert ears.down == frozenset()


def test_log_backend_without_ears(pipes: Pipes, tmp_path: Path):
    """Without a desktop it says that it is deaf, and still sees the daemon's commands."""
    backend = LogBackend(str(tmp_path / "out.jsonl"))
    report = backend.start({})
    assert not report.hears_player
    assert report.why_deaf
    assert backend.active() is None
    assert not backend.wait(pipes.guard_in, 0.0).commands_ready
    os.write(pipes.daemon_out, b"x")
    assert backend.wait(pipes.guard_in, 1.0).commands_ready
    backend.close()
    with pytest.raises(OSError, match="closed"):
        backend.apply(Command())


def test_log_backend_needs_a_folder_it_can_write(tmp_path: Path):
    """A path that can't be written is told before play."""
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatformUnavailable, match="Choose another folder"):
        LogBackend(str(tmp_path / "file" / "out.jsonl")).start({})


def test_backends_are_chosen_by_name(tmp_path: Path):
    """Only known names, only options the backend has."""
    made = make_backend("log", {"path": str(tmp_path / "x"), "hearing": {"backend": "fake", "options": {}}})
    assert isinstance(made, LogBackend)
    with pytest.raises(PlatformUnavailable, match="no guard backend"):
        make_backend("mine", {})
    with pytest.raises(PlatformUnavailable, match="can't be used"):
        make_backend("fake", {"colour": "red"})


def test_fake_backend_in_memory():
    """The fake itself: down is what was asked, released is what was down."""
    backend = FakeBackend(report=BackendReport(False, "deaf"))
    assert not backend.start({}).hears_player
    backend.apply(Command(frozenset({"KeyW"}), {}, {"PadLX": 0.5, "PadLY": 0.0}))
    assert backend.release_all() == ("KeyW", "PadLX")
    assert backend.release_leftovers() == ()
    backend.close()

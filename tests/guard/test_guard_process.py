"""The real guard process behind the real client: every way a daemon or a guard can die."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from guard_desk import HOTKEYS
from x11_desktop import wait_until

from tray_agent.core.events import Command
from tray_agent.errors import GuardLost, PlatformUnavailable
from tray_agent.guard.client import GuardClient, release_in_new_process
from tray_agent.guard.protocol import Armed, Game, GuardEvent, Hello, Lost, Refused, Revoked
from tray_agent.runtime.local_socket import Connection, Listener

GAME = Game(("KeyW", "KeyA"), ("MouseX",), ("PadLX",))
HELD = Command(frozenset({"KeyW"}))


class Platform:
    """Plays the operating system: remembers what is down even when the guard that pressed it is killed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "platform"
        self.down: set[str] = set()
        self.released_at = 0.0
        self.unanswered = 0
        self.hotkeys: dict[str, list[str]] = {}
        self._listener = Listener(self.path)
        self._open = True
        self._guards: list[Connection] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while self._open:
            guard = self._listener.accept(0.02)
            if guard is not None:
                self._guards.append(guard)
            for known in list(self._guards):
                self._listen(known)

    def _listen(self, guard: Connection) -> None:
        try:
            while (message := guard.receive(0.001)) is not None:
                self._take(guard, message)
        except ConnectionError:
            self._guards.remove(guard)
            guard.close()

    def _take(self, guard: Connection, message: dict[str, Any]) -> None:
        if message.get("hotkeys"):
            self.hotkeys = message["hotkeys"]
        if "command" in message:
            self.down = set(message["command"]["held"])
        if "released" in message:
            self.down -= set(message["released"])
            self.released_at = message["t_ns"] / 1e9
        if "leftovers" in message and self.unanswered:
            self.unanswered -= 1
        elif "leftovers" in message:
            guard.send({"leftovers": sorted(self.down)})
            self.down.clear()

    def player(self, *names: str) -> None:
        """The player presses keys."""
        self._guards[-1].send({"events": [{"control": name, "value": 1.0, "device": "real"} for name in names]})

    def close(self) -> None:
        self._open = False
        self._thread.join(5.0)
        for guard in self._guards:
            guard.close()
        self._listener.close()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """An operating system for fake backends."""
    made = Platform(tmp_path)
    yield made
    made.close()


@pytest.fixture
def hello(platform: Platform) -> Hello:
    """How to start a guard on it."""
    return Hello("fake", HOTKEYS, {"socket_path": str(platform.path)})


@pytest.fixture
def client(hello: Hello) -> Iterator[GuardClient]:
    """A client with a running guard."""
    made = GuardClient(hello)
    made.start()
    yield made
    made.request_stop()
    made.join(5.0)


def _await(client: GuardClient, kind: type, timeout_s: float = 5.0) -> Any:
    deadline = time.monotonic() + timeout_s
    seen: list[GuardEvent] = []
    while time.monotonic() < deadline:
        seen += client.poll(0.05)
        for event in seen:
            if isinstance(event, kind):
                return event
    pytest.fail(f"no {kind.__name__} within {timeout_s} s, but {seen}")


def _arm(client: GuardClient) -> int:
    client.set_game(GAME)
    client.ask_permit()
    return int(_await(client, Armed).epoch)


def _hold(client: GuardClient, platform: Platform) -> int:
    epoch = _arm(client)
    assert client.act(epoch, 0, HELD)
    wait_until(lambda: platform.down == {"KeyW"}, what="the key to be down")
    return epoch


def test_start_act_takeover_stop(client: GuardClient, platform: Platform):
    """The whole life with a real process: ready, armed, pressing, takeover, orderly end."""
    assert platform.hotkeys["kill"] == list(HOTKEYS["kill"])
    _hold(client, platform)
    wait_until(lambda: client.pong is not None and client.pong.held == ("KeyW",), what="a pong")
    platform.player("KeyX")
    revoked = _await(client, Revoked)
    assert (revoked.kind, revoked.released) == ("takeover", ("KeyW",))
    assert revoked.latency_us < 200_000
    client.request_stop()
    client.request_stop()
    assert client.join(5.0)
    assert not client.alive
    assert not client.act(1, 1, HELD)


def test_process_is_light(tmp_path: Path):
    """Nothing heavy is ever loaded by the process that must answer at once."""
    code = (
        "import sys, tray_agent.guard_process as p; p.make_backend('fake', {});"
        "print([m for m in ('numpy', 'pydantic', 'torch', 'yaml', 'PIL', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_release_and_end(client: GuardClient, platform: Platform, number: signal.Signals):
    """Asked to end by a signal, the guard lets go first, and the client hears of it."""
    _hold(client, platform)
    os.kill(client.pid, number)
    assert _await(client, Revoked).kind == "signal"
    assert _await(client, Lost)
    assert platform.down == set()


def test_guard_killed(client: GuardClient, platform: Platform):
    """A killed guard's keys are let go by the client, and the daemon is told."""
    _hold(client, platform)
    os.kill(client.pid, signal.SIGKILL)
    lost = _await(client, Lost)
    assert lost.released == ("KeyW",)
    assert platform.down == set()
    assert not client.alive
    assert not client.act(1, 1, HELD)


def test_guard_frozen(client: GuardClient, platform: Platform):
    """A guard that does not answer is killed and its keys are let go."""
    _hold(client, platform)
    os.kill(client.pid, signal.SIGSTOP)
    lost = _await(client, Lost)
    assert "did not answer" in lost.reason
    assert platform.down == set()


def test_frozen_guard_does_not_block_sending(client: GuardClient, platform: Platform):
    """Acts for a guard that does not read are refused, never waited for."""
    epoch = _arm(client)
    os.kill(client.pid, signal.SIGSTOP)
    start = time.monotonic()
    sent = [client.act(epoch, i, HELD) for i in range(3000)]
    assert time.monotonic() - start < 1.0
    assert not sent[-1]
    _await(client, Lost)


def test_late_guard_is_killed_at_the_end(client: GuardClient, platform: Platform):
    """A guard that does not end when asked is killed, and its keys are let go."""
    _hold(client, platform)
    os.kill(client.pid, signal.SIGSTOP)
    client.request_stop()
    assert not client.join(0.1)
    assert not client.alive
    assert platform.down == set()


def test_platform_gone(client: GuardClient, platform: Platform):
    """When the desktop goes away the guard ends and says why."""
    _hold(client, platform)
    platform._guards[-1].send({"lost": "display closed"})
    assert _await(client, Revoked).kind == "lost"
    assert "display closed" in _await(client, Lost).reason


def test_guard_that_can_not_start(hello: Hello):
    """A backend that can't work is told with its remedy, quickly."""
    client = GuardClient(replace(hello, options={"socket_path": "/nowhere/at/all"}))
    with pytest.raises(PlatformUnavailable, match="no fake platform"):
        client.start()
    assert not client.alive


def test_guard_with_a_wrong_hello(hello: Hello):
    """A guard that ends at once is reported as lost."""
    with pytest.raises(GuardLost):
        GuardClient(replace(hello, hotkeys={})).start()


def test_guard_that_is_not_ready_in_time(hello: Hello, platform: Platform):
    """A platform that does not answer does not keep the daemon waiting."""
    platform.unanswered = 1
    client = GuardClient(hello)
    with pytest.raises(GuardLost, match="not ready within"):
        client.start(0.3)
    assert not client.alive


def test_guard_that_reports_nonsense(client: GuardClient):
    """A guard that can't be understood is ended."""
    client._take(b"nonsense")
    assert "nonsense" in _await(client, Lost).reason


def test_stuck_sender(client: GuardClient):
    """When sending has been stuck for long, the watchdog does not wait with it."""
    with client._lock:
        wait_until(lambda: not client.alive, what="the guard to be ended")
    assert "does not read" in _await(client, Lost).reason


def test_release_that_can_not_work(hello: Hello):
    """What could not be let go is said, and nothing hangs."""
    gone = replace(hello, options={"socket_path": "/nowhere/at/all"})
    assert "could not be let go" in release_in_new_process(gone)[1]
    assert "timed out" in release_in_new_process(gone, timeout_s=0.001)[1]


def test_unstarted_client(hello: Hello):
    """Before start nothing is sent and stopping is harmless."""
    client = GuardClient(hello)
    assert client.pid == 0
    assert not client.alive
    assert not client.act(1, 1, HELD)
    client.request_stop()
    assert client.join(0.1)


def test_other_operations(client: GuardClient):
    """Clearing the game and stopping are obeyed."""
    _arm(client)
    client.revoke("stopped by the test")
    assert _await(client, Revoked).reason == "stopped by the test"
    client.clear_game()
    client.ask_permit()
    assert "no game" in _await(client, Refused).reason


# -- the daemon dies

DAEMON = """
import json, sys, time
from tray_agent.core.events import Command
from tray_agent.guard.client import GuardClient, release_in_new_process
from tray_agent.guard.protocol import Armed, Game, Hello
client = GuardClient(Hello.from_json(sys.argv[1]))
client.start()
client.set_game(Game(("KeyW",)))
client.ask_permit()
epoch = 0
while not epoch:
    epoch = max([e.epoch for e in client.poll(1.0) if isinstance(e, Armed)], default=0)
print(client.pid, flush=True)
seq = 0
while True:
    client.act(epoch, seq, Command(frozenset({"KeyW"})))
    seq += 1
    for event in client.poll(0.02):
        print(type(event).__name__, flush=True)
"""


@pytest.fixture
def daemon(hello: Hello, platform: Platform) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a key through its guard, like the daemon while it plays."""
    process = subprocess.Popen([sys.executable, "-c", DAEMON, hello.to_json()], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.guard_pid = int(process.stdout.readline())  # type: ignore[attr-defined]
    wait_until(lambda: platform.down == {"KeyW"}, what="the key to be down")
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def _gone(pid: int) -> Callable[[], bool]:
    def check() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    return check


def test_daemon_killed(daemon: subprocess.Popen[str], platform: Platform):
    """SIGKILL of the daemon mid-hold: all up within 250 ms, and the guard ends."""
    killed = time.monotonic()
    daemon.kill()
    wait_until(lambda: platform.down == set(), what="release")
    assert platform.released_at - killed < 0.25
    wait_until(_gone(daemon.guard_pid), what="the guard to end")  # type: ignore[attr-defined]


def test_daemon_frozen(daemon: subprocess.Popen[str], platform: Platform):
    """SIGSTOP of the daemon mid-hold: all up within 250 ms; going on later presses nothing, and the guard lives."""
    stopped = time.monotonic()
    daemon.send_signal(signal.SIGSTOP)
    wait_until(lambda: platform.down == set(), what="release")
    assert platform.released_at - stopped < 0.25
    wait_until(lambda: time.monotonic() - stopped > 0.6, what="longer than a guard may be silent")
    daemon.send_signal(signal.SIGCONT)
    assert daemon.stdout is not None
    while daemon.stdout.readline() != "Dropped\n":  # the guard says that it got acts and obeyed none
        assert platform.down == set()
    assert platform.down == set()
    assert daemon.poll() is None
    assert not _gone(daemon.guard_pid)()  # type: ignore[attr-defined] # it was the daemon that slept, not the guard


def test_release_all_with_the_daemon_dead(hello: Hello, platform: Platform):
    """`--release-all` clears what a killed guard left, and prints it."""
    platform.down = {"KeyA"}
    command = [sys.executable, "-m", "tray_agent.guard_process", "--release-all", hello.to_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"released": ["KeyA"]}
    assert platform.down == set()


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["{}"], ["--release-all"]])
def test_usage(arguments: list[str]):
    """A wrong command line ends with code 2 and one line of explanation."""
    done = subprocess.run([sys.executable, "-m", "tray_agent.guard_process", *arguments], capture_output=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_leftovers_of_a_killed_guard_are_cleared_at_the_next_start(hello: Hello, platform: Platform):
    """A new guard first lets go of what an old one left down."""
    platform.down = {"KeyA"}
    client = GuardClient(hello)
    assert client.start().leftovers == ("KeyA",)
    client.request_stop()
    assert client.join(5.0)

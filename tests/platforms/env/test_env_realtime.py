"""A packaged game in real time in its own process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tray_agent.core.events import Command, InputEvent
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.platforms.env.clients import EnvAudio, EnvControl, EnvInputs, EnvScreen, EnvWindowProbe
from tray_agent.platforms.env.guard_backend import EnvGuardBackend
from tray_agent.platforms.env.launch import EnvProcess
from tray_agent.platforms.env.messages import hello

DEADLINE_S = 15.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll until it holds."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.005)


def events_until(inputs: EnvInputs, count: int) -> list[InputEvent]:
    """At least `count` events."""
    events: list[InputEvent] = []
    until(lambda: bool(events.extend(inputs.read(0.05)) or len(events) >= count), f"{count} events")
    return events


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "g.sock"


@pytest.fixture
def still_game(socket_path: Path) -> Iterator[EnvProcess]:
    """Breakout at double speed with nobody playing."""
    game = EnvProcess("breakout", socket_path, speed=2, player="none")
    game.start()
    yield game
    game.close()


def test_pictures_come_at_the_games_rate(still_game: EnvProcess) -> None:
    """At double speed a 60 Hz game shows about 120 pictures a second, sound at 16 kHz beside it."""
    screen, audio = EnvScreen(still_game.socket_path, 40, 30), EnvAudio(still_game.socket_path)
    screen.start()
    audio.start()
    try:
        first, started = screen.grab().t_ns, time.monotonic()
        stamps = {first}
        while time.monotonic() - started < 1.5:
            frame = screen.grab()
            assert frame.pixels.shape == (30, 40, 3)
            stamps.add(frame.t_ns)
            time.sleep(0.001)
        seconds = (max(stamps) - first) / 1e9
        samples = sum(chunk.samples.size for chunk in audio.read())
    finally:
        screen.close()
        audio.close()
    # a loaded machine loses pictures, but the game never runs ahead of its clock
    assert 40 < len(stamps) / seconds <= 126
    assert 8_000 < samples / seconds < 17_000


def test_press_client_moves_the_game_and_its_presses_are_own(still_game: EnvProcess) -> None:
    """What the guard holds arrives as own events at every listener; letting go is seen as well."""
    inputs, backend = EnvInputs(still_game.socket_path), EnvGuardBackend(still_game.socket_path)
    inputs.start()
    try:
        assert backend.start({}).hears_player
        backend.apply(Command(frozenset({"ArrowLeft"})))
        backend.apply(Command(frozenset({"ArrowRight"})))
        assert backend.release_all() == ("ArrowRight",)
        events = events_until(inputs, 4)
    finally:
        backend.close()
        inputs.close()
    assert [(e.control, e.value) for e in events] == [
        ("ArrowLeft", 1.0),
        ("ArrowLeft", 0.0),
        ("ArrowRight", 1.0),
        ("ArrowRight", 0.0),
    ]
    assert all(e.own and e.device == "agent" for e in events)


def test_killed_guard_holds_nothing(still_game: EnvProcess) -> None:
    """A press client that is killed mid-hold: all its keys go up at once."""
    inputs = EnvInputs(still_game.socket_path)
    inputs.start()
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tray_agent.core.events import Command\n"
        "from tray_agent.platforms.env.guard_backend import EnvGuardBackend\n"
        "b = EnvGuardBackend(Path(sys.argv[1])); b.start({}); b.apply(Command(frozenset({'ArrowLeft', 'Space'})))\n"
        "assert 'numpy' not in sys.modules\n"
        "print('holding', flush=True); time.sleep(60)"
    )
    guard = subprocess.Popen([sys.executable, "-c", code, str(still_game.socket_path)], stdout=subprocess.PIPE)
    try:
        assert guard.stdout is not None
        assert guard.stdout.readline() == b"holding\n"
        down = events_until(inputs, 2)
        guard.kill()
        up = events_until(inputs, 2)
    finally:
        guard.kill()
        guard.communicate()
        inputs.close()
    assert {(e.control, e.value) for e in down} == {("ArrowLeft", 1.0), ("Space", 1.0)}
    assert {(e.control, e.value) for e in up} == {("ArrowLeft", 0.0), ("Space", 0.0)}


def test_physical_press_reaches_listeners_and_guard_unmarked(still_game: EnvProcess) -> None:
    """A hotkey of the physical player, keys of no game among them, is heard and is nobody's own."""
    inputs, control = EnvInputs(still_game.socket_path), EnvControl(still_game.socket_path)
    backend = EnvGuardBackend(still_game.socket_path)
    inputs.start()
    control.start()
    backend.start({})
    heard: list[InputEvent] = []
    reading, writing = os.pipe()
    try:
        control.tap("ControlLeft", "AltLeft", "KeyP")
        events = events_until(inputs, 6)
        until(lambda: bool(heard.extend(backend.wait(reading, 0.05).events) or len(heard) >= 6), "guard hears")
    finally:
        os.close(reading)
        os.close(writing)
        for one in (backend, control, inputs):
            one.close()
    assert [e.control for e in events] == ["ControlLeft", "AltLeft", "KeyP", "KeyP", "AltLeft", "ControlLeft"]
    assert [e.value for e in events] == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert not any(e.own for e in events)
    assert heard == events


def test_second_guard_is_refused(still_game: EnvProcess) -> None:
    """Only one guard presses; the second is told why, the first stays."""
    first, second = EnvGuardBackend(still_game.socket_path), EnvGuardBackend(still_game.socket_path)
    first.start({})
    try:
        with pytest.raises(PlatformUnavailable, match="another guard"):
            second.start({})
        first.apply(Command(frozenset({"Space"})))
    finally:
        first.close()
        second.close()


def test_guard_wakes_for_commands_and_learns_of_a_lost_game(still_game: EnvProcess) -> None:
    """`wait` ends early when the command descriptor is readable, and tells when the game is gone."""
    backend = EnvGuardBackend(still_game.socket_path)
    backend.start({})
    reading, writing = os.pipe()
    try:
        os.write(writing, b"x")
        started = time.monotonic()
        assert backend.wait(reading, 10.0).commands_ready
        assert time.monotonic() - started < 5
        os.read(reading, 1)
        still_game.close()
        until(lambda: backend.wait(reading, 0.05).lost != "", "loss is noticed")
        assert backend.active() is None
        with pytest.raises(OSError, match="gone"):
            backend.apply(Command(frozenset({"Space"})))
        assert backend.release_all() == ()
    finally:
        os.close(reading)
        os.close(writing)
        backend.close()


def test_focus_can_go_and_come(still_game: EnvProcess) -> None:
    """The probe and the guard see that another window is in front, and that the game is back."""
    probe, control = EnvWindowProbe(still_game.socket_path), EnvControl(still_game.socket_path)
    probe.start()
    control.start()
    try:
        window = probe.active()
        assert window is not None
        assert (window.process, window.title, window.pid) == ("tray-agent-env", "breakout", still_game.pid)
        control.focus(False)
        until(lambda: probe.active() is None, "focus lost")
        control.focus(True)
        until(lambda: probe.active() == window, "focus back")
    finally:
        control.close()
        probe.close()


def test_scripted_player_plays_and_can_be_switched_off(socket_path: Path) -> None:
    """Its presses are the player's, its scores are told; switched off it lets go and stays quiet."""
    game = EnvProcess("doom-basic", socket_path, speed=4)
    game.start()
    inputs, control = EnvInputs(socket_path), EnvControl(socket_path)
    try:
        inputs.start()
        control.start()
        episodes = []
        until(lambda: bool(episodes.extend(control.episodes(0.1)) or len(episodes) >= 3), "three episodes")
        assert min(e.score for e in episodes if e.whole) > 0
        events = events_until(inputs, 4)
        assert {e.device for e in events} == {"player"}
        control.player(False)
        control.press("KeyZ", True)  # a mark in the stream: what comes before it came before the switch
        until(lambda: bool(events.extend(inputs.read(0.05)) or events[-1].control == "KeyZ"), "the mark")
        held = {e.control: e.value for e in events}
        assert {name for name, value in held.items() if value} == {"KeyZ"}
        assert inputs.read(0.3) == []
    finally:
        control.close()
        inputs.close()
        game.close()


def test_paused_picture_stands_still(still_game: EnvProcess) -> None:
    """Pictures keep arriving while paused, all the same; a reset begins a new episode, told as not whole."""
    screen, control = EnvScreen(still_game.socket_path, 40, 30), EnvControl(still_game.socket_path)
    screen.start()
    control.start()
    try:
        control.pause(True)
        control.reset(7)
        ended = []
        until(lambda: bool(ended.extend(control.episodes(0.05)) or ended), "episode told")
        assert not ended[0].whole
        before = screen.grab()
        until(lambda: screen.grab().t_ns > before.t_ns, "a new picture")
        frames = [screen.grab(), screen.grab()]
        assert frames[0].pixels.tobytes() == frames[1].pixels.tobytes()
    finally:
        control.close()
        screen.close()


def test_listener_that_reads_late_gets_everything(still_game: EnvProcess) -> None:
    """A thousand presses while a listener is busy elsewhere: all of them wait for it, in order."""
    inputs, control = EnvInputs(still_game.socket_path), EnvControl(still_game.socket_path)
    inputs.start()
    control.start()
    try:
        for _ in range(500):
            control.tap("KeyA")
        control.reset()
        until(lambda: bool(control.episodes(0.05)), "the game has taken all of them")
        events = events_until(inputs, 1000)
    finally:
        control.close()
        inputs.close()
    assert [e.value for e in events] == [1.0, 0.0] * 500


def test_malformed_clients_are_dropped_and_the_game_goes_on(still_game: EnvProcess) -> None:
    """Nonsense of any kind costs the client its connection and nobody else anything."""
    for nonsense in ({"op": "hold"}, {"op": "player_press", "control": "NoKey", "down": True}, {"x": 1}):
        client = hello(still_game.socket_path, "listen", ("input",))
        client.send(nonsense)
        with pytest.raises(ConnectionError):
            client.receive(DEADLINE_S)
        client.close()
    screen = EnvScreen(still_game.socket_path, 40, 30)
    screen.start()
    now = screen.grab().t_ns
    until(lambda: screen.grab().t_ns > now, "game goes on")
    screen.close()


def test_ended_game_is_told_at_every_port(still_game: EnvProcess) -> None:
    """Killed outright, the game's screen and inputs raise CaptureLost and its window is gone."""
    screen, inputs = EnvScreen(still_game.socket_path, 40, 30), EnvInputs(still_game.socket_path)
    probe = EnvWindowProbe(still_game.socket_path)
    for port in (screen, inputs, probe):
        port.start()
    screen.grab()
    os.kill(still_game.pid, signal.SIGKILL)
    until(lambda: not still_game.running, "killed")
    with pytest.raises(CaptureLost):
        inputs.read(1.0)
    assert probe.active() is None

    def lost() -> bool:
        try:
            screen.grab()
        except CaptureLost:
            return True
        return False

    until(lost, "screen lost")
    for port in (screen, inputs, probe):
        port.close()


def test_game_ends_with_its_parent(tmp_path: Path) -> None:
    """kill -9 of the process that started a game leaves no orphan."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tray_agent.platforms.env.launch import EnvProcess\n"
        "g = EnvProcess('skiing', Path(sys.argv[1])); g.start(); print(g.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "s")], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
    finally:
        parent.kill()
        parent.communicate()
    until(lambda: not _runs(child), "child ended")
    until(lambda: list(tmp_path.iterdir()) == [], "its files are gone")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("name", ["doom-basic", "skiing"])
def test_signal_to_the_whole_group_ends_it_quietly(name: str, socket_path: Path) -> None:
    """Ctrl+C in a terminal reaches the game and its engine at once: exit code 0 and no complaint."""
    command = [sys.executable, "-m", "tray_agent.platforms.env", name, "--socket", str(socket_path)]
    game = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        assert game.stdout is not None
        assert b"ready" in game.stdout.readline()
        os.killpg(game.pid, signal.SIGINT)
        _, complaints = game.communicate(timeout=DEADLINE_S)
    finally:
        game.kill()
        game.communicate()
    assert (game.returncode, complaints) == (0, b"")
    assert list(socket_path.parent.iterdir()) == []


def test_wrong_arguments_end_with_one_line(socket_path: Path) -> None:
    """An unknown game, player or key is one clear line and exit code 1; through the launcher an exception."""
    for options in (["nosuch"], ["pong", "--player", "robot"], ["pong", "--player", "constant:KeyQ"]):
        command = [sys.executable, "-m", "tray_agent.platforms.env", *options, "--socket", str(socket_path)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 1
        assert len(ended.stderr.strip().splitlines()) == 1
        assert ended.stdout == ""
    with pytest.raises(PlatformUnavailable, match="no packaged game is called 'nosuch'"):
        EnvProcess("nosuch", socket_path).start()


def test_nobody_there_is_told_with_the_remedy(socket_path: Path) -> None:
    """Ports of a game that is not running say so and how to start it."""
    for port in (EnvScreen(socket_path, 8, 8), EnvInputs(socket_path), EnvWindowProbe(socket_path)):
        with pytest.raises(PlatformUnavailable, match="Start the game first"):
            port.start()
    with pytest.raises(PlatformUnavailable, match="audio: off"):
        EnvAudio(socket_path).start()
    with pytest.raises(PlatformUnavailable, match="Start the game first"):
        EnvGuardBackend(socket_path).start({})


def test_ready_line_tells_what_the_game_is(still_game: EnvProcess) -> None:
    """The launcher knows rate, size, sound and controls when clients can connect."""
    assert json.loads(json.dumps(still_game.ready)) == still_game.ready
    assert still_game.ready["rate_hz"] == 30.0
    assert still_game.ready["buttons"] == ["ArrowLeft", "ArrowRight", "Space"]

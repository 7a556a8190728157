"""Faults of the product's own processes, with a packaged game: killed, stopped, started twice, interrupted."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fault_scene import (
    PLAY,
    RELEASE_MS,
    DaemonProcess,
    Daemons,
    Doom,
    assert_readable,
    begin_to_play,
    begin_to_watch,
    give_policy,
    shipped_profile,
    until,
)

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.policy.bundle import current_folder, load_bundle

GUARD_LOST_MS = 5000.0  # noticed after 0.4 s at the latest, then a process has to start
TOGETHER = {"Space", "ArrowRight"}


def presses(doom: Doom) -> int:
    """How often the agent pressed anything."""
    doom.held_by_agent()
    return sum(event.own and bool(event.value) for event in doom.events)


def test_daemon_killed_mid_press(playing: DaemonProcess, doom: Doom, daemons: Daemons) -> None:
    """kill -9: keys up, session and bundle whole; the next daemon starts over socket and lock."""
    begin_to_watch_while_it_plays(playing, doom)
    killed_ns = time.monotonic_ns()
    playing.signal(signal.SIGKILL)
    until(lambda: not doom.held_by_agent(), "all keys up")
    assert (doom.released_ns() - killed_ns) / 1e6 <= RELEASE_MS
    playing.wait()
    assert playing.socket.exists(), "kill -9 leaves the socket; otherwise this test shows nothing"
    assert len(playing.session()) > 0
    assert daemons.run("status").returncode == ExitCode.NO_DAEMON

    again = daemons.start(doom.options)
    status = again.ready(lambda s: s["guard"].get("ready") and s["bundle"] and s["game_in_front"])
    assert (status["mode"], status["problems"]) == ("idle", [])
    assert not doom.held_by_agent(), "a new daemon presses nothing by itself"
    begin_to_play(again, doom)


def begin_to_watch_while_it_plays(daemon: DaemonProcess, doom: Doom) -> None:
    assert daemon.ask("watch", on=True)["ok"]
    daemon.wait_for(lambda s: s["watch"]["ticks"] > 20, "ticks watched")


def test_daemon_stopped_mid_press(playing: DaemonProcess, doom: Doom) -> None:
    """SIGSTOP: keys up; when it goes on later, nothing is pressed before a person asks again."""
    stopped_ns = time.monotonic_ns()
    playing.signal(signal.SIGSTOP)
    until(lambda: not doom.held_by_agent(), "all keys up")
    assert (doom.released_ns() - stopped_ns) / 1e6 <= RELEASE_MS
    before = presses(doom)
    playing.signal(signal.SIGCONT)
    status = playing.wait_for(lambda s: s["last_stop"], "the daemon to notice")
    assert status["last_stop"]["kind"] == "lease"
    assert "silent" in status["detail"]
    assert set(status["last_stop"]["released"]) == TOGETHER
    ticks = status["ticks"]["frames"]
    playing.wait_for(lambda s: s["ticks"]["frames"] > ticks + 10, "ticks to go on")
    assert presses(doom) == before
    begin_to_play(playing, doom)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_guard_lost_mid_press(playing: DaemonProcess, doom: Doom, number: signal.Signals) -> None:
    """Guard killed or frozen: keys up, reported, another guard comes; it plays again only when a person asks."""
    guard = playing.status()["guard"]["pid"]
    since_ns = time.monotonic_ns()
    os.kill(guard, number)
    until(lambda: not doom.held_by_agent(), "all keys up")
    assert (doom.released_ns() - since_ns) / 1e6 <= GUARD_LOST_MS
    status = playing.wait_for(
        lambda s: s["guard"].get("ready") and s["guard"]["pid"] not in (0, guard), "another guard"
    )
    assert status["mode"] != "playing"
    assert status["last_stop"]["kind"] == "lost"
    assert "guard" in status["last_stop"]["reason"]
    assert status["problems"] == []
    assert not psutil.pid_exists(guard), "the lost guard must not come back"
    before = presses(doom)
    ticks = status["ticks"]["frames"]
    playing.wait_for(lambda s: s["ticks"]["frames"] > ticks + 10, "ticks to go on")
    assert presses(doom) == before
    begin_to_play(playing, doom)


def test_second_instance(playing: DaemonProcess, doom: Doom, daemons: Daemons) -> None:
    """A second `run` ends with one message and its code; the first plays on."""
    second = daemons.run("run", "--no-tray", *doom.options)
    assert second.returncode == ExitCode.REFUSED
    assert "running already" in second.stderr
    assert "tray-agent quit" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
    assert playing.status()["mode"] == "playing"
    assert doom.held_by_agent() == TOGETHER


@pytest.mark.skipif(not hasattr(os, "setuid") or os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_on_the_socket(playing: DaemonProcess) -> None:
    """Another user can't even reach the socket; with the rights opened by mistake, the daemon turns them away."""
    assert stop_as_another_user(playing) == "PermissionError"
    playing.socket.parent.chmod(0o711)
    playing.socket.chmod(0o666)
    assert stop_as_another_user(playing) == "closed"
    assert playing.status()["mode"] == "playing"


_STRANGER = """
import os, socket, sys
os.chdir(sys.argv[1])
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect("control")
    s.sendall(b'{"op": "stop"}' + bytes([10]))
    print(s.recv(1000).decode() or "closed")
except ConnectionError:
    print("closed")
except OSError as error:
    print(type(error).__name__)
"""


def stop_as_another_user(daemon: DaemonProcess) -> str:
    """What a process of the user nobody meets when it asks the daemon to stop: an error's name, or "closed"."""
    command = [sys.executable, "-c", _STRANGER, str(daemon.socket.parent)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_stranger_on_the_socket_harms_nobody(playing: DaemonProcess) -> None:
    """Rubbish, a half line, and a client that never reads: the daemon answers others and plays on."""
    clients = []
    for sent in (
        b"\xff\x00 rubbish\n",
        b'{"op": "sta',
        b"[1, 2]\n",
        b'{"op": "make coffee"}\n',
        b'{"op": "status"}\n' * 500,
    ):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(playing.socket))
        client.sendall(sent)
        clients.append(client)
    assert "make coffee" in clients[3].recv(1000).decode()
    assert playing.status()["mode"] == "playing"
    for client in clients:
        client.close()
    assert playing.status()["mode"] == "playing"


def test_trainer_killed(daemons: Daemons, doom: Doom) -> None:
    """Trainer killed while watching: reported, started again; nothing watched is lost; it learns, over a bad bundle."""
    folder = give_policy(daemons.home, shipped_profile(), ("Space",))
    (folder.parent / "current.json").write_text("{")
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["problems"] and s["game_in_front"])
    begin_to_watch(daemon, doom)
    trainer = until(daemon.trainer, "a trainer")
    trainer.kill()
    status = daemon.wait_for(lambda s: s["learn"]["crashes"] == 1, "the crash to be noticed")
    assert any("trainer" in problem for problem in status["problems"])
    assert status["mode"] == "watching"
    before = status["watch"]["ticks"]
    assert until(daemon.trainer, "another trainer").pid != trainer.pid
    status = daemon.wait_for(lambda s: s["bundle"], "a policy to be learned", 60.0)
    assert status["problems"] == []
    assert status["watch"]["ticks"] > before
    assert status["learn"]["ticks"] >= before, "the new trainer has what the old one had"
    assert daemon.ask("watch", on=False)["ok"]
    until(lambda: daemon.session().info.closed, "the session to be closed")
    assert_readable(daemon.session(), status["watch"]["ticks"])
    assert load_bundle(Path(status["bundle"]["folder"]), shipped_profile().spec()).onnx


def test_interrupted_from_the_terminal(playing: DaemonProcess, doom: Doom) -> None:
    """Ctrl+C while it plays and watches: keys up, the session closed, every process ended, exit code as documented."""
    begin_to_watch_while_it_plays(playing, doom)
    children = psutil.Process(playing.pid).children(recursive=True)
    playing.signal(signal.SIGINT)
    until(lambda: not doom.held_by_agent(), "all keys up")
    assert playing.wait(30.0) in (ExitCode.OK, ExitCode.INTERRUPTED)
    assert playing.session().info.closed is not None
    assert not playing.socket.exists()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    models = playing.home / "data" / "models"
    folder = current_folder(models, shipped_profile().name)
    assert folder is not None
    assert load_bundle(folder).manifest.game == shipped_profile().name


def test_play_needs_a_policy(daemons: Daemons, doom: Doom) -> None:
    """The play hotkey before anything was learned presses nothing and says why."""
    daemon = daemons.start(doom.options)
    daemon.ready()
    doom.control.tap(*PLAY)
    status = daemon.wait_for(lambda s: s["detail"], "the refusal")
    assert "nothing has been learned" in status["detail"]
    assert presses(doom) == 0

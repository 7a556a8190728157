"""Faults of the game itself, a packaged one: it ends, loses the focus, freezes - while playing and while watching."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from fault_scene import (
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

PLAYED = {"Space", "ArrowRight"}


def test_focus_lost_while_playing(playing: DaemonProcess, doom: Doom) -> None:
    """Another window in front: keys up at once; the focus alone does not bring play back, a person does."""
    doom.control.focus(False)
    until(lambda: not doom.held_by_agent(), "all keys up")
    status = playing.wait_for(lambda s: s["last_stop"] and not s["game_in_front"], "play to end")
    assert status["last_stop"]["kind"] == "window"
    assert set(status["last_stop"]["released"]) == PLAYED
    assert "front" in status["detail"]
    refused = playing.ask("play")
    assert refused["code"] == "refused"
    assert "not in front" in refused["error"]
    doom.control.focus(True)
    frames = playing.wait_for(lambda s: s["game_in_front"], "the game in front")["ticks"]["frames"]
    playing.wait_for(lambda s: s["ticks"]["frames"] > frames + 10, "ticks to go on")
    assert doom.held_by_agent() == set()
    begin_to_play(playing, doom)


def test_play_from_a_terminal(daemons: Daemons, doom: Doom) -> None:
    """`tray-agent play` waits while the terminal is in front, plays once the game is, and gives up when told to."""
    give_policy(daemons.home, shipped_profile(), ("Space", "ArrowRight"))
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["bundle"] and s["guard"]["ready"])
    doom.control.focus(False)
    daemon.wait_for(lambda s: not s["game_in_front"], "the terminal in front")
    done = daemons.run("play", "--wait", "0")
    assert done.returncode == ExitCode.REFUSED
    assert "not in front" in done.stderr
    typed = subprocess.Popen(
        [sys.executable, "-m", "tray_agent", "play", "--wait", "30"],
        env=daemons.environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert typed.stderr is not None
    with typed.stderr as said:
        assert "bring the game to the front" in said.readline()
        doom.control.focus(True)
        assert typed.wait(20.0) == ExitCode.OK
    until(lambda: doom.held_by_agent() == PLAYED, "the agent's keys")


def test_focus_lost_while_watching(daemons: Daemons, doom: Doom) -> None:
    """Nothing is kept while another window is in front, keys typed there least of all; then watching goes on."""
    daemon = daemons.start(doom.options)
    daemon.ready()
    begin_to_watch(daemon, doom)
    doom.control.focus(False)
    status = daemon.wait_for(lambda s: s["watch"]["paused"], "the pause")
    assert "not in front" in status["watch"]["paused"]
    assert "paused" in status["detail"]
    doom.control.tap("ArrowRight")  # typed into the other window
    doom.control.focus(True)
    ticks = daemon.wait_for(lambda s: s["game_in_front"], "the game in front")["watch"]["ticks"]
    assert ticks == status["watch"]["ticks"]
    doom.control.tap("ArrowLeft")
    daemon.wait_for(lambda s: s["watch"]["ticks"] > ticks + 10, "watching to go on")
    assert daemon.ask("watch", on=False)["ok"]
    until(lambda: daemon.session().info.closed, "the session to be closed")
    assert_readable(daemon.session(), ticks + 10)
    assert daemon.session().info.quality == "high", "the setting's default"
    assert all(event.control != "ArrowRight" for event in daemon.session().events)


def test_frozen_picture(playing: DaemonProcess, doom: Doom) -> None:
    """A picture that stands still ends play after four seconds, and pauses watching after five."""
    assert playing.ask("watch", on=True)["ok"]
    playing.wait_for(lambda s: s["watch"]["ticks"] > 20, "ticks watched")
    doom.control.pause(True)
    until(lambda: not doom.held_by_agent(), "all keys up")
    status = playing.wait_for(lambda s: s["last_stop"], "play to end")
    assert "the picture has not changed" in status["last_stop"]["reason"]
    status = playing.wait_for(lambda s: s["watch"]["paused"], "the pause")
    assert "stands still" in status["watch"]["paused"]
    assert status["mode"] == "watching"
    doom.control.pause(False)
    doom.control.tap("ArrowLeft")
    status = playing.wait_for(lambda s: not s["watch"]["paused"], "watching to go on")
    playing.wait_for(lambda s: s["watch"]["ticks"] > status["watch"]["ticks"] + 10, "watching to go on")
    assert doom.held_by_agent() == set()


def test_game_ends(daemons: Daemons, new_doom: Doom, tmp_path: Path) -> None:
    """The game's end ends play, pauses watching, is told; the session is whole. Started again, all goes on."""
    give_policy(daemons.home, shipped_profile(), tuple(PLAYED))
    daemon = daemons.start(new_doom.options)
    daemon.ready(lambda s: s["bundle"] and s["guard"]["ready"] and s["game_in_front"])
    begin_to_watch(daemon, new_doom)
    begin_to_play(daemon, new_doom)
    new_doom.control.quit()
    status = daemon.wait_for(lambda s: s["last_stop"] and not s["game_in_front"], "play to end")
    assert status["last_stop"]["kind"] in {"window", "lost"}
    status = daemon.wait_for(lambda s: s["watch"]["paused"] and s["problems"], "the pause, and to be told")
    assert any("start" in problem for problem in status["problems"]), status["problems"]
    assert daemon.ask("play")["code"] == "refused"
    assert_readable(daemon.session(), 25)
    new_doom.close()

    again = Doom(tmp_path)
    again.start()
    try:
        ticks = daemon.ready()["watch"]["ticks"]
        again.control.tap("ArrowLeft")
        status = daemon.wait_for(lambda s: s["watch"]["ticks"] > ticks + 10 and not s["problems"], "all to go on")
        assert again.held_by_agent() == set()
        begin_to_play(daemon, again)
    finally:
        again.close()


def test_game_killed_while_playing(daemons: Daemons, new_doom: Doom) -> None:
    """A game that crashes: play ends, the daemon stays, and quits in order."""
    give_policy(daemons.home, shipped_profile(), tuple(PLAYED))
    daemon = daemons.start(new_doom.options)
    daemon.ready(lambda s: s["bundle"] and s["guard"]["ready"] and s["game_in_front"])
    begin_to_play(daemon, new_doom)
    orphans = psutil.Process(new_doom.process.pid).children(recursive=True)
    os.kill(new_doom.process.pid, signal.SIGKILL)
    status = daemon.wait_for(lambda s: s["last_stop"] and not s["game_in_front"], "play to end")
    assert status["mode"] != "playing"
    assert daemon.ask("quit")["ok"]
    assert daemon.wait() == 0
    for orphan in orphans:  # the engine does not notice that its game was killed
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.kill()

"""Faults on a real X11 desktop: processes killed mid-press; windows close, move, freeze; hotkeys taken; no display."""

import os
import signal
import time

import psutil
import pytest
from fault_scene import RELEASE_MS, Daemons, give_policy, until
from x11_scene import HELD, KILL, PLAY, WATCH, X11Scene, is_ready, play, start_on, x11_profile

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.core.keys import EVDEV
from tray_agent.platforms.x11 import connection

pytestmark = pytest.mark.x11


def all_up_after_ms(x11: X11Scene, since_ns: int) -> float:
    """Poll until no key is down on the server; how long that took."""
    until(lambda: x11.keys_down() == set(), "all keys up")
    return (time.monotonic_ns() - since_ns) / 1e6


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_daemon_lost_mid_press_x11(x11: X11Scene, daemons: Daemons, number: signal.Signals) -> None:
    """The real server soon has all keys up; a stopped daemon that goes on presses nothing."""
    x11.game()
    daemon = start_on(x11, daemons)
    daemon.ready(is_ready)
    play(x11, daemon)
    since_ns = time.monotonic_ns()
    daemon.signal(number)
    assert all_up_after_ms(x11, since_ns) <= RELEASE_MS
    if number == signal.SIGSTOP:
        daemon.signal(signal.SIGCONT)
        frames = daemon.wait_for(lambda s: s["last_stop"], "the daemon to notice")["ticks"]["frames"]
        daemon.wait_for(lambda s: s["ticks"]["frames"] > frames + 10, "ticks to go on")
        assert x11.keys_down() == set()
        play(x11, daemon)


def test_guard_killed_mid_press_x11(x11: X11Scene, daemons: Daemons) -> None:
    """kill -9 of the guard leaves XTest keys down: the daemon lets them go, starts another guard, says so."""
    x11.game()
    daemon = start_on(x11, daemons)
    guard = daemon.ready(is_ready)["guard"]["pid"]
    play(x11, daemon)
    since_ns = time.monotonic_ns()
    os.kill(guard, signal.SIGKILL)
    assert all_up_after_ms(x11, since_ns) <= 1500
    status = daemon.wait_for(lambda s: s["guard"]["ready"] and s["guard"]["pid"] not in (0, guard), "another guard")
    assert status["last_stop"]["kind"] == "lost"
    play(x11, daemon)
    x11.player.tap(*KILL)
    status = daemon.wait_for(lambda s: s["mode"] == "stopped", "the kill hotkey to be heard by the new guard")
    assert "kill hotkey" in status["detail"]
    assert x11.keys_down() == set()


def test_window_closes_while_playing_and_watching(x11: X11Scene, daemons: Daemons) -> None:
    """The game's window goes: keys up, the session whole, and a new window of the game is found."""
    game = x11.game()
    daemon = start_on(x11, daemons)
    daemon.ready(is_ready)
    x11.player.tap(*WATCH)
    daemon.mode("watching")
    play(x11, daemon)
    daemon.wait_for(lambda s: s["watch"]["ticks"] > 20, "ticks watched")
    game.kill()
    until(lambda: x11.keys_down() == set(), "all keys up")
    status = daemon.wait_for(lambda s: s["last_stop"] and s["watch"]["paused"], "play to end")
    assert status["last_stop"]["kind"] == "window"
    assert "not in front" in status["watch"]["paused"]
    assert len(daemon.session()) > 10
    x11.game()
    daemon.wait_for(lambda s: is_ready(s) and not s["watch"]["paused"], "the new window to be watched")
    play(x11, daemon)


def test_window_resized_while_playing_and_watching(x11: X11Scene, daemons: Daemons) -> None:
    """A window that changes its size ends play; watching goes on with the new size, and so can play."""
    x11.game()
    daemon = start_on(x11, daemons)
    daemon.ready(is_ready)
    x11.player.tap(*WATCH)
    daemon.mode("watching")
    play(x11, daemon)
    x11.window.configure(width=400, height=300)
    x11.eyes.sync()
    until(lambda: x11.keys_down() == set(), "all keys up")
    status = daemon.wait_for(lambda s: s["last_stop"], "play to end")
    assert "resized" in status["last_stop"]["reason"]
    ticks = status["watch"]["ticks"]
    x11.player.tap("ArrowLeft")
    status = daemon.wait_for(lambda s: s["watch"]["ticks"] > ticks + 20, "watching to go on")
    assert (status["mode"], status["problems"]) == ("watching", [])
    play(x11, daemon)


def test_other_window_while_playing(x11: X11Scene, daemons: Daemons) -> None:
    """A window that comes to the front takes the keys from the agent at once: nothing is typed into it."""
    x11.game()
    daemon = start_on(x11, daemons)
    daemon.ready(is_ready)
    play(x11, daemon)
    x11.servers.run(["xmessage", "-center", "hello"], x11.name)
    until(lambda: x11.keys_down() == set(), "all keys up")
    status = daemon.wait_for(lambda s: s["last_stop"] and not s["game_in_front"], "play to end")
    assert status["last_stop"]["kind"] == "window"


def test_hotkey_plays_nothing_that_can_not_play(x11: X11Scene, daemons: Daemons) -> None:
    """A policy that says of itself that it can't play is refused with that sentence, by the hotkey as well."""
    x11.game()
    daemon = start_on(x11, daemons)
    profile = x11_profile(daemons.home)
    give_policy(daemons.home, profile, HELD, cannot="nothing was ever pressed", run="young")
    daemon.ready(lambda s: s["bundle"].get("readiness") and s["guard"]["ready"])
    x11.player.tap(*PLAY)
    status = daemon.wait_for(lambda s: "refused" in s["detail"], "the refusal")
    assert "can't play: nothing was ever pressed" in status["detail"]
    assert (status["mode"], x11.keys_down()) == ("idle", set())
    give_policy(daemons.home, profile, HELD, run="older")
    daemon.wait_for(lambda s: not s["bundle"].get("readiness"), "the better policy")
    play(x11, daemon)


def test_frozen_game_x11(x11: X11Scene, daemons: Daemons) -> None:
    """A game that hangs: play ends within seconds, keys up."""
    game = x11.game()
    daemon = start_on(x11, daemons)
    daemon.ready(is_ready)
    play(x11, daemon)
    game.send_signal(signal.SIGSTOP)
    until(lambda: x11.keys_down() == set(), "all keys up")
    status = daemon.wait_for(lambda s: s["last_stop"], "play to end")
    assert "picture has not changed" in status["last_stop"]["reason"]


@pytest.mark.parametrize(("name", "key"), [("kill", "KeyK"), ("watch", "KeyW")])
def test_hotkey_taken(x11: X11Scene, daemons: Daemons, name: str, key: str) -> None:
    """A hotkey another program has is reported; without the kill hotkey nothing may be played."""
    from Xlib import X

    thief = connection.open_display(x11.name)
    modifiers = X.ControlMask | X.Mod1Mask
    thief.screen().root.grab_key(EVDEV[key] + 8, modifiers, True, X.GrabModeAsync, X.GrabModeAsync)
    thief.sync()
    try:
        x11.game()
        daemon = start_on(x11, daemons)
        status = daemon.ready(is_ready)
        assert [p for p in status["problems"] if f"hotkey {name}" in p and "taken" in p], status["problems"]
        if name == "kill":
            x11.player.tap(*PLAY)
            status = daemon.wait_for(lambda s: "refused" in s["detail"], "the refusal")
            assert "kill hotkey" in status["detail"]
            assert x11.keys_down() == set()
        else:
            play(x11, daemon)
    finally:
        connection.close(thief)


def test_display_lost(own_x11: X11Scene, daemons: Daemons) -> None:
    """The X server dies while it plays and watches: the daemon closes the session, says so and ends, all of it."""
    own_x11.game()
    daemon = start_on(own_x11, daemons)
    daemon.ready(is_ready)
    own_x11.player.tap(*WATCH)
    daemon.mode("watching")
    play(own_x11, daemon)
    daemon.wait_for(lambda s: s["watch"]["ticks"] > 20, "ticks watched")
    children = psutil.Process(daemon.pid).children(recursive=True)
    own_x11.servers.processes[own_x11.name].kill()
    assert daemon.wait(30.0) == ExitCode.UNAVAILABLE
    assert "display has gone" in daemon.said.splitlines()[-1]
    assert daemon.session().info.closed is not None
    assert len(daemon.session()) > 10
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert not daemon.socket.exists()

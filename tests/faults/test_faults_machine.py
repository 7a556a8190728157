"""Faults of the machine: no display, no D-Bus, no tray host, no sound, a full disk, folders that can't be used."""

import json
import os
from pathlib import Path

import pytest
from fault_scene import GAME, Daemons, Doom, assert_readable, begin_to_watch, give_policy, shipped_profile, until
from pulse_server import PulseServer
from session_data import record, rewrite
from x11_scene import WATCH, X11Scene, is_ready, play, start_on

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.core.sample import TickFlag
from tray_agent.policy.bundle import load_bundle
from tray_agent.sessions.keep import keep


@pytest.mark.parametrize("display", ["", ":987"])
@pytest.mark.parametrize("words", [["run", "--no-tray"], ["release-all"], ["games", "which"]])
def test_no_display(daemons: Daemons, display: str, words: list[str]) -> None:
    """Without a display, or with one that is not there: one line that names it, the documented code, no traceback."""
    done = daemons.run(*words, DISPLAY=display, WAYLAND_DISPLAY="")
    assert done.returncode == ExitCode.UNAVAILABLE, done.stderr
    assert (display or "DISPLAY") in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2, "one message (and its remedy)"


@pytest.mark.x11
def test_no_bus_no_tray_host(x11: X11Scene, daemons: Daemons) -> None:
    """Without D-Bus and without a tray host the daemon says once that there is no icon, and does all its work."""
    x11.game()
    daemon = start_on(x11, daemons, tray=True, DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent", PULSE_SERVER="")
    daemon.ready(is_ready)
    until(lambda: "no program shows tray icons" in daemon.said, "to be told")
    play(x11, daemon)
    assert daemon.said.count("no program shows tray icons") == 1
    assert daemon.ask("quit")["ok"]
    assert daemon.wait(30.0) == ExitCode.OK


@pytest.mark.x11
def test_no_sound(x11: X11Scene, daemons: Daemons) -> None:
    """A game with sound on a machine without: told as a problem, watched and played all the same."""
    x11.game()
    daemon = start_on(x11, daemons, audio=True, PULSE_SERVER="unix:/nonexistent")
    daemon.ready(is_ready)
    status = daemon.wait_for(lambda s: s["problems"], "to be told")
    assert status["problems"][0].startswith("sound: ")
    x11.player.tap(*WATCH)
    daemon.wait_for(lambda s: s["watch"]["ticks"] > 10, "ticks watched")
    play(x11, daemon)
    session = daemon.session()
    assert session.spec.audio
    assert all(flags & TickFlag.AUDIO_GAP for flags in session.ticks.flags)


@pytest.mark.x11
def test_audio_server_killed(x11: X11Scene, daemons: Daemons, pulse_server: PulseServer) -> None:
    """The audio server dies: told, the gap is marked, watching goes on; when it is back, so is the sound."""
    x11.game()
    daemon = start_on(x11, daemons, audio=True)
    status = daemon.wait_for(lambda s: is_ready(s) and s["ticks"]["frames"] > 5, "the daemon")
    assert status["problems"] == []
    x11.player.tap(*WATCH)
    daemon.wait_for(lambda s: s["watch"]["ticks"] > 10, "ticks watched")
    pulse_server.kill()
    status = daemon.wait_for(lambda s: s["problems"], "to be told")
    assert status["problems"][0].startswith("sound: ")
    ticks = status["watch"]["ticks"]
    x11.player.tap("ArrowLeft")
    status = daemon.wait_for(lambda s: s["watch"]["ticks"] > ticks + 20, "watching to go on")
    assert status["mode"] == "watching"
    pulse_server.start()
    daemon.wait_for(lambda s: not s["problems"], "the sound to be back")
    x11.player.tap("ArrowLeft")
    ticks = daemon.status()["watch"]["ticks"]
    daemon.wait_for(lambda s: s["watch"]["ticks"] > ticks + 40, "ticks with sound")
    assert daemon.ask("watch", on=False)["ok"]
    until(lambda: daemon.session().info.closed, "the session to be closed")
    gaps = [bool(flags & TickFlag.AUDIO_GAP) for flags in daemon.session().ticks.flags]
    assert any(gaps)
    assert not gaps[-1]
    assert daemon.session().sound().size > 0


def fill(folder: Path) -> Path:
    """Take every byte that is left; the file to delete."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as stream:
        size = 1 << 16
        while size:
            try:
                stream.write(bytes(size))
            except OSError:
                size //= 2
    return filler


def test_disk_full_while_watching(small_disk: Path, daemons: Daemons, doom: Doom) -> None:
    """Sessions on a full disk: watching ends with the reason, what was written is whole; freed, it can begin anew."""
    daemons.write_config("tray_agent.yaml", f"folders: {{data: {json.dumps(str(small_disk))}}}\n")
    folder = give_policy(daemons.home, shipped_profile(), ("Space", "ArrowRight"))
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["bundle"] and s["guard"]["ready"])
    begin_to_watch(daemon, doom)
    filler = fill(small_disk)
    status = daemon.wait_for(lambda s: s["mode"] == "fault", "to be told", 30.0)
    assert "can't be written" in status["detail"]
    assert "Free disk space" in status["detail"]
    assert status["problems"] == [status["detail"]]
    assert_readable(daemon.session_in(small_disk), 10)
    assert load_bundle(folder)
    answer = daemon.ask("watch", on=True)
    assert answer["code"] == "refused"
    assert "No space left" in answer["error"]

    filler.unlink()
    daemon.ask("watch", on=False)
    begin_to_watch(daemon, doom)
    assert daemon.status()["problems"] == []


def test_quota_of_sessions(daemons: Daemons, doom: Doom) -> None:
    """Sessions that take all they may: watching is refused with the folder and the setting; nothing is deleted."""
    daemons.write_config("tray_agent.yaml", "limits: {disk_gb: 0.001}\n")
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["guard"]["ready"])
    old = daemons.home / "data" / "sessions" / "another-game" / "old" / "video.mkv"
    old.parent.mkdir(parents=True)
    old.write_bytes(bytes(1_100_000))
    answer = daemon.ask("watch", on=True)
    assert answer["code"] == "refused"
    assert "limits.disk_gb is 0.001" in answer["error"]
    assert str(daemons.home / "data" / "sessions") in answer["error"]
    old.unlink()
    assert daemon.ask("watch", on=True)["ok"]


def test_oldest_sessions_make_room(daemons: Daemons, doom: Doom) -> None:
    """Old sessions go before watching begins, and the status says which; the newest of the game and kept ones stay."""
    daemons.write_config("tray_agent.yaml", "limits: {disk_gb: 0.002}\n")
    root = daemons.home / "data" / "sessions"
    for day in (1, 2, 3):
        folder = root / "another-game" / f"2026010{day}T000000Z-aaaaaa"
        record(folder, range(3), game="another-game")
        rewrite(folder, wall_ns=day)
        (folder / "filler").write_bytes(bytes(900_000))
    keep(root / "another-game" / "20260101T000000Z-aaaaaa")
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["guard"]["ready"])
    assert daemon.ask("watch", on=True)["ok"]
    status = daemon.wait_for(lambda s: s["disk"]["deleted"], "to be told")
    assert status["disk"]["deleted"] == ["20260102T000000Z-aaaaaa"]
    assert sorted(f.name[:8] for f in (root / "another-game").iterdir()) == ["20260101", "20260103"]
    daemons.write_config("tray_agent.yaml", "limits: {disk_gb: 0.001, when_full: refuse}\n")

    def is_refused() -> bool:
        daemon.ask("watch", on=False)
        return daemon.ask("watch", on=True).get("code") == "refused"

    until(is_refused, "the new settings to count")
    assert len(list((root / "another-game").iterdir())) == 2


def test_recording_without_learning(daemons: Daemons, doom: Doom) -> None:
    """`record` watches without a trainer, ends by itself after the minutes it was given, and says what it was."""
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["guard"]["ready"] and s["game_in_front"])
    assert "not in front" in daemon.ask("record", game="pong")["error"]
    assert "minutes" in daemon.ask("record", game=GAME, minutes=0)["error"]
    assert daemons.run("record", "no-such-game").returncode == ExitCode.BAD_CONFIG
    done = daemons.run("record", GAME, "--minutes", "0.06", "--json")
    assert json.loads(done.stdout) == {"ok": True}, done.stderr
    assert daemon.ask("watch", on=True)["code"] == "refused"
    assert daemon.status()["detail"].startswith(("recording", "paused"))
    daemon.wait_for(lambda s: s["detail"] == "recorded for as long as asked", "the end")
    assert daemon.status()["learn"]["state"] == "off"
    session = daemon.session_in(daemons.home / "data" / "sessions")
    until(lambda: session.refresh() and session.info.closed, "the session to be closed")
    assert session.info.extra == {"recorder": "record"}
    assert len(session) > 10


def test_disk_full_at_home(small_disk: Path, daemons: Daemons, doom: Doom) -> None:
    """Everything on a full disk, the log as well: the daemon starts, says what it can't do, and presses no less."""
    home = small_disk / "home"
    home.mkdir(mode=0o700)
    daemons.home.rmdir()
    daemons.home = home
    give_policy(home, shipped_profile(), ("Space", "ArrowRight"))
    daemons.run("games", "list")  # makes the folders
    filler = fill(small_disk)
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["bundle"] and s["guard"]["ready"])
    answer = daemon.ask("watch", on=True)
    assert answer["code"] == "refused"
    assert "No space left" in answer["error"]
    assert daemon.said.count("daemon.log can't be written: No space left") == 1
    assert daemon.ask("play")["ok"]
    until(lambda: doom.held_by_agent() == {"Space", "ArrowRight"}, "the agent's keys")
    filler.unlink()


@pytest.mark.parametrize("what", ["a file", "too long", "someone else's"])
def test_unusable_home(daemons: Daemons, tmp_path: Path, doom: Doom, what: str) -> None:
    """A home that can't be used: one line that names the folder and what to do."""
    home = tmp_path / "h"
    if what == "a file":
        home.write_text("")
    elif what == "too long":
        home = tmp_path / ("long" * 30)
    else:
        if os.geteuid() != 0:
            pytest.skip("giving a folder away needs root")
        (home / "run").mkdir(parents=True)
        os.chown(home, 65534, 65534)
    done = daemons.run("run", "--no-tray", *doom.options, TRAY_AGENT_HOME=str(home))
    assert done.returncode == ExitCode.BAD_CONFIG, done.stderr
    assert str(home) in done.stderr
    assert "TRAY_AGENT_HOME" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1

"""Faults in what a person writes: configuration files, names of games, a pipe that closes."""

import subprocess
import sys

import pytest
from fault_scene import GAME, Daemons, Doom, begin_to_watch

from tray_agent.clients.cli.exit_codes import ExitCode

OWN_GAME = """games:
  my-game:
    vector: 900
    match: {process: my-game}
    controls: {keys: [left, right]}
"""


@pytest.mark.parametrize(
    ("name", "text", "where", "what"),
    [
        ("games.yaml", OWN_GAME + "    rate_hz: [20\n", "games.yaml:7:1:", "expected"),
        ("games.yaml", OWN_GAME + "    ratehz: 20\n", "games.yaml:6:5:", "games.my-game.ratehz"),
        ("tray_agent.yaml", "lease_ms: 150\nhotkeys:\n  kil: ctrl+alt+k\n", "tray_agent.yaml:3:3:", "hotkeys.kil"),
        ("tray_agent.yaml", "lease_ms: soon\n", "tray_agent.yaml:1:11:", "lease_ms"),
    ],
)
def test_mistake_at_start(daemons: Daemons, name: str, text: str, where: str, what: str) -> None:
    """A daemon with a broken configuration does not start, and tells file, line, column, field; files stay."""
    path = daemons.write_config(name, text)
    done = daemons.run("run", "--no-tray")
    assert done.returncode == ExitCode.BAD_CONFIG
    assert where in done.stderr
    assert what in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_text() == text


def test_edit_while_running(daemons: Daemons, doom: Doom) -> None:
    """A saved mistake keeps the old settings and is shown; the mended file counts at once, without a restart."""
    daemons.write_config("games.yaml", OWN_GAME)
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: "my-game" in s["games"])
    daemons.write_config("games.yaml", OWN_GAME.replace("vector: 900", "vector: nine"))
    status = daemon.wait_for(lambda s: s["problems"], "the mistake to be shown")
    assert "games.yaml:3:" in status["problems"][0]
    assert "my-game" in status["games"]
    begin_to_watch(daemon, doom)  # works on with the old settings

    daemons.write_config("games.yaml", OWN_GAME.replace("my-game", "our-game"))
    status = daemon.wait_for(lambda s: "our-game" in s["games"], "the edit to be taken")
    assert "my-game" not in status["games"]
    assert status["problems"] == []
    assert status["mode"] == "watching", "an edit of another game does not end watching"


def test_edited_hotkeys_count_at_once(daemons: Daemons, doom: Doom) -> None:
    """New hotkeys are heard without a restart, the old ones no more."""
    daemon = daemons.start(doom.options)
    guard = daemon.ready()["guard"]["pid"]
    daemons.write_config("tray_agent.yaml", "hotkeys:\n  watch: ctrl+alt+o\n")
    daemon.wait_for(lambda s: s["guard"]["ready"] and s["guard"]["pid"] not in (0, guard), "a guard with them")
    doom.control.tap("ControlLeft", "AltLeft", "KeyO")
    daemon.mode("watching")
    doom.control.tap("ControlLeft", "AltLeft", "KeyW")  # heard, it would end watching, and the next one begin it
    doom.control.tap("ControlLeft", "AltLeft", "KeyO")
    daemon.wait_for(lambda s: s["mode"] != "watching", "watching to end")
    assert daemon.status()["detail"] == "watching ended"


def test_unknown_game(daemons: Daemons, doom: Doom) -> None:
    """`run --game` with a name nobody knows ends with the nearest name; asked for later it is refused."""
    done = daemons.run("run", "--no-tray", "--game", "doom-basik", *doom.options[2:])
    assert done.returncode == ExitCode.BAD_CONFIG
    assert "doom-basik" in done.stderr
    assert GAME in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    daemon = daemons.start(doom.options)
    daemon.ready()
    answer = daemon.ask("game", name="doom-basik")
    assert (answer["ok"], answer["code"]) == (False, "refused")
    assert "doom-basik" in answer["error"]
    assert daemon.status()["game"] == GAME


@pytest.mark.parametrize("words", [["games", "list"], ["games", "list", "--json"], ["--help"]])
def test_closed_pipe(daemons: Daemons, words: list[str]) -> None:
    """`tray-agent games list | head -1`: no traceback, whoever reads."""
    verb = subprocess.Popen(
        [sys.executable, "-m", "tray_agent", *words],
        env=daemons.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert verb.stdout is not None
    assert verb.stderr is not None
    verb.stdout.close()  # head that has its line already
    said = verb.stderr.read()
    verb.stderr.close()
    assert verb.wait(30) in (0, 1)
    assert said == ""


def test_verbs_without_a_daemon(daemons: Daemons) -> None:
    """Verbs that need the daemon say in one line that none runs and how to start it."""
    for verb in ("status", "quit"):
        done = daemons.run(verb)
        assert done.returncode == ExitCode.NO_DAEMON
        assert "tray-agent run" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_refused_verb(daemons: Daemons, doom: Doom) -> None:
    """`tray-agent play` with nothing learned: exit code, one line, and the daemon goes on."""
    daemon = daemons.start(doom.options)
    daemon.ready()
    done = daemons.run("play")
    assert done.returncode == ExitCode.REFUSED
    assert "nothing has been learned" in done.stderr
    assert daemons.run("status").returncode == ExitCode.OK
    assert doom.held_by_agent() == set()

"""`tray-agent play --output ...`: into a log, by keys, by a pad, or not at all."""

import json

from fault_scene import Daemons, Doom, give_policy, play_until, shipped_profile, until

PLAYED = ("Space", "ArrowRight")


def asked_to_play(daemons: Daemons, output: str) -> bool:
    """Ask for play by the command; whether it began."""
    return daemons.run("play", "--output", output, "--wait", "0").returncode == 0


def test_a_daemon_that_presses_refuses(daemons: Daemons, doom: Doom) -> None:
    """Its guard has the keys: it is told how to start one that has not. Nothing was pressed."""
    give_policy(daemons.home, shipped_profile(), PLAYED)
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["bundle"] and s["guard"]["ready"] and s["game_in_front"])
    done = daemons.run("play", "--output", "log", "--wait", "0")
    assert done.returncode == 5
    assert "run --output log" in done.stderr
    assert daemon.status()["play"]["decisions"] == 0
    assert not any(event.own for event in doom.events)


def test_a_daemon_that_logs_plays(daemons: Daemons, doom: Doom) -> None:
    """It decides, the log has what would be pressed with times, the game never hears of it."""
    give_policy(daemons.home, shipped_profile(), PLAYED)
    daemon = daemons.start(["--output", "log", *doom.options])
    daemon.ready(lambda s: s["bundle"] and s["guard"]["ready"] and s["game_in_front"])
    until(lambda: asked_to_play(daemons, "log"), "play to begin")
    play_until(daemon, lambda: asked_to_play(daemons, "log"), lambda s: s["play"]["decisions"] > 20)
    log = daemons.home / "state" / "would-press.jsonl"
    lines = until(lambda: log.read_text().splitlines(), "the log")
    first = json.loads(lines[0])
    assert set(first["held"]) == set(PLAYED)
    assert first["t_ns"] > 0
    assert not any(event.own for event in doom.events)
    assert doom.held_by_agent() == set()


def test_only_what_was_asked_for_is_pressed(daemons: Daemons, doom: Doom) -> None:
    """A game of keys is not played by a pad: refused with its keys. By keys it plays."""
    give_policy(daemons.home, shipped_profile(), PLAYED)
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["bundle"] and s["guard"]["ready"] and s["game_in_front"])
    done = daemons.run("play", "--output", "pad", "--wait", "0")
    assert done.returncode == 5
    assert "keyboard and mouse (ArrowLeft, ArrowRight, Space)" in done.stderr
    assert daemon.status()["play"]["decisions"] == 0
    until(lambda: asked_to_play(daemons, "keys"), "play to begin")
    play_until(
        daemon,
        lambda: asked_to_play(daemons, "keys"),
        lambda s: s["play"]["decisions"] > 5 and doom.held_by_agent() == set(PLAYED),
    )

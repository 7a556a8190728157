"""Faults of what was learned: bundles for other controls, damaged, missing; policies gone mad."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fault_scene import PLAY, Daemons, Doom, begin_to_play, give_policy, play_until, shipped_profile, until

from tray_agent.core.controls import Controls

PLAYED = ("Space", "ArrowRight")


def other_controls(home: Path) -> Path:
    spec = replace(shipped_profile().spec(), controls=Controls(("ArrowRight", "Space", "ArrowUp")))
    return give_policy(home, shipped_profile(), PLAYED, spec)


def truncated(home: Path) -> Path:
    folder = give_policy(home, shipped_profile(), PLAYED)
    whole = (folder / "policy.onnx").read_bytes()
    (folder / "policy.onnx").write_bytes(whole[: len(whole) // 2])
    return folder


def half_a_manifest(home: Path) -> Path:
    folder = give_policy(home, shipped_profile(), PLAYED)
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text[: len(text) // 2])
    return folder


def missing(home: Path) -> Path:
    folder = give_policy(home, shipped_profile(), PLAYED)
    folder.rename(folder.with_name("elsewhere"))
    return folder


def damaged_pointer(home: Path) -> Path:
    folder = give_policy(home, shipped_profile(), PLAYED)
    (folder.parent / "current.json").write_text('{"run": ')
    return folder.parent / "current.json"


def no_graph(home: Path) -> Path:
    folder = give_policy(home, shipped_profile(), PLAYED)
    data = b"this is no graph"
    (folder / "policy.onnx").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["onnx_sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (other_controls, "learned for other controls"),
        (truncated, "damaged"),
        (half_a_manifest, "damaged"),
        (missing, "missing"),
        (damaged_pointer, "damaged"),
        (no_graph, "no usable ONNX graph"),
    ],
)
def test_unusable_bundle(daemons: Daemons, doom: Doom, damage: Callable[[Path], Path], told: str) -> None:
    """It is named with what to do, play is refused, nothing is deleted; the daemon watches, and learns another."""
    path = damage(daemons.home)
    before = sorted(path.parent.rglob("*"))
    daemon = daemons.start(doom.options)
    status = daemon.wait_for(lambda s: s["problems"], "the problem to be shown")
    assert told in status["problems"][0]
    assert str(path.name) in status["problems"][0]
    assert "atch" in status["problems"][0], "the remedy is to watch again"
    assert status["bundle"] == {}
    answer = daemon.ask("play")
    assert answer["code"] == "refused"
    assert told in answer["error"]
    assert doom.held_by_agent() == set()
    assert sorted(path.parent.rglob("*")) == before


def test_policy_gone_mad(daemons: Daemons, doom: Doom) -> None:
    """A policy whose output is not finite presses nothing: play ends at once and says why."""
    give_policy(daemons.home, shipped_profile(), PLAYED, broken=True)
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["bundle"] and s["guard"]["ready"])
    assert until(lambda: daemon.ask("play")["ok"], "the permit")
    status = daemon.wait_for(lambda s: s["last_stop"], "play to end")
    assert "not finite" in status["last_stop"]["reason"]
    assert "not finite" in status["detail"]
    assert status["mode"] == "stopped"
    assert not any(event.own for event in doom.events)
    assert doom.held_by_agent() == set()


def test_bad_bundle_while_playing(daemons: Daemons, doom: Doom) -> None:
    """A bundle that is bad does not replace the one that plays."""
    give_policy(daemons.home, shipped_profile(), PLAYED)
    daemon = daemons.start(doom.options)
    daemon.ready(lambda s: s["bundle"] and s["guard"]["ready"])
    begin_to_play(daemon, doom)
    (daemons.home / "data" / "models" / "doom-basic" / "current.json").write_text('{"run": "nowhere"}')
    daemons.write_config("games.yaml", "games: {}\n")  # makes the daemon look at its files again
    daemon.wait_for(lambda s: any("nowhere" in problem for problem in s["problems"]), "the problem to be shown")
    decisions = daemon.status()["play"]["decisions"]
    play_until(
        daemon,
        lambda: doom.control.tap(*PLAY),
        lambda s: s["play"]["decisions"] > decisions + 20 and doom.held_by_agent() == set(PLAYED),
    )

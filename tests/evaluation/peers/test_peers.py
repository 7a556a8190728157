"""Every peer learns a toy play, in time, and plays it."""

import pickle
import time
from collections.abc import Callable
from importlib import import_module
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import toy_play

from tray_agent.core.controls import to_command
from tray_agent.errors import PlatformUnavailable
from tray_agent.evaluation.peers.peer import Peer
from tray_agent.evaluation.peers.registry import PEERS

pytest.importorskip("torch", reason="torch is not installed")
LATE_S = 2.0
CLIP_S = 8.0
"""Tracing its graph takes half of it."""
TIMED = ("training", "plain", "clip", "lstm", "neighbours", "shipped_encoder", "principal_components", "imitation_bc")
"""Modules that read the clock."""
NEIGHBOURS = ("knn", "knn-encoder")


def small_clip() -> Peer:
    from tray_agent.evaluation.peers.clip import ClipPeer

    return ClipPeer((64, 64))


def decided_imitation() -> Peer:
    """Its draws are wide for as long as it has learned little."""
    from tray_agent.evaluation.peers.imitation_bc import ImitationPeer

    return ImitationPeer(deterministic=True)


MAKERS: dict[str, Callable[[], Peer]] = PEERS | {"clip": small_clip, "decided": decided_imitation}
ALL = [pytest.param(name, marks=[pytest.mark.slow] * (name == "clip")) for name in PEERS]


def make(name: str) -> Peer:
    try:
        return MAKERS[name]()
    except PlatformUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by 10 ms whenever it is read, so that learning takes as many steps on any machine."""
    reads = count()
    clock = SimpleNamespace(monotonic=lambda: 0.01 * next(reads))
    for module in TIMED:
        try:
            monkeypatch.setattr(import_module(f"tray_agent.evaluation.peers.{module}"), "time", clock)
        except PlatformUnavailable:
            continue


def played(peer: Peer, right: bool, ticks: int = 4) -> np.ndarray:
    """Actions of an episode in which the square stays where it is."""
    peer.reset()
    frames = [toy_play.frame(peer.frame_size, right, i) for i in range(ticks)]
    for pixels in frames:
        pixels.flags.writeable = False  # as the capture's are
    return np.stack([peer.act(pixels, toy_play.silence()) for pixels in frames])


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("name", ALL)
def test_learns_and_can_be_sent_to_another_process(name):
    peer = make(name)
    data = toy_play.recording(peer.frame_size)
    report = peer.learn(data, 0.8, threads=1, seed=1)
    assert report.samples > 0
    assert report.samples_per_s > 0
    assert (report.updates == 0) == (name in NEIGHBOURS)
    for player in (peer, pickle.loads(pickle.dumps(peer))):  # noqa: S301 - our own bytes
        for right in (False, True):
            actions = played(player, right)
            assert actions.shape == (4, 2)
            assert actions.dtype == np.float32
            assert (actions == toy_play.action(toy_play.KEYS, right)).mean() > 0.8


@pytest.mark.parametrize("name", ALL)
def test_ends_in_time(name):
    peer = make(name)
    data = toy_play.recording(peer.frame_size)
    seconds = CLIP_S if name == "clip" else 0.5
    began = time.monotonic()
    report = peer.learn(data, seconds, threads=1, seed=1)
    passed = time.monotonic() - began
    assert passed < seconds + LATE_S
    assert report.seconds == pytest.approx(passed, abs=0.2)


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("controls", [toy_play.PAD, toy_play.MOUSE], ids=["axis", "mouse"])
@pytest.mark.parametrize("name", ["decided", *(name for name in ALL if "imitation" not in name.values)])
def test_controls_that_are_no_buttons(name, controls):
    peer = make(name)
    data = toy_play.recording(peer.frame_size, controls, audio=True)
    peer.learn(data, 0.4, threads=1, seed=1)
    left, right = played(peer, right=False), played(peer, right=True)
    for action in (*left, *right):
        to_command(controls, action)
    assert (np.abs([left[:, 1], right[:, 1]]) <= np.abs(data.actions[:, 1]).max()).all()
    assert left[:, 1].mean() < right[:, 1].mean()


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("name", ["plain", "lstm", "imitation", *NEIGHBOURS])
def test_the_same_seed_and_steps_give_the_same_policy(name):
    outcomes = []
    for _ in range(2):
        peer = make(name)
        data = toy_play.recording(peer.frame_size, toy_play.PAD)
        peer.learn(data, 0.1, threads=1, seed=7)
        outcomes.append(played(peer, right=True))
    assert (outcomes[0] == outcomes[1]).all()


@pytest.mark.parametrize("name", PEERS)
def test_what_it_refuses(name):
    peer = make(name)
    with pytest.raises(RuntimeError, match="not learned"):
        peer.act(toy_play.frame(peer.frame_size, right=False), toy_play.silence())
    with pytest.raises(ValueError, match="record it at"):
        peer.learn(toy_play.recording((40, 30)), 1.0, threads=1, seed=1)


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("name", ["imitation", "plain", "lstm", *NEIGHBOURS])
def test_a_short_recording_of_a_player_who_never_changes_what_it_holds(name):
    peer = make(name)
    data = toy_play.recording(peer.frame_size, stretches=2)
    data.actions[:] = (1, 1)
    peer.learn(data, 0.3, threads=1, seed=1)
    assert (played(peer, right=True, ticks=1) == 1).all()

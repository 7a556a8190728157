"""A peer's cell: the same play, recorded at the size the peer wants; the same time, the same cores."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tray_agent.capture.observer import Observation
from tray_agent.core.controls import FloatVector, to_command
from tray_agent.core.policy import PolicySpec
from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.cell import Cell
from tray_agent.evaluation.peers.peer import Peer
from tray_agent.evaluation.peers.recordings import recording_of
from tray_agent.evaluation.peers.registry import PEERS
from tray_agent.evaluation.playing import FIRST_SEED, spread
from tray_agent.evaluation.recording import Tell, record
from tray_agent.play.lockstep import LockstepGame
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.settings.games import GameProfile

_STALL_S = 600.0
"""Some of them take 30 ms for a decision."""


def take_peer(cell: Cell, profile: GameProfile, recordings: Path, scratch: Path, tell: Tell) -> dict[str, Any]:  # noqa: ARG001 - called as take_agent is
    """Learn from what was watched, play.

    Raises:
        TrayAgentError: there is no such peer, or a package it needs is missing.
    """
    if cell.policy not in PEERS:
        raise TrayAgentError(f"there is no policy {cell.policy!r}; there are: ours, {', '.join(PEERS)}")
    peer = PEERS[cell.policy]()
    width, height = peer.frame_size
    spec = replace(profile.spec(), frame_width=width, frame_height=height)
    recorded = record(cell, profile, spec, recordings, tell)
    data = recording_of([listed.folder for listed in list_sessions(recorded.learn).sessions])
    tell(f"learning for {cell.train_s:g} s", 0.0)
    report = peer.learn(data, cell.train_s, cell.threads, cell.seed)
    jobs = [(cell.game, spec, peer, FIRST_SEED + 1000 * cell.seed + i) for i in range(cell.episodes)]
    played = spread(_episode, jobs, cell.threads, tell, _STALL_S)
    return {
        "scores": [one["score"] for one in played],
        "watched_scores": recorded.scores,
        "play": recorded.play,
        "samples_per_s": round(report.samples_per_s, 1),
        "updates": report.updates,
        "seconds": round(report.seconds, 1),
    }


def _episode(name: str, spec: PolicySpec, peer: Peer, seed: int) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    game = LockstepGame(name, spec, seed=seed)
    game.start()

    def decide(seen: Observation) -> FloatVector:
        action = peer.act(seen.frame.pixels, seen.audio)
        game.desktop.sink.apply(to_command(spec.controls, action))
        return action

    peer.reset()
    score = 0.0
    try:
        while True:
            step = game.step(decide)
            score += step.reward
            if step.finished is not None:
                return {"score": score}
    finally:
        game.close()

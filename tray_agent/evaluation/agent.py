"""Our own policy's cells: watched, learned and played by the product's own parts."""

from pathlib import Path
from typing import Any

from tray_agent.evaluation.cell import Cell
from tray_agent.evaluation.learning import TimedLearning, status_of
from tray_agent.evaluation.offline import offline_measures
from tray_agent.evaluation.playing import play_bundle
from tray_agent.evaluation.recording import Tell, record
from tray_agent.policy.bundle import load_bundle
from tray_agent.settings.games import GameProfile
from tray_agent.training.job import BATCH

_CURVE_AT = (0.125, 0.25, 0.5)
"""Shares of the learning time at which an earlier bundle is played too."""
_CURVE_EPISODES = 6


def take_agent(cell: Cell, profile: GameProfile, recordings: Path, scratch: Path, tell: Tell) -> dict[str, Any]:
    """Watch, learn, play.

    Raises:
        TrayAgentError: see `record` and `TimedLearning.run`.
    """
    spec = profile.spec()
    recorded = record(cell, profile, spec, recordings, tell)
    learned = TimedLearning(cell, profile, spec, recorded.learn, scratch).run(cell.train_s, tell)
    final = learned.snapshots[-1]
    played = play_bundle(cell, profile, spec, final.folder, cell.episodes, tell)
    episodes = min(_CURVE_EPISODES, cell.episodes)
    curve = []
    for share in _CURVE_AT:
        early = next((s for s in learned.snapshots if s.seconds >= share * cell.train_s), None)
        if early is not None and early is not final:
            scores = play_bundle(cell, profile, spec, early.folder, episodes, tell)["scores"]
            curve.append({"seconds": early.seconds, "scores": scores})
    curve.append({"seconds": final.seconds, "scores": played["scores"]})
    status = status_of(learned)
    readiness = load_bundle(final.folder).manifest.readiness
    samples = status["updates"] * BATCH
    return {
        **played, "watched_scores": recorded.scores, "play": recorded.play,
        "curve": curve, "learned": status, "readiness": readiness,
        "samples_per_s": round(samples / max(1e-9, learned.seconds), 1),
        "offline": offline_measures(final.folder, spec, recorded.validate),
    }  # fmt: skip

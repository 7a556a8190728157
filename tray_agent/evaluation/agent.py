"""Our own policy's cells: watched, learned and played by the product's own parts."""

import shutil
from pathlib import Path
from typing import Any

from tray_agent.core.policy import PolicySpec
from tray_agent.evaluation.cell import SEED_STRIDE, Cell
from tray_agent.evaluation.corrections import CORRECTIONS, correct
from tray_agent.evaluation.learning import Learned, TimedLearning, status_of
from tray_agent.evaluation.offline import offline_measures
from tray_agent.evaluation.playing import play_bundle
from tray_agent.evaluation.recording import Recorded, Tell, record, watch
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
    more: dict[str, Any] = {}
    if cell.more:
        learned, more = _go_on(cell, profile, spec, recorded, learned.snapshots[-1].folder, scratch, tell)
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
    manifest = load_bundle(final.folder).manifest
    samples = (status["updates"] - learned.earlier_updates) * BATCH
    return {
        **played, "watched_scores": recorded.scores, "play": recorded.play,
        **more, "curve": curve, "learned": status, "readiness": manifest.readiness,
        "offset_ticks": manifest.data["offset_ticks"],
        "samples_per_s": round(samples / max(1e-9, learned.seconds), 1),
        "offline": offline_measures(final.folder, spec, recorded.validate),
    }  # fmt: skip


def _go_on(
    cell: Cell, profile: GameProfile, spec: PolicySpec, recorded: Recorded, bundle: Path, scratch: Path, tell: Tell
) -> tuple[Learned, dict[str, Any]]:
    """As many minutes again, corrected or watched, and as much learning again from all of it."""
    sessions = scratch / "sessions"
    shutil.copytree(recorded.learn, sessions)
    before = play_bundle(cell, profile, spec, bundle, cell.episodes, tell)["scores"]
    more: dict[str, Any] = {"before": before}
    if cell.more == CORRECTIONS:
        corrected = correct(cell, profile, spec, bundle, sessions, tell)
        more |= {"takeovers": corrected.takeovers, "player_share": corrected.player_share}
    else:
        watch(cell, profile, spec, sessions, SEED_STRIDE * (cell.seed + 1) + SEED_STRIDE // 4, cell.minutes, tell)
    return TimedLearning(cell, profile, spec, sessions, scratch).run(cell.train_s, tell), more

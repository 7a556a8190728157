"""What a run learned, as a bundle: exported, checked, compared with the one in use (torch, onnxruntime)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tray_agent.errors import BundleError
from tray_agent.policy.bundle import Bundle, Manifest, current_folder, load_bundle, write_bundle
from tray_agent.training.export import Exporter
from tray_agent.training.learner import Learner
from tray_agent.training.model import ARCHITECTURE, AXIS_BINS, RELATIVE_BINS
from tray_agent.training.offline.graphs import LEAST_AGREEMENT, hushed, in_whole_numbers, largest_difference, say
from tray_agent.training.offline.options import TrainingOptions
from tray_agent.training.offline.recordings import Recordings
from tray_agent.training.offline.run_folder import RunFolder
from tray_agent.training.offline.segments import SegmentReplay
from tray_agent.training.readiness import judge


@dataclass(frozen=True)
class Published:
    """What came of it.

    Attributes:
        folder: of the bundle.
        in_use: whether it plays from now on.
        why_not: "" if it does.
        manifest: what it says of itself.
        compared: {"mine", "in_use"}: skills of both on play that neither learned from; {} where that can't be told.
        int8: {"agreement", "difference", "kept", "bytes", "bytes_before"}; {} where it was not asked for.
    """

    folder: Path
    in_use: bool
    why_not: str
    manifest: Manifest
    compared: dict[str, float]
    int8: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        told = self.manifest
        return {
            "bundle": str(self.folder), "in_use": self.in_use, "why_not": self.why_not, "held_out": told.held_out,
            "readiness": told.readiness, "parity": told.parity, "compared": self.compared, "int8": self.int8,
        }  # fmt: skip


class Publisher:
    """One run's. `publish()` is called once, with the learner as it shall play.

    Args:
        options: of the run.
        recordings: of the run.
        learner, replay: of the run.
        about: notes for the manifest.
        models: root folder of the bundles that play.
        folder: of the run.
    """

    def __init__(
        self, options: TrainingOptions, recordings: Recordings, learner: Learner, replay: SegmentReplay, about: str,
        models: Path, folder: RunFolder,
    ) -> None:  # fmt: skip
        self._options, self._recordings = options, recordings
        self._learner, self._replay = learner, replay
        self._about, self._models, self._folder = about, models, folder

    def publish(self) -> Published:
        """Export, and make it the game's bundle unless that is not wanted or it is worse than the one in use.

        Raises:
            BundleError: the graph is not the network, or can't be written.
        """
        with hushed():
            graph, parity = Exporter(self._learner.spec).export(self._learner.average)
        int8: dict[str, Any] = {}
        if self._options.int8:
            graph, int8 = self._smaller(graph)
        compared, why_not = self._compare(graph)
        manifest = self._manifest(parity, int8)
        root = self._folder.bundles if why_not else self._models
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"[:-3] + f"-u{self._learner.updates}"
        folder = write_bundle(root, manifest, graph, name)
        return Published(folder, not why_not, why_not, manifest, compared, int8)

    def _compare(self, graph: bytes) -> tuple[dict[str, float], str]:
        """Skills of this graph and the one in use, and why this one shall not play."""
        if not self._options.use:
            return {}, "it was not wanted (--no-use)"
        current = self._current()
        if current is None or self._options.force:
            return {}, ""
        if current.manifest.spec.digest != self._learner.spec.digest:
            return {}, "the policy in use was learned for other controls, rate or picture (--force replaces it)"
        compared = self._skills(graph, current)
        if compared and compared["mine"] < compared["in_use"]:
            return compared, (
                f"on play that neither has learned from it does worse ({compared['mine']:.3f}) than the policy in use "
                f"({compared['in_use']:.3f}), which stays (--force replaces it)"
            )
        return compared, ""

    def _current(self) -> Bundle | None:
        """What plays; what can't be loaded can't be better."""
        try:
            folder = current_folder(self._models, self._recordings.game)
            return load_bundle(folder) if folder is not None else None
        except BundleError:
            return None

    def _skills(self, graph: bytes, current: Bundle) -> dict[str, float]:
        ticks = self._replay.judged()
        if not len(ticks):
            return {}
        pictures, (audio, actions) = self._replay.pictures(ticks), self._replay.heard_and_done(ticks)
        vector = self._recordings.vector
        mine = self._learner.objective.skill(say(graph, pictures, audio, vector), actions)
        theirs = self._learner.objective.skill(say(current.onnx, pictures, audio, current.manifest.vector), actions)
        return {"mine": mine, "in_use": theirs} if mine is not None and theirs is not None else {}

    def _smaller(self, graph: bytes) -> tuple[bytes, dict[str, Any]]:
        """The graph in whole numbers if it still does the same, and what was found."""
        ticks = self._replay.judged()
        if not len(ticks):
            return graph, {"kept": False, "why": "nothing is held out to check it on"}
        small = in_whole_numbers(graph)
        pictures, (audio, _) = self._replay.pictures(ticks), self._replay.heard_and_done(ticks)
        one, other = (say(g, pictures, audio, self._recordings.vector) for g in (graph, small))
        agreement = float(self._learner.objective.same_choice(one, other).mean())
        kept = agreement >= LEAST_AGREEMENT
        found = {
            "kept": kept, "agreement": round(agreement, 4), "difference": round(largest_difference(one, other), 5),
            "ticks": len(ticks), "bytes": len(small), "bytes_before": len(graph),
        }  # fmt: skip
        return (small if kept else graph), found

    def _manifest(self, parity: float, int8: dict[str, Any]) -> Manifest:
        learner, spec = self._learner, self._learner.spec
        measures = learner.held_out()
        notes = [self._about] * bool(self._about) + ["int8"] * bool(int8.get("kept")) + ["learned offline"]
        return Manifest(
            game=self._recordings.game,
            spec=spec,
            vector=self._recordings.vector,
            relative_bins=dict.fromkeys(spec.controls.relative, RELATIVE_BINS),
            axis_bins=AXIS_BINS,
            policy=f"{ARCHITECTURE} ({'; '.join(notes)})",
            data={
                "sessions": self._replay.sessions, "ticks": self._replay.total, "updates": learner.updates,
                "seconds": self._replay.total / spec.rate_hz,
            },
            held_out=measures,
            readiness=judge(learner.facts(measures)).to_json(),
            motion_floor=learner.stuck_below(),
            habits=learner.habits(),
            together=learner.together(),
            parity=parity,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip

"""Two bundles on the same recorded ticks: how well each agrees with the player, and with the other (numpy)."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tray_agent.core.held_out import are_held_out
from tray_agent.core.sample import AudioFeatures, TickFlag, TickSample
from tray_agent.errors import BundleError, SessionError
from tray_agent.policy.agreement import measures
from tray_agent.policy.bundle import Bundle
from tray_agent.policy.decode import Decoding, likeliest
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.sessions.reader import SessionReader

Floats = npt.NDArray[np.float32]


class _Judged:
    """One of the two, and what it said."""

    def __init__(self, bundle: Bundle) -> None:
        self.policy = OnnxPolicy(bundle, Decoding())
        self._manifest = bundle.manifest
        self._said: list[Floats] = []
        self._times_ms: list[float] = []

    def decide(self, audio: AudioFeatures) -> None:
        began = time.perf_counter()
        held, relative, axes = self.policy.outputs(audio)
        self._times_ms.append(1000.0 * (time.perf_counter() - began))
        bins = [self._manifest.relative_bins[name] for name in self._manifest.spec.controls.relative]
        moved = [_mean(logits, values) for logits, values in zip(relative, bins, strict=True)]
        placed = [_mean(logits, self._manifest.axis_bins) for logits in axes]
        self._said.append(np.concatenate([likeliest(held, self._manifest.together), moved, placed]).astype(np.float32))

    @property
    def said(self) -> Floats:
        """What it would do, shape (ticks, controls): buttons 0 or 1, mean counts, mean positions."""
        return np.array(self._said)

    def inference(self) -> dict[str, float]:
        """Time of a decision, ms."""
        p50, p99 = np.percentile(self._times_ms, (50, 99))
        return {"inference_p50_ms": round(float(p50), 3), "inference_p99_ms": round(float(p99), 3)}


def _mean(logits: Floats, bins: Sequence[float]) -> float:
    weights = np.exp(logits - logits.max())
    return float(weights @ np.asarray(bins) / weights.sum())


def compare(a: Bundle, b: Bundle, sessions: list[Path]) -> dict[str, Any]:
    """Let both decide on the ticks that nobody learned from; take turns in going first, so that neither is warmer.

    Returns:
        {"ticks", "held_out", "a", "b", "copy_last", "released", "same"}: each but the first two as `_measures` gives
        them, beside the player; `same` is how far the two agree with each other. `held_out` is False where the sessions
        are too short to have held-out stretches, and all of their ticks were taken.

    Raises:
        BundleError: they are for different profiles.
        SessionError: a session can't be read, is of another profile, or there is nothing to compare on.
    """
    spec = a.manifest.spec
    if spec.digest != b.manifest.spec.digest:
        raise BundleError(f"{a.folder.name} and {b.folder.name} see or press different things; they can't be compared")
    readers = [SessionReader(folder) for folder in sessions]
    for reader in readers:
        if reader.spec.digest != spec.digest:
            raise SessionError(
                f"session {reader.folder} was recorded for another profile than the bundles were made for"
            )
    chosen = [_chosen(reader) for reader in readers]
    held_out = any(some.any() for some, _ in chosen)
    both = _Judged(a), _Judged(b)
    did: list[Floats] = []
    before: list[Floats] = []
    for reader, (some, every) in zip(readers, chosen, strict=True):
        last = spec.controls.neutral()
        for sample, is_wanted in zip(reader.samples(), some if held_out else every, strict=True):
            _see(both, sample)
            if is_wanted:
                for one in both if len(did) % 2 else both[::-1]:
                    one.decide(sample.audio)
                did.append(sample.action)
                before.append(last)
            last = sample.action
    if not did:
        raise SessionError(
            "no tick in the sessions can be learned from, so there is nothing to compare on; play a little"
        )
    player, earlier = np.array(did), np.array(before)
    buttons = len(spec.controls.buttons)

    def judged(guess: Floats, truth: Floats) -> dict[str, float]:
        return _measures(guess, truth, earlier, buttons)

    return {
        "ticks": len(did), "held_out": held_out,
        **{name: judged(one.said, player) | one.inference() for name, one in zip("ab", both, strict=True)},
        "copy_last": judged(earlier, player), "released": judged(np.zeros_like(player), player),
        "same": judged(both[0].said, both[1].said),
    }  # fmt: skip


def _see(both: tuple[_Judged, _Judged], sample: TickSample) -> None:
    for one in both:
        if sample.flags & TickFlag.GAP:
            one.policy.reset()
        one.policy.see(sample.pixels)


def _chosen(reader: SessionReader) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which ticks count: those held out, and all that may be learned from."""
    flags = reader.ticks.flags
    good = (flags & int(TickFlag.LEARN) != 0) & (flags & int(TickFlag.STRAYED) == 0)
    return good & are_held_out(np.arange(len(flags)), reader.spec.rate_hz), good


def _measures(guess: Floats, truth: Floats, earlier: Floats, buttons: int) -> dict[str, float]:
    """`agreement` of the buttons; `distance` of all else: mean absolute difference, in counts and stick widths."""
    found: dict[str, float] = {}
    if buttons:
        found |= measures(guess[:, :buttons] >= 0.5, truth[:, :buttons] >= 0.5, earlier[:, :buttons] >= 0.5)
    if guess.shape[1] > buttons:
        found["distance"] = round(float(np.abs(guess[:, buttons:] - truth[:, buttons:]).mean()), 4)
    return found

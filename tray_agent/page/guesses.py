"""What a bundle would have done on a session's own frames (onnxruntime; runs on the caller's thread)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tray_agent.core.sample import TickFlag
from tray_agent.errors import BundleError
from tray_agent.page.film import Tell
from tray_agent.policy.bundle import Manifest, load_bundle
from tray_agent.policy.decode import Decoding, chances_of
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.sessions.reader import SessionReader

FloatArray = npt.NDArray[np.float32]
_TELL_EVERY = 64
_NEAR_AXIS = 0.25
_STILL_COUNTS = 0.5


@dataclass(frozen=True)
class Guesses:
    """A bundle's answers, one row a tick.

    Attributes:
        manifest: of the bundle.
        held: probability that each button is held, (n, buttons).
        moved: expected value of each relative control, then of each axis, (n, relative + axes).
        agreement: share of the controls on which the likelier answer is what the player did, (n,). A relative control
            agrees when it moves the same way or both are still, an axis when it is no more than 0.25 away.
    """

    manifest: Manifest
    held: FloatArray
    moved: FloatArray
    agreement: FloatArray


def guess(reader: SessionReader, bundle: Path, tell: Tell) -> Guesses:
    """Let the bundle see all ticks of a session that is not empty.

    Raises:
        BundleError: missing, damaged, made for other controls, rate or picture, or it answers with what is no number.
        SessionError: frames can't be decoded.
    """
    policy = OnnxPolicy(load_bundle(bundle, reader.spec), Decoding())
    answers: list[tuple[FloatArray, ...]] = []
    for row, sample in enumerate(reader.samples()):
        if row % _TELL_EVERY == 0:
            tell("policy", row / len(reader))
        if sample.flags & TickFlag.GAP:
            policy.reset()
        policy.see(sample.pixels)
        answers.append(policy.outputs(sample.audio))
    held, relative, axes = (np.stack(part) for part in zip(*answers, strict=True))
    if not all(np.isfinite(part).all() for part in (held, relative, axes)):
        raise BundleError(f"bundle {bundle} answers with what is no number. Watch again to learn a new one")
    manifest = policy.bundle.manifest
    bins = [manifest.relative_bins[name] for name in reader.spec.controls.relative]
    moved = [_expected(relative[:, i], bins[i]) for i in range(len(bins))]
    moved += [_expected(axes[:, i], manifest.axis_bins) for i in range(axes.shape[1])]
    columns = np.stack(moved, axis=1) if moved else np.zeros((len(held), 0), np.float32)
    chances = chances_of(held, manifest.together)
    return Guesses(manifest, chances, columns, _agreement(reader, chances, columns))


def _expected(logits: FloatArray, bins: tuple[float, ...]) -> FloatArray:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    mean: FloatArray = (weights @ np.asarray(bins, np.float32)) / weights.sum(axis=-1)
    return mean


def _agreement(reader: SessionReader, chances: FloatArray, moved: FloatArray) -> FloatArray:
    held, relative, axes = reader.spec.controls.split(reader.ticks.actions)
    count = relative.shape[1]
    same = [
        (held >= 0.5) == (chances >= 0.5),
        _direction(relative) == _direction(moved[:, :count]),
        np.abs(axes - moved[:, count:]) <= _NEAR_AXIS,
    ]
    share: FloatArray = np.concatenate(same, axis=1).mean(axis=1, dtype=np.float32)
    return share


def _direction(counts: FloatArray) -> FloatArray:
    direction: FloatArray = np.sign(np.where(np.abs(counts) < _STILL_COUNTS, 0, counts))
    return direction

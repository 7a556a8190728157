"""Bundles on disk: the one owner of their format. Used by the trainer's process and by the daemon.

`<models>/<game>/<run>/policy.onnx` + `manifest.json`; `<models>/<game>/current.json` names the run in use.
A bundle is written under a temporary name and renamed, so that a reader sees all of it or nothing; `current.json`
is replaced atomically afterwards. A kill -9 at any line leaves the previous bundle in use. Imported runs end in
`-imported` and are deleted by nobody but the user.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import BundleError
from tray_agent.runtime.atomic_file import write_atomic

FORMAT = 1
ONNX_NAME = "policy.onnx"
MANIFEST_NAME = "manifest.json"
CURRENT_NAME = "current.json"
KEEP_BUNDLES = 5
IMPORTED = "-imported"
MAX_ONNX_BYTES = 512 << 20
_TEMPORARY = ".tmp"
_SWEEP_FILES_S = 3600.0
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
"""What reading JSON of another shape than expected raises."""


@dataclass(frozen=True)
class Manifest:
    """What a bundle says about itself.

    Attributes:
        game: name of the game profile it was learned on.
        spec: inputs and outputs; its digest must equal the player's.
        vector: the game vector, `spec.vector_size` numbers.
        relative_bins: counts each output bin of a relative control stands for, by control.
        axis_bins: positions the bins of every absolute axis stand for.
        policy: name of the architecture.
        data: what it learned from ({"sessions", "ticks", "seconds", "updates", "offset_ticks"}).
        held_out: measures on stretches it did not learn from.
        readiness: {"state", "why"}: "ready", "still learning" or "cannot", and the sentence for the user.
        motion_floor: mean motion of the picture below which the game is stuck, grey levels; 0: unknown.
        habits: action vectors the player used, to get unstuck with.
        together: sets of buttons that are held together, 0 or 1 each; () where each button is on its own.
        parity: largest difference between ONNX Runtime and torch on the same input.
        score: measured play score, where one was measured.
        created: UTC time, ISO 8601.
        onnx_sha256: digest of policy.onnx.
    """

    game: str
    spec: PolicySpec
    vector: tuple[float, ...]
    relative_bins: dict[str, tuple[float, ...]] = field(default_factory=dict)
    axis_bins: tuple[float, ...] = ()
    policy: str = ""
    data: dict[str, float] = field(default_factory=dict)
    held_out: dict[str, float] = field(default_factory=dict)
    readiness: dict[str, str] = field(default_factory=dict)
    motion_floor: float = 0.0
    habits: tuple[tuple[float, ...], ...] = ()
    together: tuple[tuple[int, ...], ...] = ()
    parity: float = 0.0
    score: dict[str, float] = field(default_factory=dict)
    created: str = ""
    onnx_sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"format": FORMAT, "spec": self.spec.to_json(), "spec_digest": self.spec.digest}


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: its folder, manifest and the bytes of its ONNX graph."""

    folder: Path
    manifest: Manifest
    onnx: bytes


def write_bundle(models: Path, manifest: Manifest, onnx: bytes, run: str) -> Path:
    """Store a bundle and make it the game's current one.

    Args:
        models: root folder of bundles.
        manifest: `onnx_sha256` is filled in here.
        onnx: serialized graph without external data.
        run: folder name, unique for the game.

    Returns:
        The bundle's folder.

    Raises:
        BundleError: it could not be written (disk full, no right to write); the current bundle stays.
    """
    target = store_bundle(models, manifest, onnx, run)
    make_current(target)
    _prune(target.parent, keep=run)
    return target


def store_bundle(models: Path, manifest: Manifest, onnx: bytes, run: str) -> Path:
    """As `write_bundle`, but what is in use stays in use, and no old bundle is deleted."""
    game_folder = models / manifest.game
    temporary = game_folder / f".{run}.{os.getpid()}{_TEMPORARY}"
    target = game_folder / run
    manifest = replace(manifest, onnx_sha256=hashlib.sha256(onnx).hexdigest())
    try:
        game_folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        _sweep(game_folder)
        temporary.mkdir(mode=0o700)
        write_atomic(temporary / ONNX_NAME, onnx)
        write_atomic(temporary / MANIFEST_NAME, json.dumps(manifest.to_json(), indent=1))
        temporary.replace(target)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _not_stored(game_folder, error) from error
    return target


def make_current(folder: Path) -> None:
    """Put a stored bundle in use, atomically; a daemon that cares for the game takes it at once.

    Raises:
        BundleError: the pointer could not be written; it stays as it was.
    """
    try:
        write_atomic(folder.parent / CURRENT_NAME, json.dumps({"run": folder.name}))
    except OSError as error:
        raise _not_stored(folder.parent, error) from error


def _not_stored(game_folder: Path, error: OSError) -> BundleError:
    return BundleError(
        f"could not store the new bundle in {game_folder}: {error}. The previous one stays in use; "
        "free some space there, and see that the folder may be written to"
    )


def run_folders(models: Path, game: str) -> list[Path]:
    """Folders of all the game's bundles, the oldest first; [] where there is none."""
    folder = models / game
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _sweep(game_folder: Path) -> None:
    """Delete what writers that were killed left behind."""
    for left in game_folder.glob(f".*{_TEMPORARY}"):
        pid = left.name.removesuffix(_TEMPORARY).rpartition(".")[2]
        if left.is_dir() and pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
        elif left.is_file() and time.time() - left.stat().st_mtime > _SWEEP_FILES_S:
            left.unlink(missing_ok=True)


def _prune(game_folder: Path, keep: str) -> None:
    with contextlib.suppress(OSError):  # the new bundle is in use already: old ones may wait
        learned = [p for p in run_folders(game_folder.parent, game_folder.name) if not p.name.endswith(IMPORTED)]
        for old in [p for p in learned if p.name != keep][: -(KEEP_BUNDLES - 1)]:
            shutil.rmtree(old, ignore_errors=True)


def current_folder(models: Path, game: str) -> Path | None:
    """Folder of the game's current bundle, None if it has none.

    Raises:
        BundleError: the pointer is damaged or points nowhere.
    """
    pointer = models / game / CURRENT_NAME
    if not pointer.exists():
        return None
    try:
        run = json.loads(pointer.read_text())["run"]
        folder = models / game / Path(str(run)).name
    except (*DAMAGE, OSError) as error:
        raise BundleError(f"{pointer} is damaged ({error}). Delete it and watch a little to learn a new one") from error
    if folder.name in {"", ".."} or not folder.is_dir():
        raise BundleError(f"{pointer} names {folder.name}, which is missing. Delete the file and watch again")
    return folder


def bundles_since(models: Path, game: str, since: datetime) -> list[Path]:
    """Folders of a game's bundles that were made then or later, oldest first; of damaged ones the file's time counts.

    Raises:
        OSError: the folder can't be read.
    """
    runs = [f.parent for f in (models / game).glob(f"*/{MANIFEST_NAME}")]
    return [run for run in sorted(runs) if _created(run / MANIFEST_NAME) >= since.replace(microsecond=0)]


def _created(path: Path) -> datetime:
    try:
        return datetime.fromisoformat(json.loads(path.read_text())["created"]).astimezone(UTC)
    except DAMAGE:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def load_bundle(folder: Path, spec: PolicySpec | None = None) -> Bundle:
    """Read and verify a bundle.

    Args:
        folder: the bundle's folder.
        spec: what the player will feed and press; None skips this check.

    Raises:
        BundleError: missing, truncated, damaged, or made for other controls, rate or picture.
    """
    try:
        data = json.loads((folder / MANIFEST_NAME).read_text())
        onnx = _read_onnx(folder / ONNX_NAME)
        manifest = parse_manifest(data)
    except OSError as error:
        raise BundleError(f"bundle {folder} is incomplete: {error}. Watch again to learn a new one") from error
    except DAMAGE as error:
        raise BundleError(f"{folder / MANIFEST_NAME} is damaged: {error}. Watch again to learn a new one") from error
    if hashlib.sha256(onnx).hexdigest() != manifest.onnx_sha256:
        raise BundleError(f"{folder / ONNX_NAME} is damaged (its digest differs from the manifest's). Watch again")
    if spec is not None:
        _check_fit(manifest, spec, folder)
    return Bundle(folder, manifest, onnx)


def _read_onnx(path: Path) -> bytes:
    if path.stat().st_size > MAX_ONNX_BYTES:
        raise BundleError(f"{path} is larger than {MAX_ONNX_BYTES >> 20} MiB and was not loaded")
    return path.read_bytes()


def parse_manifest(data: dict[str, Any]) -> Manifest:
    """The manifest that `Manifest.to_json` made this of. Raises one of `DAMAGE` where it did not."""
    if data.get("format") != FORMAT:
        raise ValueError(f"format {data.get('format')!r}, this version reads {FORMAT}")
    fields = {k: v for k, v in data.items() if k in Manifest.__dataclass_fields__}
    fields["spec"] = PolicySpec.from_json(data["spec"])
    fields["vector"] = _numbers(data["vector"])
    fields["relative_bins"] = {k: _numbers(v) for k, v in data["relative_bins"].items()}
    fields["axis_bins"] = _numbers(data["axis_bins"])
    fields["motion_floor"] = _numbers([data.get("motion_floor", 0.0)])[0]
    fields["habits"] = tuple(_numbers(habit) for habit in data.get("habits", ()))
    fields["together"] = tuple(tuple(map(int, row)) for row in data.get("together", ()))
    manifest = Manifest(**fields)
    if any(len(row) != len(manifest.spec.controls.buttons) or not {*row} <= {0, 1} for row in manifest.together):
        raise ValueError("the buttons it holds together are not its controls'")
    if any(len(habit) != manifest.spec.controls.size for habit in manifest.habits):
        raise ValueError("its habits are not over its controls")
    if len(manifest.vector) != manifest.spec.vector_size:
        raise ValueError(f"the game vector has {len(manifest.vector)} numbers, not {manifest.spec.vector_size}")
    return manifest


def _numbers(raw: Any) -> tuple[float, ...]:
    numbers = tuple(float(v) for v in raw)
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{raw} holds numbers that are not finite")
    return numbers


def _check_fit(manifest: Manifest, spec: PolicySpec, folder: Path) -> None:
    if manifest.spec.digest == spec.digest:
        return
    have, need = manifest.spec.to_json(), spec.to_json()
    differing = sorted(k for k in need if json.dumps(have.get(k)) != json.dumps(json.loads(json.dumps(need[k]))))
    raise BundleError(
        f"bundle {folder.name} was learned for other {', '.join(differing) or 'settings'} than {manifest.game} has now "
        f"(digest {manifest.spec.digest}, needed {spec.digest}). Watch again, or restore the old profile"
    )

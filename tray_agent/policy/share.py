"""Bundles from one player to another: one zip out, one zip in. What comes in is a stranger's until all is checked."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from tray_agent.errors import BundleError
from tray_agent.policy.bundle import IMPORTED, MANIFEST_NAME, ONNX_NAME, Bundle, Manifest, store_bundle
from tray_agent.policy.graph_check import check_graph
from tray_agent.policy.manifest_check import check_fit, checked_manifest
from tray_agent.policy.share_zip import PREVIEW_NAME, SIGNATURE_NAME, read_zip, write_zip
from tray_agent.policy.signature import check_signature, signature_of
from tray_agent.policy.trial import try_apart
from tray_agent.settings.games import GameProfile

Trial = Callable[[Manifest, bytes], float]
"""Runs a policy for the first time: its time for a decision in ms, or BundleError."""


@dataclass(frozen=True)
class Received:
    """A shared bundle that passed every check; not stored yet.

    Attributes:
        manifest: with the name that the game has here.
        onnx: serialized graph.
        signature: "none", "not checked" or "trusted".
        preview_bytes: size of the clip in the zip, 0 without one; it is neither looked at nor kept.
        decision_ms: what a decision takes on this machine.
    """

    manifest: Manifest
    onnx: bytes
    signature: str
    preview_bytes: int
    decision_ms: float


def share(
    bundle: Bundle,
    out: Path,
    *,
    score: Mapping[str, float] | None = None,
    preview: bytes = b"",
    key: Path | None = None,
) -> dict[str, int]:
    """Write a bundle as one zip; what torch noted in the graph of the maker's files is left out.

    Args:
        bundle: what to share.
        out: the zip; it must not exist.
        score: measured play score, which goes into the manifest.
        preview: a clip, b"" for none.
        key: private key to sign with.

    Returns:
        Bytes of each entry by name.

    Raises:
        BundleError: it could not be read back by `receive`, or can't be written.
        PlatformUnavailable: signing needs a package that is not installed.
    """
    graph = without_notes(bundle.onnx)
    check_graph(graph, bundle.manifest.spec)
    manifest = replace(bundle.manifest, onnx_sha256=hashlib.sha256(graph).hexdigest())
    if score is not None:
        manifest = replace(manifest, score=dict(score))
    entries = {MANIFEST_NAME: json.dumps(manifest.to_json(), indent=1).encode(), ONNX_NAME: graph}
    checked_manifest(entries[MANIFEST_NAME])
    if preview:
        entries[PREVIEW_NAME] = preview
    if key is not None:
        entries[SIGNATURE_NAME] = signature_of(entries, key)
    write_zip(out, entries)
    return {name: len(content) for name, content in entries.items()}


def without_notes(data: bytes) -> bytes:
    """The graph without torch's notes on its origin, among them paths on the disk of its maker."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise BundleError("the bundle's graph is damaged. Watch again to learn a new one") from error
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    stripped: bytes = model.SerializeToString(deterministic=True)
    return stripped


def receive(
    path: Path,
    games: Mapping[str, GameProfile],
    game: str = "",
    trust: Path | None = None,
    trial: Trial = try_apart,
) -> Received:
    """Read and check a shared zip; nothing is stored.

    Args:
        path: the zip.
        games: profiles here.
        game: which of them it is for; "" takes the zip's word.
        trust: public key that must have signed it.
        trial: how it is run for the first time.

    Raises:
        BundleError: it is refused; one sentence says why.
        PlatformUnavailable: checking a signature needs a package that is not installed.
    """
    try:
        return _received(path, games, game, trust, trial)
    except BundleError as error:
        # onnxruntime's words may quote the graph's, over many lines
        why = "".join(c if c.isprintable() else " " for c in str(error))
        raise BundleError(f"{path} was refused: {why}. Nothing was stored") from error


def _received(path: Path, games: Mapping[str, GameProfile], game: str, trust: Path | None, trial: Trial) -> Received:
    entries = read_zip(path)
    if trust is not None:
        check_signature(entries, trust)
    manifest, graph = checked_manifest(entries[MANIFEST_NAME]), entries[ONNX_NAME]
    if hashlib.sha256(graph).hexdigest() != manifest.onnx_sha256:
        raise BundleError("its graph is damaged (its digest differs from the manifest's)")
    name = game or manifest.game
    if name not in games:
        raise BundleError(f"there is no game {name!r:.60} here; add it, or say with --game which of yours it is for")
    check_fit(manifest, name, games[name])
    check_graph(graph, manifest.spec)
    manifest = replace(manifest, game=name)
    unchecked = "not checked" if SIGNATURE_NAME in entries else "none"
    return Received(
        manifest, graph, "trusted" if trust is not None else unchecked, len(entries.get(PREVIEW_NAME, b"")),
        trial(manifest, graph),
    )  # fmt: skip


def keep(received: Received, models: Path) -> Path:
    """Store it beside the game's other bundles; what is in use stays in use. Its folder. Raises BundleError."""
    run = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"[:-3] + IMPORTED
    return store_bundle(models, received.manifest, received.onnx, run)

"""A game, a bundle of it, and the zip it is shared as: good ones, for tests to damage."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiny_policy import graph, manifest, store

from tray_agent.policy.bundle import MANIFEST_NAME, ONNX_NAME, Bundle, Manifest, load_bundle
from tray_agent.policy.share import share
from tray_agent.policy.trial import decision_ms
from tray_agent.settings.games import GameProfile, GamesFile

GAME: dict[str, Any] = {
    "vector": 100, "match": {"process": "toy"}, "controls": {"keys": ["left", "right"]}, "rate_hz": 20,
    "frame": {"width": 24, "height": 16, "history": 2},
}  # fmt: skip


def profiles(**changes: Any) -> dict[str, GameProfile]:
    """Games of somebody who has the game `toy`, with these lines of its profile changed."""
    return GamesFile.model_validate({"games": {"toy": GAME | changes}}).profiles()


PROFILE = profiles()["toy"]
SPEC = PROFILE.spec()


def entries() -> dict[str, bytes]:
    """What a good zip of `toy` holds."""
    onnx = graph(SPEC)
    return {ONNX_NAME: onnx, MANIFEST_NAME: told(onnx)}


def told(onnx: bytes, **changes: Any) -> bytes:
    """A manifest for that graph, with these fields of its JSON changed."""
    plain = manifest(SPEC, onnx_sha256=hashlib.sha256(onnx).hexdigest()).to_json()
    return json.dumps(plain | changes).encode()


def zipped(content: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Any entries as a zip."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return written.getvalue()


def shared_zip(folder: Path, name: str = "toy.zip", **options: Any) -> Path:
    """A bundle of `toy` as `share` writes it."""
    out = folder / name
    share(load_bundle(store(folder / f"of {name}", spec=SPEC, data={"updates": 5.0, "seconds": 90.0})), out, **options)
    return out


def try_here(manifest: Manifest, onnx: bytes) -> float:
    """The trial without a process of its own."""
    return decision_ms(Bundle(Path("it"), manifest, onnx))

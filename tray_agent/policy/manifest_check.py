"""A stranger's manifest: as strict as our own writer, so that nothing odd is shown, stored or pressed (no I/O)."""

import json
from typing import Any

from tray_agent.core import keys
from tray_agent.errors import BundleError
from tray_agent.policy.bundle import DAMAGE, FORMAT, Manifest, parse_manifest
from tray_agent.policy.decode import MOST_SETS
from tray_agent.settings.games import GameProfile

_TEXTS = ("game", "policy", "created", "onnx_sha256")
_TABLES = ("data", "held_out", "score")
_LONGEST_TEXT = 500
_MOST_ROWS = 64
_MOST_HABITS = 4096
_FASTEST = 1000.0  # counts in a tick
_LARGEST = 1e12


def checked_manifest(raw: bytes) -> Manifest:
    """Parse the text of a manifest.json.

    Raises:
        BundleError: another format, damaged, or with values that ours never have.
    """
    try:
        data = json.loads(raw.decode(), parse_constant=_not_finite, object_pairs_hook=_each_once)
        if not isinstance(data, dict):
            raise BundleError("its manifest is damaged: it is no object")
        if data.get("format") != FORMAT:
            raise BundleError(
                f"its manifest is of format {data.get('format')!r:.20}, this version reads {FORMAT}; update tray-agent"
            )
        _check_system_controls(data["spec"]["controls"])
        manifest = parse_manifest(data)
        _check_texts(manifest)
        _check_presses(manifest)
    except DAMAGE as error:
        raise BundleError(f"its manifest is damaged ({type(error).__name__}: {str(error)!r:.200})") from error
    return manifest


def _not_finite(text: str) -> float:
    raise BundleError(f"its manifest holds {text}, which is not finite")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands there twice")
    return found


def _check_system_controls(controls: dict[str, list[str]]) -> None:
    if wrong := sorted(name for group in controls.values() for name in group if name in keys.FORBIDDEN):
        raise BundleError(f"it would press {', '.join(wrong)}: system controls, which are never pressed")


def _check_texts(manifest: Manifest) -> None:
    plain = [getattr(manifest, name) for name in _TEXTS]
    tables = [getattr(manifest, name) for name in _TABLES]
    named = {**manifest.readiness}
    texts = [*plain, *named, *named.values(), *(key for table in tables for key in table)]
    for text in texts:
        if not isinstance(text, str) or not text.isprintable() or len(text) > _LONGEST_TEXT:
            raise BundleError(f"its manifest holds {text!r:.60} where plain words belong")
    for value in [v for table in tables for v in table.values()] + [manifest.parity]:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
            raise BundleError(f"its manifest holds {value!r:.60} where a number belongs")
    if any(len(table) > _MOST_ROWS for table in (*tables, named)):
        raise BundleError("its manifest has tables that are far too long")


def _check_presses(manifest: Manifest) -> None:
    """Counts, positions and habits become presses as they are."""
    controls = manifest.spec.controls
    if set(manifest.relative_bins) != set(controls.relative):
        raise BundleError("its manifest says how far it moves controls that it does not have, or not how far")
    bins = [value for values in manifest.relative_bins.values() for value in values]
    b, r = len(controls.buttons), len(controls.buttons) + len(controls.relative)
    held = [value for habit in manifest.habits for value in habit[:b]]
    moved = bins + [value for habit in manifest.habits for value in habit[b:r]]
    placed = [*manifest.axis_bins, *(value for habit in manifest.habits for value in habit[r:])]
    if (
        not all(0.0 <= value <= 1.0 for value in held)
        or not all(abs(value) <= _FASTEST for value in moved)
        or not all(abs(value) <= 1.0 for value in placed)
    ):
        raise BundleError("its manifest holds presses that no hand could make")
    if len(manifest.together) > MOST_SETS:
        raise BundleError(f"its manifest names {len(manifest.together)} sets of buttons; {MOST_SETS} is the most")
    if len(manifest.habits) > _MOST_HABITS or not 0.0 <= manifest.motion_floor <= 255.0:
        raise BundleError("its manifest says it is stuck in a way that can't be")


def check_fit(manifest: Manifest, game: str, profile: GameProfile) -> None:
    """Whether it sees and presses what this game's profile says.

    Raises:
        BundleError: it does not; every difference is listed.
    """
    need = profile.spec(audio=profile.audio and manifest.spec.audio)  # without sound on its maker's machine: deaf
    if manifest.spec.digest == need.digest:
        return
    have, wanted = set(manifest.spec.controls.names), set(need.controls.names)
    differing = [
        f"it presses {', '.join(sorted(have - wanted))}" if have - wanted else "",
        f"it does not press {', '.join(sorted(wanted - have))}" if wanted - have else "",
        "the order of its controls is another" if have == wanted and manifest.spec.controls != need.controls else "",
    ]
    mine, theirs = need.to_json(), manifest.spec.to_json()
    differing += [
        f"its {name} is {theirs[name]!r:.60}, here {mine[name]!r:.60}"
        for name in mine
        if name != "controls" and json.dumps(mine[name]) != json.dumps(theirs[name])
    ]
    raise BundleError(f"it was learned for another profile than {game} has here: {'; '.join(filter(None, differing))}")

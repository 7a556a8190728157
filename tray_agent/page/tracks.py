"""What the page's script draws, as plain data: run lengths and quantised numbers in base64 (numpy; no I/O).

All text in it comes from files that others may have written: it goes into the page as JSON without `<`, `>` and `&`,
and the script puts it on the page as text, never as HTML.
"""

import base64
import json
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from tray_agent import __version__
from tray_agent.core.sample import TickFlag
from tray_agent.page.film import enlargement
from tray_agent.page.guesses import Guesses
from tray_agent.page.timeline import UNITS_PER_S, Timeline
from tray_agent.policy.bundle import Manifest
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.ticks import TickTable

_INT16 = 32767
_SHADED = {
    "strayed": TickFlag.STRAYED,
    "correction": TickFlag.CORRECTION,
    "agent": TickFlag.AGENT,
    "silent": TickFlag.AUDIO_GAP,
}
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def page_json(tracks: dict[str, Any]) -> str:
    """JSON that can stand inside a `<script>` element: plain ASCII, none of `<`, `>`, `&`."""
    return json.dumps(tracks, separators=(",", ":"), ensure_ascii=True, allow_nan=False).translate(_ESCAPES)


def tracks(
    reader: SessionReader, line: Timeline, level: npt.NDArray[np.float32] | None, guesses: Guesses | None
) -> dict[str, Any]:
    """All that belongs to the ticks, and the facts of the page's head.

    Args:
        reader: of the session.
        line: shown time of its ticks.
        level: loudness of each tick in 0..1, None without sound.
        guesses: what a bundle would have done, None without one.
    """
    table = reader.ticks
    return {
        "game": reader.info.game,
        "facts": _facts(reader, line),
        "policy": _policy_facts(guesses.manifest, float(guesses.agreement.mean())) if guesses else [],
        "units": UNITS_PER_S,
        "count": len(table),
        "end": line.end,
        "steps": _base64(np.diff(line.at, prepend=0).astype("<u2")),
        "buttons": _buttons(reader, guesses),
        "curves": _curves(reader, guesses),
        "level": None if level is None else _shares(level),
        "agreement": _shares(guesses.agreement) if guesses else None,
        "shaded": {name: runs(table.flags & int(flag) != 0) for name, flag in _SHADED.items()},
        "unused": runs(table.flags & int(TickFlag.LEARN) == 0),
        "pauses": line.pauses,
        "dropped": _dropped(table),
        "made": f"Made by tray-agent {__version__}: pictures enlarged without smoothing, pauses of more than two "
        "seconds cut to one. The pictures as recorded stay in the session.",
    }


def runs(bits: npt.NDArray[np.bool_]) -> list[int]:
    """Lengths of alternating stretches of a (n,) row of bits: off, on, off, on, ...; ends with the last that is on."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], bits, [False]]).astype(np.int8)))
    lengths: list[int] = np.diff(edges, prepend=0).tolist()
    return lengths


def _base64(values: npt.NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _shares(shares: npt.NDArray[np.float32]) -> str:
    """Shares in 0..1 as one byte each."""
    return _base64(np.round(np.clip(shares, 0, 1) * 255).astype(np.uint8))


def _buttons(reader: SessionReader, guesses: Guesses | None) -> list[dict[str, Any]]:
    held = reader.spec.controls.split(reader.ticks.actions)[0] >= 0.5
    return [
        {"name": name, "runs": runs(held[:, i]), "chance": _shares(guesses.held[:, i]) if guesses else None}
        for i, name in enumerate(reader.spec.controls.buttons)
    ]


def _curves(reader: SessionReader, guesses: Guesses | None) -> list[dict[str, Any]]:
    controls = reader.spec.controls
    found = []
    for i, name in enumerate(controls.relative + controls.axes):
        values = np.nan_to_num(reader.ticks.actions[:, len(controls.buttons) + i], posinf=0, neginf=0)
        guessed = guesses.moved[:, i] if guesses else values
        is_axis = i >= len(controls.relative)
        top = 1.0 if is_axis else max(1.0, float(np.abs(values).max()), float(np.abs(guessed).max()))
        found.append(
            {
                "name": name,
                "axis": is_axis,
                "top": top,
                "values": _curve(values, top),
                "guessed": _curve(guessed, top) if guesses else None,
            }
        )
    return found


def _curve(values: npt.NDArray[np.float32], top: float) -> str:
    return _base64(np.round(np.clip(values / top, -1, 1) * _INT16).astype("<i2"))


def _dropped(table: TickTable) -> list[tuple[int, int]]:
    """(row after a hole, how many ticks are missing before it)."""
    missing = np.diff(table.tick) - 1
    return [(int(row) + 1, int(missing[row])) for row in np.flatnonzero(missing > 0)]


def _facts(reader: SessionReader, line: Timeline) -> list[tuple[str, str]]:
    info, spec, table = reader.info, reader.spec, reader.ticks
    factor = enlargement(spec.frame_width)
    held_by_agent = float((table.flags & int(TickFlag.AGENT) != 0).sum()) / spec.rate_hz
    facts = [
        ("recorded", _readable(info.started_utc)),
        ("length", f"{_minutes(len(table) / spec.rate_hz)}, {len(table)} ticks at {spec.rate_hz:g} Hz"),
        ("played by", str(info.extra.get("player", "the player"))),
        ("controls", ", ".join(spec.controls.names) or "none"),
        ("picture", f"{spec.frame_width} x {spec.frame_height}, enlarged {factor} times"),
        ("quality", info.quality),
        ("sound", "recorded" if spec.audio else "not recorded"),
    ]
    if held_by_agent:
        facts.append(("agent held on", _minutes(held_by_agent)))
    if line.pauses:
        facts.append(("pauses", f"{len(line.pauses)}, {_minutes(sum(s for _, s in line.pauses))} not shown"))
    if info.closed is None:
        facts.append(("ended", "not in order: it is still being written, or was cut off"))
    facts += [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in info.extra.items()
              if key != "player"]  # fmt: skip
    facts.append(("written with", ", ".join(f"{name} {version}" for name, version in info.tools.items())))
    return facts


def _readable(moment: str) -> str:
    try:
        return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return moment  # whatever it says is shown


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{seconds:.1f} s"


def _policy_facts(manifest: Manifest, agreement: float) -> list[tuple[str, str]]:
    told = {"learned from": manifest.data, "held out": manifest.held_out, "score": manifest.score}
    facts = [
        ("bundle", f"{manifest.game}, {manifest.policy or 'unnamed'}, {_readable(manifest.created) or 'no date'}"),
        ("readiness", ": ".join(str(part) for part in manifest.readiness.values()) or "not judged"),
        ("agreement here", f"{agreement:.1%} of controls and ticks; it may have learned from this very session"),
    ]
    return facts + [(name, _numbers(numbers)) for name, numbers in told.items() if numbers]


def _numbers(numbers: dict[str, float]) -> str:
    # a manifest's numbers are not checked when it is read: what is none is shown as it stands
    shown = {name: f"{value:.4g}" if isinstance(value, int | float) else value for name, value in numbers.items()}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())

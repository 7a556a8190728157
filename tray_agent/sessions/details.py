"""All that a session tells about itself, for `sessions show`. Reads it whole but for the pictures; caller's thread."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.sessions.append_file import read_lines
from tray_agent.sessions.layout import MARKS, SOUND
from tray_agent.sessions.overview import Overview, overview, takeover_marks
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.sound import sound_pieces
from tray_agent.sessions.ticks import TickTable

_PER_S = 1e9


@dataclass(frozen=True)
class ControlUse:
    """How a control was used.

    Attributes:
        name: of the control.
        ticks: in how many ticks it was held, moved or away from its centre.
        presses: how often that began.
    """

    name: str
    ticks: int
    presses: int


@dataclass(frozen=True)
class Details:
    """One session, all of it.

    Attributes:
        overview: what the list shows; its `ticks` may be more than those that can be used.
        ticks: those whose record and picture are both there.
        controls: use of each, in the session's order.
        rate_hz: ticks a second as asked; achieved_hz: as it came, pauses left out (None with fewer than two ticks).
        pauses: how often watching paused in between; paused_s: for how long together.
        dropped: ticks lost because the disk could not keep up.
        by_flag: name of a `TickFlag` -> ticks that have it.
        takeovers_s: when the player took over, seconds from the start.
        events: raw inputs.
        sound_s: seconds of sound, None for a game recorded without; loudest: its greatest value, 0..1.
        files: name -> bytes.
    """

    overview: Overview
    ticks: int
    controls: tuple[ControlUse, ...]
    rate_hz: float
    achieved_hz: float | None
    pauses: int
    paused_s: float
    dropped: int
    by_flag: dict[str, int]
    takeovers_s: tuple[float, ...]
    events: int
    sound_s: float | None
    loudest: float
    files: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        info = self.overview.info
        return self.overview.to_json() | {
            "usable_ticks": self.ticks,
            "controls": {use.name: {"ticks": use.ticks, "presses": use.presses} for use in self.controls},
            "rate_hz": self.rate_hz, "achieved_hz": self.achieved_hz, "pauses": self.pauses,
            "paused_s": self.paused_s, "dropped": self.dropped, "flags": self.by_flag,
            "takeovers_s": list(self.takeovers_s), "events": self.events, "sound_s": self.sound_s,
            "loudest": self.loudest, "files": self.files,
            "frame": [info.spec.frame_width, info.spec.frame_height], "quality": info.quality,
            "spec_digest": info.spec.digest, "vector": list(info.vector), "tools": info.tools,
            "extra": info.extra, "closed": info.closed,
        }  # fmt: skip


def details(folder: Path) -> Details:
    """Read a session.

    Raises:
        SessionError: it can't be read.
    """
    session = SessionReader(folder)
    table, start_ns, rate_hz = session.ticks, session.info.start_ns, session.spec.rate_hz
    steps, is_pause = _steps(table)
    going = steps[~is_pause]
    samples, loudest = _sound(folder / SOUND)
    try:
        marks = takeover_marks(read_lines(folder / MARKS))
        files = {f.name: f.stat().st_size for f in sorted(folder.iterdir()) if f.is_file()}
    except OSError as error:
        raise SessionError(f"session {folder} can't be read ({error.strerror or error})") from error
    return Details(
        overview=overview(folder),
        ticks=len(table),
        controls=_uses(session.spec.controls.names, table),
        rate_hz=rate_hz,
        achieved_hz=round(_PER_S / float(going.mean()), 2) if going.sum() > 0 else None,
        pauses=int(is_pause.sum()),
        paused_s=round(float(steps[is_pause].sum()) / _PER_S, 2),
        dropped=int(table.tick[-1] - table.tick[0]) + 1 - len(table) if len(table) else 0,
        by_flag={str(flag.name): int((table.flags & int(flag) != 0).sum()) for flag in TickFlag},
        takeovers_s=tuple(_times(marks, table, start_ns)),
        events=len(session.events),
        sound_s=round(samples / AUDIO_RATE_HZ, 2) if session.spec.audio else None,
        loudest=round(loudest, 4),
        files=files,
    )


def _steps(table: TickTable) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Nanoseconds from each tick to the next, and whether there was a pause or a hole between them."""
    joined = (table.flags[1:] & int(TickFlag.GAP) == 0) & (np.diff(table.tick) == 1)
    return np.diff(table.t_ns), ~joined


def _uses(names: tuple[str, ...], table: TickTable) -> tuple[ControlUse, ...]:
    used = table.actions != 0
    begins = used.copy()
    begins[1:] &= ~used[:-1]
    ticks, presses = used.sum(axis=0), begins.sum(axis=0)
    return tuple(ControlUse(name, int(ticks[i]), int(presses[i])) for i, name in enumerate(names))


def _times(marks: list[tuple[int, int]], table: TickTable, start_ns: int) -> list[float]:
    """The takeover comes with the last tick that went astray."""
    rows = [int(np.searchsorted(table.tick, last)) for _, last in marks]
    return [round((int(table.t_ns[row]) - start_ns) / _PER_S, 2) for row in rows if row < len(table)]


def _sound(path: Path) -> tuple[int, float]:
    """Samples, and the greatest of them."""
    count, loudest = 0, 0.0
    for piece in sound_pieces(path):
        count += len(piece)
        loudest = max(loudest, float(np.abs(piece).max(initial=0.0)))
    return count, loudest

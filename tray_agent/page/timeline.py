"""When each tick of a session is shown: the session's own time with long pauses cut short (numpy; no I/O)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import AUDIO_RATE_HZ, Samples

UNITS_PER_S = 10_000
"""Shown time is counted in units of 0.1 ms."""
_PAUSE_S = 2.0
_PAUSE_TICKS = 4
_KEPT_S = 1.0
_UNIT_NS = 1_000_000_000 // UNITS_PER_S


@dataclass(frozen=True)
class Timeline:
    """Shown time of the ticks.

    Attributes:
        at: units at which each tick begins, int64 (n,), from 0, rising.
        end: units at which the last tick ends.
        pauses: (row of the first tick after a pause, seconds of it that are not shown).
    """

    at: npt.NDArray[np.int64]
    end: int
    pauses: tuple[tuple[int, float], ...]


def timeline(t_ns: npt.NDArray[np.int64], rate_hz: float) -> Timeline:
    """Shown time of ticks taken at `t_ns`, int64 (n,) with n > 0.

    Of a pause longer than two seconds (and four ticks) one second is left; times that stand still or go back, as in a
    damaged session, are set one unit apart.
    """
    steps = np.maximum(np.diff(t_ns) // _UNIT_NS, 1)
    paused = steps > max(_PAUSE_S, _PAUSE_TICKS / rate_hz) * UNITS_PER_S
    kept = int(max(_KEPT_S, 1 / rate_hz) * UNITS_PER_S)
    shown = np.where(paused, kept, steps)
    rows = np.flatnonzero(paused)
    pauses = tuple((int(row) + 1, float(steps[row] - kept) / UNITS_PER_S) for row in rows)
    at = np.concatenate([np.zeros(1, np.int64), np.cumsum(shown)])
    return Timeline(at, int(at[-1]) + max(1, round(UNITS_PER_S / rate_hz)), pauses)


def shown_sound(line: Timeline, t_ns: npt.NDArray[np.int64], samples: Samples, start_ns: int) -> Samples:
    """The sound of the shown time, float32 (n,); silence where there is none.

    Args:
        line: of the ticks.
        t_ns: when the ticks were taken.
        samples: the session's sound, of which the first sample belongs to `start_ns`.
        start_ns: see `samples`.
    """
    ratio = AUDIO_RATE_HZ / UNITS_PER_S
    out = np.zeros(round(line.end * ratio), np.float32)
    firsts = [0, *(row for row, _ in line.pauses)]
    begins = [round(int(line.at[row]) * ratio) for row in firsts]
    for row, begin, stop in zip(firsts, begins, [*begins[1:], len(out)], strict=True):
        source = round((int(t_ns[row]) - start_ns) * AUDIO_RATE_HZ / 1e9)
        early = min(max(0, -source), stop - begin)  # the ticks may begin before the sound does
        piece = samples[max(0, source) : max(0, source + stop - begin)]
        out[begin + early : begin + early + len(piece)] = piece
    return out


def sound_level(line: Timeline, sound: Samples) -> npt.NDArray[np.float32]:
    """Loudness of each tick, float32 (n,) in 0..1: its root mean square, from -60 dB to full scale."""
    first = np.minimum(np.round(line.at * (AUDIO_RATE_HZ / UNITS_PER_S)).astype(np.int64), len(sound) - 1)
    counts = np.maximum(np.diff(first, append=len(sound)), 1)
    power = np.add.reduceat(np.square(sound), first, dtype=np.float64) / counts
    level: npt.NDArray[np.float32] = np.clip(1 + 10 * np.log10(power + 1e-12) / 60, 0, 1).astype(np.float32)
    return level

"""Numbers as people read and type them: lengths of time, sizes (pure functions)."""

import argparse
import re

_POSITION = re.compile(
    r"(?:(?:(?P<hours>\d+):(?=[0-5]?\d:))?(?P<minutes>\d+):(?=[0-5]?\d(?:\.|$)))?(?P<seconds>\d+(?:\.\d+)?)", re.ASCII
)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def time_text(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss, rounded down."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def size_text(size: float) -> str:
    """Bytes as kB, MB or GB (powers of 1000)."""
    for unit, step in (("GB", 1e9), ("MB", 1e6)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"


def position(text: str) -> float:
    """Seconds of a moment typed as 90, 1:30 or 0:01:30; the last part may have decimals.

    Raises:
        argparse.ArgumentTypeError: it is none of these.
    """
    found = _POSITION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: write 90, 1:30 or 0:01:30")
    hours, minutes, seconds = (float(found[name] or 0) for name in ("hours", "minutes", "seconds"))
    return 3600 * hours + 60 * minutes + seconds


def duration(text: str) -> float:
    """Seconds of a length of time typed as 30s, 10m, 2h or 1d.

    Raises:
        argparse.ArgumentTypeError: it is none of these, or not above 0.
    """
    number, unit = text[:-1], text[-1:]
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: write 30s, 10m, 2h or 1d") from error
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: must be more than nothing")
    return seconds

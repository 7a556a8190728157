"""Numbers for the benchmarks: quantiles, a straight line through points, and what machine this is (no threads)."""

import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not exceed (nearest rank, no interpolation).

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values to take a quantile of")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least-squares slope of y over x.

    Raises:
        ValueError: fewer than two different x.
    """
    try:
        return statistics.linear_regression(*zip(*points, strict=True)).slope
    except (TypeError, statistics.StatisticsError) as error:
        raise ValueError(f"no line through {len(points)} points: {error}") from error


def machine() -> dict[str, Any]:
    """Processor, cores, the load of the last minute, system and Python."""
    return {
        "cpu": _processor(),
        "cores": os.cpu_count() or 1,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def progress(text: str) -> None:
    """One line for the person who waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()

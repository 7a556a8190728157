"""Statistics of a LeRobotDataset: of one episode, and of all together (numpy; no I/O).

As in lerobot's `datasets/compute_stats.py`: min, max, mean, std, count and five quantiles; pictures by channel in 0..1,
shape (3, 1, 1). Pictures are counted all, not sampled: a histogram of 256 values tells all of it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels

Stats = dict[str, npt.NDArray[np.float64]]
_QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


class PictureCount:
    """How often each value of each channel was there. One owner."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, 256), np.int64)
        self._frames = 0

    def add(self, pixels: Pixels) -> None:
        """One picture (h, w, 3)."""
        for channel in range(3):
            self._counts[channel] += np.bincount(pixels[..., channel].ravel(), minlength=256)
        self._frames += 1

    def stats(self) -> Stats:
        """Of all pictures so far, at least one."""
        values = np.arange(256) / 255.0
        shares = self._counts / self._counts.sum(axis=1, keepdims=True)
        mean = shares @ values
        below = np.cumsum(shares, axis=1)
        found = {
            "min": values[np.argmax(self._counts > 0, axis=1)],
            "max": values[255 - np.argmax(self._counts[:, ::-1] > 0, axis=1)],
            "mean": mean,
            "std": np.sqrt(np.maximum(0.0, shares @ values**2 - mean**2)),
        }
        found |= {name: values[np.argmax(below >= q - 1e-12, axis=1)] for name, q in _QUANTILES.items()}
        shaped = {name: value.reshape(3, 1, 1) for name, value in found.items()}
        return shaped | {"count": np.array([self._frames], np.float64)}


def of_column(values: npt.NDArray[np.generic]) -> Stats:
    """Of numbers, shape (n, size)."""
    numbers = values.astype(np.float64)
    found = {
        "min": numbers.min(axis=0),
        "max": numbers.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([len(numbers)], np.float64),
    }
    return found | {name: np.quantile(numbers, q, axis=0) for name, q in _QUANTILES.items()}


def together(parts: Sequence[Stats]) -> Stats:
    """Of all episodes. Quantiles are averages weighted by length, as lerobot joins them; the others are exact."""
    weights = np.array([part["count"][0] for part in parts])
    weights = weights / weights.sum()

    def mean_of(rows: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        average: npt.NDArray[np.float64] = np.tensordot(weights, np.stack(rows), axes=1)
        return average

    mean = mean_of([part["mean"] for part in parts])
    variance = mean_of([part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in parts])
    joined = {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": np.sum([part["count"] for part in parts], axis=0),
    }
    return joined | {name: mean_of([part[name] for part in parts]) for name in _QUANTILES}


def plain(stats: Stats) -> dict[str, list[object]]:
    """As JSON and parquet have it: nested lists; the count is a whole number."""
    return {name: (value.astype(int) if name == "count" else value).tolist() for name, value in stats.items()}

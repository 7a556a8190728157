"""Plain MP4 for players and editors, and a CSV with a line a tick."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tray_agent.core.media import Pixels
from tray_agent.core.sample import TickFlag
from tray_agent.exporting.episode import Episode, Format
from tray_agent.exporting.session_video import SessionVideo

_ZOOM = 2
_FLAGS = {flag: str(flag.name).lower() for flag in TickFlag}


def _write(folder: Path, episodes: Sequence[Episode]) -> None:
    for episode in episodes:
        _write_episode(folder, episode)


def _write_episode(folder: Path, episode: Episode) -> None:
    reader = episode.reader
    spec, first_ns = reader.spec, int(reader.ticks.t_ns[0])
    size = (spec.frame_width * _ZOOM, spec.frame_height * _ZOOM)
    with (
        SessionVideo(folder / f"{episode.stem}.mp4", reader, *size) as video,
        (folder / f"{episode.stem}.csv").open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(["frame", "tick", "t_ns", "time_s", *spec.controls.names, *_FLAGS.values()])
        for row, sample in episode.samples():
            video.add(row, zoomed(sample.pixels, _ZOOM))
            values = [f"{float(value):.9g}" for value in sample.action]  # 9 digits: float32 comes back the same
            flags = [int(flag in sample.flags) for flag in _FLAGS]
            seconds = f"{(sample.t_ns - first_ns) / 1e9:.6f}"
            table.writerow([row, sample.tick, sample.t_ns, seconds, *values, *flags])


def zoomed(pixels: Pixels, factor: int) -> Pixels:
    """Each pixel (h, w, 3) as a square of `factor` by `factor`."""
    return np.repeat(np.repeat(pixels, factor, axis=0), factor, axis=1)


FORMAT = Format(
    "mp4",
    "MP4 (H.264, AAC) and a CSV for each session",
    (
        "the pictures are not lossless (each pixel is drawn as 2x2, so that halved colours lose none of them)",
        "what the policy hears (log-mel features)",
        "raw inputs between two ticks",
    ),
    alike=False,
    write=_write,
)

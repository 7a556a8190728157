"""Part `disk` of `bench sessions`: bytes of a session, of a pickle of its frames, and of ffmpeg's video of them."""

import argparse
import math
import pickle
import statistics
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from tray_agent.bench.figures import progress
from tray_agent.bench.session_found import Found
from tray_agent.bench.session_plays import Play, Plays
from tray_agent.core.media import Pixels
from tray_agent.errors import TrayAgentError, WorkerFailed
from tray_agent.sessions.catalogue import disk_bytes
from tray_agent.sessions.coding import CODINGS, Coding, frame_of
from tray_agent.sessions.layout import VIDEO
from tray_agent.sessions.reader import SessionReader
from tray_agent.stage.displays import find_program

Pictures = npt.NDArray[np.uint8]
"""As they were coded: (n, h, w, 3), or (n, 3, h, w) where planes are."""
_LOSSLESS = ("-qp", "0")
_LOSSY = ("-tune", "psnr", "-crf")
_TICKS_AN_HOUR = 20 * 3600
_FFMPEG = "ffmpeg"
_CRF = (1, 51)
_NOTES = (
    "disk: the pickle is {screen_frames, key_frames} with the session's own frames, as small as the policy sees them, "
    "and its actions; disk_vs_source_pickle is the same with frames of the game's own picture size (the old scripts "
    "pickled the screen as it was, which is larger still)",
    "disk: an hour has 72,000 ticks (20 Hz), whatever the game's own rate; slower ones change more from tick to tick",
    "disk: ffmpeg gets what our encoder gets, in its pixel format, with -preset medium and its own keyframes; where we "
    "lose nothing it loses nothing (qp 0), else its crf is that of our PSNR (between two whole ones), with -tune "
    "psnr and colours as much finer than luma as ours",
)


def measure(plays: Plays, options: argparse.Namespace) -> Found:
    """Ratios by game, and their geometric means.

    Raises:
        PlatformUnavailable: a game's package is missing.
    """
    found = Found(notes=list(_NOTES))
    for game in options.games:
        play = plays.play(game, options.minutes)
        ratios = sizes(play)
        progress(f"  {game}: {ratios['disk_vs_raw_pickle']:.1f} times smaller than the pickle")
        try:
            progress(f"  {game}: ffmpeg ...")
            ratios["disk_vs_ffmpeg"] = video_bytes(play) / ffmpeg_bytes(play, plays.folder)
        except TrayAgentError as error:
            found.missing["disk_vs_ffmpeg"] = str(error)
        found.metrics |= {f"{name}_{game}": round(value, 4) for name, value in ratios.items()}
    means = {}
    for name in ("disk_vs_raw_pickle", "disk_vs_ffmpeg", "disk_vs_source_pickle", "session_mb_per_hour"):
        values = [found.metrics[key] for game in options.games if (key := f"{name}_{game}") in found.metrics]
        if values:
            means[name] = round(statistics.geometric_mean(values), 4)
    found.metrics = means | found.metrics
    return found


def sizes(play: Play) -> dict[str, float]:
    """What a play takes: ratios of pickles to the session's folder, and MB (10^6 bytes) an hour of both."""
    reader = SessionReader(play.session)
    ticks, ours = len(reader), disk_bytes(play.session)
    raw = pickled_bytes(play.pictures, reader.ticks.actions)
    width, height = play.source
    source = raw + ticks * width * height * 3 - play.pictures.nbytes
    return {
        "disk_vs_raw_pickle": raw / ours,
        "disk_vs_source_pickle": source / ours,
        "session_mb_per_hour": ours / ticks * _TICKS_AN_HOUR / 1e6,
        "raw_pickle_mb_per_hour": raw / ticks * _TICKS_AN_HOUR / 1e6,
    }


def pickled_bytes(pictures: Pixels, actions: Any) -> int:
    """Length of the pickle that older scripts left."""
    sink = _Counter()
    pickle.dump({"screen_frames": pictures, "key_frames": actions}, sink, protocol=pickle.HIGHEST_PROTOCOL)
    return sink.bytes


class _Counter:
    """A file that only counts."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: Any) -> int:
        """Count."""
        size = memoryview(data).nbytes
        self.bytes += size
        return size


def video_bytes(play: Play) -> int:
    """Of the session's video file."""
    return (play.session / VIDEO).stat().st_size


def ffmpeg_bytes(play: Play, folder: Path) -> float:
    """Of ffmpeg's file with the same frames at the quality that the session's video has.

    Raises:
        PlatformUnavailable: there is no ffmpeg.
        WorkerFailed: it failed.
    """
    find_program(_FFMPEG)
    info, out = SessionReader(play.session).info, folder / f"{play.game}.ffmpeg.mkv"
    coding = CODINGS[info.quality]
    given = as_coded(play.pictures, coding)
    encode = partial(_encode, given, (info.spec.frame_width, info.spec.frame_height), info.spec.rate_hz, coding, out)
    psnr = psnr_of(given, decoded(play.session / VIDEO))
    if math.isinf(psnr):
        encode(_LOSSLESS)
        return out.stat().st_size

    def at(crf: int) -> tuple[float, int]:
        encode((*_LOSSY, str(crf), *_balance(coding)))
        return psnr_of(given, decoded(out)), out.stat().st_size

    return bytes_at(at, psnr)


def bytes_at(at: Callable[[int], tuple[float, int]], psnr: float) -> float:
    """Bytes at which a PSNR is reached: between the two nearest crf, as if their logarithm were linear in dB.

    Args:
        at: (PSNR in dB, bytes) of a whole crf; both fall as it rises.
        psnr: the wanted one, dB.
    """
    low, high = _CRF
    better, worse = at(low), at(high)
    if not worse[0] < psnr < better[0]:
        raise WorkerFailed(f"ffmpeg reaches {worse[0]:.1f} to {better[0]:.1f} dB, not our {psnr:.1f}")
    while high - low > 1:
        middle = (low + high) // 2
        if (got := at(middle))[0] >= psnr:
            low, better = middle, got
        else:
            high, worse = middle, got
    share = (better[0] - psnr) / (better[0] - worse[0])
    return math.exp((1 - share) * math.log(better[1]) + share * math.log(worse[1]))


def psnr_of(wanted: Pictures, got: Pictures) -> float:
    """Peak signal to noise over all of them, dB; infinite where nothing differs."""
    total = sum(float(((a.astype(np.float32) - b) ** 2).sum()) for a, b in zip(wanted, got, strict=True))
    return 10 * math.log10(255.0**2 * wanted.size / total) if total else math.inf


def as_coded(pictures: Pixels, coding: Coding) -> Pictures:
    """What the session's encoder was given for these pictures."""
    return np.stack([frame_of(picture, coding).to_ndarray() for picture in pictures])


def decoded(video: Path) -> Pictures:
    """All frames of a video file, in the pixel format it has."""
    with av.open(str(video)) as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)])


def _balance(coding: Coding) -> tuple[str, ...]:
    """Options that make ffmpeg's luma and colours as fine beside each other as ours are."""
    ours = coding.options.get("x264-params", "").split(":")
    same = [option for option in ours if option.startswith("chroma-qp-offset=")]
    return ("-x264-params", same[0]) if same else ()


def _encode(
    given: Pictures, size: tuple[int, int], rate_hz: float, coding: Coding, out: Path, quality: tuple[str, ...]
) -> None:
    command = [
        find_program(_FFMPEG), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", coding.pix_fmt,
        "-s", f"{size[0]}x{size[1]}", "-r", f"{rate_hz:g}", "-i", "pipe:0",
        "-c:v", coding.encoder, "-pix_fmt", coding.pix_fmt, "-preset", "medium", *quality, str(out),
    ]  # fmt: skip
    done = subprocess.run(command, input=np.ascontiguousarray(given).data, capture_output=True, check=False)
    if done.returncode:
        raise WorkerFailed(
            f"ffmpeg could not encode {len(given)} frames: {done.stderr.decode(errors='replace').strip()}"
        )

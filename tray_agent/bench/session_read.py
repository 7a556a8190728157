"""Part `read` of `bench sessions`: random windows of a session, by our reader, by OpenCV's seeks, by lerobot's loader.

All read the same windows, in turns, one after the other; before each turn the system is asked to forget the files.
Caller's thread, and what OpenCV starts.
"""

import argparse
import importlib
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from tray_agent.bench.figures import progress
from tray_agent.bench.session_found import Found
from tray_agent.bench.session_plays import Play, Plays
from tray_agent.errors import PlatformUnavailable, TrayAgentError, WorkerFailed
from tray_agent.exporting.formats.lerobot import CAMERA
from tray_agent.exporting.registry import FORMATS
from tray_agent.exporting.run import run_export
from tray_agent.sessions.layout import VIDEO
from tray_agent.sessions.reader import SessionReader

LENGTHS = (8, 20)
"""Ticks in a window."""
_TRIALS = 12
_LIKE = 4.0  # grey levels on average, by which a picture may differ after another conversion, or another codec
_SHIFTS = 8  # so many ticks before and after a window are looked at: a seek that misses gives one of those
_SEED = 1
_LEROBOT = "lerobot.datasets.lerobot_dataset"
_PLANES = "read: ours gives the planes that training takes, as SegmentReplay reads them; OpenCV gives RGB"
_OURS, _OPENCV, _LOADER = "ours", "opencv", "lerobot"


@dataclass(frozen=True)
class Way:
    """How windows are read.

    Attributes:
        read: (first tick, the one after the last) -> pictures, one after the other.
        files: what it reads from.
        about: for the notes.
    """

    read: Callable[[int, int], Any]
    files: Sequence[Path]
    about: str = ""


def measure(plays: Plays, options: argparse.Namespace) -> Found:
    """Samples (ticks) a second by way, game and length of window, and the ratios' geometric means.

    Raises:
        PlatformUnavailable: a game's package is missing.
        WorkerFailed: OpenCV can't read the session's video.
    """
    found = Found(notes=[_PLANES, _forgetting()])
    for game in options.games:
        play = plays.play(game, options.minutes)
        session = SessionReader(play.session)
        for length in LENGTHS:
            ways = {_OURS: Way(session.planes, [play.session / VIDEO])}
            ways[_OPENCV] = best_opencv(play.session / VIDEO, session, length, plays.folder)
            found.notes.append(f"read: OpenCV reads {game}, windows of {length}, from {ways[_OPENCV].about}")
            try:
                ways[_LOADER] = _lerobot(play, session, length, plays.folder)
            except TrayAgentError as error:
                found.missing["read_vs_lerobot"] = str(error)
            if _LOADER in ways:
                found.notes.append(f"read: lerobot decodes {game} with {ways[_LOADER].about}")
            rates = in_turns(ways, len(session), length, options.windows, options.rounds)
            told = ", ".join(f"{way} {rate:.0f}" for way, rate in rates.items())
            progress(f"  {game}, windows of {length}: {told} samples/s")
            found.metrics |= {f"read_{way}_per_s_{game}_{length}": round(rate, 1) for way, rate in rates.items()}
    found.metrics = ratios(found.metrics) | found.metrics
    if "read_vs_lerobot" in found.metrics:
        found.missing.pop("read_vs_lerobot", None)
        found.notes.append(
            "read: lerobot decodes our own export (H.264 4:4:4, crf 8) and gives float tensors, with actions and times"
        )
    return found


def ratios(rates: dict[str, float | int]) -> dict[str, float | int]:
    """Ours to each other way, where both were measured: geometric mean, and the least one."""
    found: dict[str, float | int] = {}
    for way, name in ((_OPENCV, "read_vs_opencv_seek"), (_LOADER, "read_vs_lerobot")):
        begins = f"read_{way}_per_s_"
        cases = [key.removeprefix(begins) for key in rates if key.startswith(begins)]
        if cases:
            each = [rates[f"read_{_OURS}_per_s_{case}"] / rates[f"{begins}{case}"] for case in cases]
            found[name] = round(statistics.geometric_mean(each), 3)
            found[f"{name}_min"] = round(min(each), 3)
    return found


def in_turns(ways: dict[str, Way], ticks: int, length: int, windows: int, rounds: int) -> dict[str, float]:
    """Samples a second of each way, the median over rounds; every round has windows of its own, the same for all.

    Args:
        ways: by name.
        ticks: of the session.
        length: ticks in a window.
        windows: in a round.
        rounds: how many.
    """
    random = np.random.default_rng(_SEED)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        firsts = random.integers(0, ticks - length + 1, windows).tolist()
        for name, way in ways.items():
            forget(way.files)
            began = time.perf_counter()
            got = sum(len(way.read(first, first + length)) for first in firsts)
            rates[name].append(got / (time.perf_counter() - began))
            if got != windows * length:
                raise WorkerFailed(f"{name} read {got} pictures of {windows * length}")
    return {name: statistics.median(found) for name, found in rates.items()}


def forget(files: Sequence[Path]) -> None:
    """Ask the system not to keep files in memory; nothing where it can't be asked."""
    if not hasattr(os, "posix_fadvise"):
        return
    advice = getattr(os, "POSIX_FADV_DONTNEED", 4)
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, advice)
        finally:
            os.close(descriptor)


def _forgetting() -> str:
    if hasattr(os, "posix_fadvise"):
        return "read: before each turn the system was asked to forget the files (POSIX_FADV_DONTNEED)"
    return "read: files may have been in memory: this system can't be asked to forget them"


# -- OpenCV ----------------------------------------------------------------------------------------------------------


class _OpenCvVideo:
    """A video by OpenCV; threads 0: as many as it likes."""

    def __init__(self, path: Path, threads: int) -> None:
        options = [cv2.CAP_PROP_N_THREADS, threads] if threads else []
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)

    def read(self, start: int, stop: int) -> list[npt.NDArray[Any]]:
        """Seek, then read one after the other; fewer where it fails."""
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, start)
        found = []
        for _ in range(start, stop):
            there, picture = self._capture.read()
            if not there:
                break
            found.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        return found


def best_opencv(video: Path, session: SessionReader, length: int, folder: Path) -> Way:
    """The quickest of OpenCV's ways that gives the right pictures: our file or an MP4 of the same packets, its own
    threads or one.

    Raises:
        WorkerFailed: none gives the right pictures.
    """
    copy = folder / f"{video.parent.name}.mp4"
    if not copy.exists():
        as_mp4(video, copy, session.spec.rate_hz)
    best, least_s = None, float("inf")
    for path, name in ((video, "our file"), (copy, "an MP4 of the same packets")):
        for threads in (0, 1):
            way = Way(_OpenCvVideo(path, threads).read, [path], f"{name}{', on one thread' * bool(threads)}")
            firsts = np.linspace(0, len(session) - length, _TRIALS).astype(int).tolist()
            began = time.perf_counter()
            got = [way.read(first, first + length) for first in firsts[::-1]][::-1]
            took_s = time.perf_counter() - began
            if took_s < least_s and all(map(partial(is_window, session), firsts, got)):
                best, least_s = way, took_s
    if best is None:
        raise WorkerFailed("OpenCV finds the right pictures neither in the session's video nor in an MP4 of it")
    return best


def is_window(session: SessionReader, first: int, got: Sequence[npt.NDArray[Any]]) -> bool:
    """Whether these are the pictures from that tick on, in other colours at most, and no others are more like them.

    Args:
        session: what was recorded.
        first: the tick.
        got: RGB, uint8 (h, w, 3) each. Luma counts: other programs know nothing of our colour differences.
    """
    length = len(got)
    if not length:
        return False
    begin, end = max(0, first - _SHIFTS), min(len(session), first + length + _SHIFTS)
    around = session.planes(begin, end)[:, 0].astype(np.float32)
    shown = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in got]).astype(np.float32)
    apart = [float(np.abs(around[at : at + length] - shown).mean()) for at in range(end - begin - length + 1)]
    return apart[first - begin] == min(apart) < _LIKE


def as_mp4(video: Path, copy: Path, rate_hz: float) -> None:
    """The same packets with an index, each frame at its number / rate exactly."""
    frame_s = 1 / Fraction(rate_hz).limit_denominator(1000)
    with av.open(str(video)) as source, av.open(str(copy), "w", format="mp4") as target:
        (stream,) = source.streams.video
        into = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.pts is not None and packet.dts is not None:
                step = packet.time_base / frame_s
                packet.pts, packet.dts, packet.duration = round(packet.pts * step), round(packet.dts * step), 1
                packet.time_base, packet.stream = frame_s, into
                target.mux(packet)


# -- lerobot ---------------------------------------------------------------------------------------------------------


def _lerobot(play: Play, session: SessionReader, length: int, folder: Path) -> Way:
    """Its own loader on our export.

    Raises:
        PlatformUnavailable: it is not installed, or can't load the export.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # it lies here; nothing is to be asked of the network
    try:
        module = importlib.import_module(_LEROBOT)
    except ImportError as error:
        raise PlatformUnavailable(
            f"Not compared with lerobot's loader, which is not installed here ({error})", "pip install lerobot"
        ) from error
    rate_hz = session.spec.rate_hz
    if not float(rate_hz).is_integer():
        raise PlatformUnavailable(f"lerobot takes whole rates only; {play.game} has {rate_hz:g} Hz")
    out = folder / f"{play.game}.lerobot"
    if not out.exists():
        run_export([play.session], FORMATS["lerobot"], out, lambda _number, _ticks: None)
    ahead = {CAMERA: [tick / rate_hz for tick in range(length)]}
    for backend in ("torchcodec", "pyav"):
        try:
            data = module.LeRobotDataset("local/bench", root=out, delta_timestamps=ahead, video_backend=backend)
            shown = (data[_TRIALS][CAMERA].numpy().transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)
        except Exception as error:  # noqa: BLE001 - whatever its many libraries raise
            problem = f"{type(error).__name__}: {error}"
            continue
        if len(shown) != length or not is_window(session, _TRIALS, shown):
            raise WorkerFailed(f"lerobot gives other pictures of {play.game} than were recorded")
        files = [path for path in out.rglob("*") if path.is_file()]
        return Way(partial(_item, data), files, backend)
    raise PlatformUnavailable(f"Not compared with lerobot's loader, which does not load the export: {problem}")


def _item(data: Any, start: int, _stop: int) -> Any:
    """Pictures of a window as its loader gives them; the length is the data's."""
    return data[start][CAMERA]

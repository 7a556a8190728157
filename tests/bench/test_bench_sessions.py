"""`bench sessions`: its parts' arithmetic, and a small real run of what needs neither a screen nor quiet cores."""

import argparse
import math
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from session_data import PERIOD_NS, SPEC, record

from tray_agent.bench import session_crash, session_disk, session_read, session_train, sessions
from tray_agent.bench.session_found import Found
from tray_agent.bench.session_plays import Play, Plays
from tray_agent.core.clock import ManualClock
from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import PlatformUnavailable, WorkerFailed
from tray_agent.sessions.coding import CODINGS
from tray_agent.sessions.layout import TICKS, VIDEO
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.writer import SessionWriter

MOVING = PolicySpec(Controls(("KeyW",)), rate_hz=20, frame_width=64, frame_height=48)


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    sessions.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture(params=["lossless", "high"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """Two seconds and a half of a square that moves over a picture, and the session of it."""
    random = np.random.default_rng(1)
    pictures = np.repeat(random.integers(0, 256, (1, 48, 64, 3), np.uint8), 50, axis=0)
    for number, picture in enumerate(pictures):
        picture[20:28, number : number + 8] = 255
    folder = tmp_path / "sessions" / "game" / "one"
    writer = SessionWriter(
        folder, MOVING, "game", [0.0] * 8, clock=ManualClock(), threaded=False, quality=request.param
    )
    writer.start()
    silence, action = np.zeros(MOVING.audio_shape, np.float32), np.zeros(1, np.float32)
    for tick, picture in enumerate(pictures):
        writer.add(TickSample(tick, tick * PERIOD_NS, picture, silence, action, TickFlag.LEARN))
    assert writer.close()
    return Play("game", folder, pictures, (160, 120))


# -- the whole -------------------------------------------------------------------------------------------------------


def test_figures_are_told_beside_their_targets() -> None:
    """Those with targets first, whether they reach them, and what else was found."""
    metrics = {
        "disk_vs_raw_pickle_pong": 5.0,
        "crash_max_lost_s": 0.4,
        "disk_vs_raw_pickle": 99.9,
        "overhead_core": 0.1,
    }
    said = sessions.report(Found(metrics, ["a note"], {"train": "no torch"}))
    assert list(said["metrics"]) == [
        "disk_vs_raw_pickle", "overhead_core", "crash_max_lost_s", "disk_vs_raw_pickle_pong",
    ]  # fmt: skip
    assert said["wanted"] == {"disk_vs_raw_pickle": ">= 100", "overhead_core": "<= 0.1", "crash_max_lost_s": "<= 1"}
    assert said["missed"] == ["disk_vs_raw_pickle"]
    assert (said["missing"], said["notes"]) == ({"train": "no torch"}, ["a note"])


def test_what_is_missing_costs_its_part_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part that can't run is told with its reason; only where none can the benchmark fails."""

    def measured(part: str, plays: Plays, _: argparse.Namespace) -> Found:
        assert plays.folder.is_dir()
        if part == "overhead":
            raise PlatformUnavailable("Xvfb is not installed", "Install it")
        if part == "read":
            raise ImportError("No module named 'cv2'")
        return Found({f"{part}_count": 1})

    monkeypatch.setattr(sessions, "_measured", measured)
    result = sessions.run(options())
    assert result["metrics"] == {"disk_count": 1, "train_count": 1, "crash_count": 1}
    assert result["missing"] == {"overhead": "Xvfb is not installed. Install it", "read": "No module named 'cv2'"}
    assert result["machine"]["cores"] >= 1
    with pytest.raises(PlatformUnavailable, match=r"overhead: Xvfb .*read: No module"):
        sessions.run(options("--only", "read,overhead"))


def test_parts_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """In the benchmark's own order; a part that does not exist is told."""
    assert options().only == sessions.PARTS
    assert options("--only", "crash,disk").only == ("disk", "crash")
    with pytest.raises(SystemExit):
        options("--only", "disk,speed")
    assert "speed: no such part" in capsys.readouterr().err


# -- disk ------------------------------------------------------------------------------------------------------------


def test_sizes_are_of_the_folder_and_of_a_real_pickle(play: Play) -> None:
    """The session's own frames in the pickle; beside it, frames of the game's own size."""
    pickled = session_disk.pickled_bytes(play.pictures, SessionReader(play.session).ticks.actions)
    assert 0 < pickled - play.pictures.nbytes < 1000
    ours = sum(path.stat().st_size for path in play.session.iterdir())
    found = session_disk.sizes(play)
    assert found["disk_vs_raw_pickle"] == pytest.approx(pickled / ours)
    assert found["disk_vs_source_pickle"] == pytest.approx(found["disk_vs_raw_pickle"] * 120 * 160 / 48 / 64, rel=0.01)
    assert found["session_mb_per_hour"] == pytest.approx(ours / 50 * 72_000 / 1e6)


def test_quality_is_measured_in_db() -> None:
    """Infinite where nothing is lost."""
    black = np.zeros((2, 4, 4, 3), np.uint8)
    assert session_disk.psnr_of(black, black) == math.inf
    assert session_disk.psnr_of(black, black + 1) == pytest.approx(20 * math.log10(255))


def test_ffmpegs_size_is_that_at_our_quality() -> None:
    """Between the two nearest crf; what it can't reach is told."""
    asked: list[int] = []

    def at(crf: int) -> tuple[float, int]:
        asked.append(crf)
        return 60.0 - crf, round(1e6 * 0.9**crf)

    assert session_disk.bytes_at(at, 39.5) == pytest.approx(1e6 * 0.9**20.5, rel=1e-4)
    assert len(asked) <= 8
    with pytest.raises(WorkerFailed, match="not our 70"):
        session_disk.bytes_at(at, 70.0)


def test_ffmpeg_gets_the_same_frames_at_the_same_quality(play: Play, tmp_path: Path) -> None:
    """In the same pixel format; without loss where the session has none, else at its PSNR."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    session = SessionReader(play.session)
    given = session_disk.as_coded(play.pictures, CODINGS[session.info.quality])
    ours = session_disk.psnr_of(given, session_disk.decoded(play.session / VIDEO))
    size = session_disk.ffmpeg_bytes(play, tmp_path)
    theirs = session_disk.psnr_of(given, session_disk.decoded(tmp_path / "game.ffmpeg.mkv"))
    written = (tmp_path / "game.ffmpeg.mkv").stat().st_size
    if session.info.quality == "lossless":
        assert (ours, theirs, size) == (math.inf, math.inf, written)
    else:
        assert abs(ours - theirs) < 2.0  # the last whole crf that was tried
        assert session_disk._balance(CODINGS["high"])[0] == "-x264-params"
        assert 0.5 * written < size < 2 * written


def test_recorded_play_is_measured(tmp_path: Path) -> None:
    """A real game for three seconds: pictures kept are those of the session, and there is a figure for it."""
    pytest.importorskip("ale_py", reason="ale-py is not installed")
    plays = Plays(tmp_path, "high")
    found = session_disk.measure(plays, options("--games", "pong", "--minutes", "0.05"))
    play = plays.play("pong", 0.05)
    assert len(play.pictures) == len(SessionReader(play.session)) == 45
    assert play.source == (160, 210)
    assert found.metrics["disk_vs_raw_pickle"] > 1
    assert ("disk_vs_ffmpeg" in found.metrics) != ("disk_vs_ffmpeg" in found.missing)


# -- reading ---------------------------------------------------------------------------------------------------------


def _asked(log: list[tuple[int, int]], first: int, end: int) -> range:
    log.append((first, end))
    return range(first, end)


def test_readers_take_turns_with_the_same_windows(tmp_path: Path) -> None:
    """In each round other windows, within the session."""
    asked: dict[str, list[tuple[int, int]]] = {"ours": [], "opencv": []}
    ways = {name: session_read.Way(partial(_asked, asked[name]), []) for name in asked}
    rates = session_read.in_turns(ways, 9, 8, 20, 3)
    assert asked["ours"] == asked["opencv"]
    assert len(asked["ours"]) == 60
    assert set(asked["ours"]) == {(0, 8), (1, 9)}
    assert min(rates.values()) > 0


def test_ratios_are_means_over_games_and_lengths() -> None:
    """Only of what was measured both ways."""
    rates = {f"read_{way}_per_s_{case}": rate for way, case, rate in (
        ("ours", "a_8", 100.0), ("opencv", "a_8", 50.0),
        ("ours", "b_8", 900.0), ("opencv", "b_8", 50.0), ("lerobot", "b_8", 90.0),
    )}  # fmt: skip
    found = session_read.ratios(rates)
    assert (found["read_vs_opencv_seek"], found["read_vs_opencv_seek_min"]) == (6.0, 2.0)
    assert found["read_vs_lerobot"] == 10.0
    assert session_read.ratios({}) == {}


def test_opencv_reads_the_same_pictures(play: Play, tmp_path: Path) -> None:
    """Whichever way was the quickest, from any tick on."""
    session = SessionReader(play.session)
    way = session_read.best_opencv(play.session / VIDEO, session, 8, tmp_path)
    session_read.forget(way.files)
    for first in (0, 17, 42, 5):
        assert session_read.is_window(session, first, way.read(first, first + 8))


def test_pictures_of_other_ticks_are_noticed(play: Play) -> None:
    """Also such as differ little; other colours are not minded."""
    session = SessionReader(play.session)
    shown = session.frames(17, 25)
    assert session_read.is_window(session, 17, list(shown))
    assert session_read.is_window(session, 17, list(shown // 2 * 2))
    for wrong in (session.frames(18, 26), session.frames(9, 17), shown // 2, shown[:0]):
        assert not session_read.is_window(session, 17, list(wrong))
    with pytest.raises(WorkerFailed, match="opencv read 7 pictures of 8"):
        session_read.in_turns({"opencv": session_read.Way(lambda a, b: shown[:7], [])}, 50, 8, 1, 1)


# -- training --------------------------------------------------------------------------------------------------------


def test_two_processes_are_told_against_one() -> None:
    """Medians over rounds."""
    found = session_train.ratio({1: [100.0, 110.0], 2: [190.0, 188.0]})
    assert found == {
        "train_2_processes_vs_1": 1.8, "train_1_process_per_s": 105.0, "train_2_processes_per_s": 189.0,
    }  # fmt: skip


# -- kill -9 ---------------------------------------------------------------------------------------------------------


def test_what_is_missing_of_what_was_handed_over_is_lost(tmp_path: Path) -> None:
    """Ticks, sound and events each on their own; up to the first hole."""
    record(tmp_path / "one", range(40), spec=SPEC)
    handed = [(tick, tick * PERIOD_NS) for tick in range(44)]
    loss = session_crash.judged(tmp_path / "one", handed)
    assert loss == session_crash.Loss(True, 0.2, pytest.approx(0.15, abs=0.001), 0.2)
    assert loss.worst_s == 0.2
    record(tmp_path / "two", [*range(10), *range(30, 40)], spec=SPEC)
    assert session_crash.judged(tmp_path / "two", handed).ticks_s == pytest.approx(34 * 0.05)
    assert session_crash.judged(tmp_path / "two", handed[:5]).ticks_s == 0.0  # more was written than told


def test_a_session_that_does_not_open_is_lost_as_a_whole(tmp_path: Path) -> None:
    """And counted."""
    record(tmp_path / "one", spec=SPEC)
    (tmp_path / "one" / TICKS).write_bytes(b"TATICKS\x01" + bytes(64))
    losses = [session_crash.judged(tmp_path / "one", [(0, 0), (20, 10**9)]), session_crash.Loss(True, 0.1, 0.3, 0.0)]
    found = session_crash.summary(losses)
    assert (found["crash_kills"], found["crash_opened"], found["crash_max_lost_s"]) == (2, 1, 1.0)


def test_writers_are_killed_and_their_sessions_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two real kills."""
    monkeypatch.setattr(session_crash, "_LIVES_S", (0.2, 0.6))
    found = session_crash.measure(Plays(tmp_path, "high"), options("--kills", "2", "--beside", "2"))
    assert (found.metrics["crash_kills"], found.metrics["crash_opened"]) == (2, 2)
    assert 0 <= found.metrics["crash_max_lost_s"] <= 1.0
    assert list((tmp_path / "crash" / "game").iterdir()) == []


def test_a_writer_that_ends_by_itself_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than counted as killed."""
    monkeypatch.setattr(session_crash, "_COMMAND", (session_crash.sys.executable, "-c", "raise SystemExit(3)"))
    monkeypatch.setattr(session_crash, "_LIVES_S", (0.2, 0.3))
    with pytest.raises(WorkerFailed, match="code 3"):
        session_crash.measure(Plays(tmp_path, "high"), options("--kills", "1"))

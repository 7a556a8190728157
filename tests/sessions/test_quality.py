"""Pictures that are not kept exactly: what must survive, live reading, cutting, repair, and both kinds side by side."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from session_data import SILENT, VECTOR, record, rewrite, sample

from tray_agent.core.clock import ManualClock
from tray_agent.core.planes import planes_of
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.repair import repair
from tray_agent.sessions.trim import trim
from tray_agent.sessions.writer import SessionWriter

SPEC = replace(SILENT, frame_width=64, frame_height=48)
GROUND = (40, 90, 60)
BALL = (230, 220, 90)
SIDE = 2
GROUP = 40  # two seconds of 20 Hz


def ball_at(tick: int) -> tuple[int, int]:
    """Row and column of the ball's upper left corner."""
    return 4 + 7 * tick % 40, 2 + 5 * tick % 58


def picture(tick: int, spec: PolicySpec = SPEC) -> np.ndarray:
    """A ball of 2x2 pixels that jumps about on a plain ground, beside a coloured bar."""
    pixels = np.full((spec.frame_height, spec.frame_width, 3), GROUND, np.uint8)
    pixels[: spec.frame_height // 12] = (200, 30, 40)
    row, column = ball_at(tick)
    pixels[row : row + SIDE, column : column + SIDE] = BALL
    return pixels


def write(folder: Path, quality: str = "high", ticks: int = 150, spec: PolicySpec = SPEC, close: bool = True):
    """A session of that play."""
    writer = SessionWriter(folder, spec, "game", VECTOR, clock=ManualClock(), threaded=False, quality=quality)
    writer.start()
    for tick in range(ticks):
        writer.add(replace(sample(tick, spec=spec), pixels=picture(tick, spec)))
    if close:
        assert writer.close()
        assert writer.failure is None
    return writer


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished session of 150 ticks."""
    folder = tmp_path_factory.mktemp("whole") / "game" / "20260101T000000Z-aaaaaa"
    write(folder)
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    folder = tmp_path / "game" / whole.name
    shutil.copytree(whole, folder)
    return folder


def frames(folder: Path) -> np.ndarray:
    """All pictures of a session."""
    reader = SessionReader(folder)
    return reader.frames(0, len(reader))


@pytest.mark.parametrize(("quality", "contrast", "colour"), [("high", 0.7, 4), ("small", 0.5, 8)])
def test_small_things_and_colours_survive(tmp_path: Path, quality: str, contrast: float, colour: int) -> None:
    """A jumping ball of four pixels is in every frame where it was, keeps its contrast; plain colours stay."""
    write(tmp_path / "s", quality)
    for tick, pixels in enumerate(frames(tmp_path / "s")):
        row, column = ball_at(tick)
        seen = pixels[row : row + SIDE, column : column + SIDE].astype(int) - GROUND
        assert seen[..., :2].mean() > contrast * (np.subtract(BALL, GROUND)[:2]).mean()
        assert np.abs(pixels[0, :, :].astype(int) - (200, 30, 40)).max() <= colour
        elsewhere = pixels.astype(int) - picture(tick)
        elsewhere[max(0, row - 4) : row + 6, max(0, column - 4) : column + 6] = 0
        assert np.abs(elsewhere).mean() < 2


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (47, 33), (16, 1), (97, 131)])
@pytest.mark.parametrize("quality", ["high", "small"])
def test_any_size(tmp_path: Path, quality: str, width: int, height: int) -> None:
    """Odd and tiny sizes work as well; a plain colour comes back as it was, but for rounding."""
    spec = replace(SILENT, frame_width=width, frame_height=height)
    writer = SessionWriter(tmp_path / "s", spec, "game", VECTOR, clock=ManualClock(), threaded=False, quality=quality)
    writer.start()
    for tick in range(12):
        pixels = np.full((height, width, 3), (20 * tick, 255 - 10 * tick, 128), np.uint8)
        writer.add(replace(sample(tick, spec=spec), pixels=pixels))
    assert writer.close()
    for tick, pixels in enumerate(frames(tmp_path / "s")):
        assert np.abs(pixels.astype(int) - (20 * tick, 255 - 10 * tick, 128)).max() <= 10


@pytest.mark.parametrize("rate", [0.5, 7.5, 59.94, 240.0])
def test_any_rate(tmp_path: Path, rate: float) -> None:
    """Slow, fast and broken rates keep every frame."""
    write(tmp_path / "s", ticks=20, spec=replace(SPEC, rate_hz=rate))
    assert len(SessionReader(tmp_path / "s")) == 20


@pytest.mark.parametrize("ground", [(144, 72, 17), (0, 28, 136), (80, 0, 132), (255, 255, 255), (53, 95, 24)])
def test_the_network_sees_no_other_ground(tmp_path: Path, ground: tuple[int, int, int]) -> None:
    """A plain ground stays the very same to the network: one level more all over would change what it does."""
    writer = SessionWriter(tmp_path / "s", SPEC, "game", VECTOR, clock=ManualClock(), threaded=False, quality="high")
    writer.start()
    pixels = np.full((48, 64, 3), ground, np.uint8)
    for tick in range(20):
        moving = pixels.copy()
        moving[20:22, 3 * tick : 3 * tick + 2] = BALL
        writer.add(replace(sample(tick, spec=SPEC), pixels=moving))
    assert writer.close()
    wanted = planes_of(pixels)
    for seen in frames(tmp_path / "s"):
        assert (planes_of(seen) == wanted).all(0)[32:].all()


def test_windows_are_those_of_the_whole(whole: Path) -> None:
    """Any stretch reads as it does when all is read in order, whatever was read before."""
    reader = SessionReader(whole)
    everything = reader.frames(0, 150)
    for start, stop in ((149, 150), (0, 1), (39, 42), (77, 97), (40, 80), (3, 7)):
        assert np.array_equal(reader.frames(start, stop), everything[start:stop])


def test_planes_are_those_that_the_network_sees(tmp_path: Path, whole: Path) -> None:
    """Without loss exactly those of the pictures; else as they were coded, which no picture has exactly everywhere."""
    write(tmp_path / "s", "lossless", ticks=30)
    exact, coded = SessionReader(tmp_path / "s"), SessionReader(whole)
    assert np.array_equal(exact.planes(7, 30), [planes_of(picture) for picture in exact.frames(7, 30)])
    shown = np.stack([planes_of(picture) for picture in coded.frames(33, 90)])
    apart = np.abs(coded.planes(33, 90).astype(int) - shown)
    assert apart.max() <= 4
    assert (apart > 1).mean() < 0.01
    assert coded.planes(5, 5).shape == (0, 3, 48, 64)
    with pytest.raises(IndexError, match="150"):
        coded.planes(5, 151)


def test_it_is_smaller(tmp_path: Path, whole: Path) -> None:
    """Less exact is smaller, or there would be no point in it."""
    write(tmp_path / "small", "small")
    record(tmp_path / "noise" / "lossless", range(60), SPEC)
    writer = SessionWriter(tmp_path / "noise" / "high", SPEC, "g", VECTOR, clock=ManualClock(), threaded=False,
                           quality="high")  # fmt: skip
    writer.start()
    for tick in range(60):
        writer.add(sample(tick, spec=SPEC))
    writer.close()
    size = {path: (path / "video.mkv").stat().st_size for path in (tmp_path / "noise").iterdir()}
    assert size[tmp_path / "noise" / "high"] < 0.7 * size[tmp_path / "noise" / "lossless"]
    assert (tmp_path / "small" / "video.mkv").stat().st_size <= (whole / "video.mkv").stat().st_size


def test_read_while_it_is_written(tmp_path: Path) -> None:
    """A live session is readable up to a third of a second ago; what was read then does not change later."""
    writer = write(tmp_path / "s", ticks=1, close=False)
    reader = SessionReader(tmp_path / "s")
    seen = []
    for tick in range(1, 100):
        writer.add(replace(sample(tick, spec=SPEC), pixels=picture(tick)))
        assert reader.refresh() >= tick + 1 - 0.3 * SPEC.rate_hz
        seen += list(reader.frames(len(seen), len(reader)))
    writer.close()
    assert np.array_equal(np.stack(seen), frames(tmp_path / "s")[: len(seen)])


def test_it_says_so(whole: Path, copied: Path) -> None:
    """session.json tells codec and quality; an unknown one is refused; one of schema 1 is lossless."""
    data = json.loads((whole / "session.json").read_text())
    assert (data["schema"], data["video"]) == (2, {"codec": "h264", "quality": "high"})
    assert SessionReader(whole).info.quality == "high"
    for video in ({"codec": "h264", "quality": "best"}, {"codec": "av1", "quality": "high"}, "h264"):
        rewrite(copied, video=video)
        with pytest.raises(SessionError, match=r"session\.json is damaged"):
            SessionReader(copied)
    del data["video"]
    (copied / "session.json").write_text(json.dumps(data | {"schema": 1}))
    assert SessionReader(copied).info.quality == "lossless"


# -- cutting -----------------------------------------------------------------------------------------------------------


def test_cutting_does_not_code_again(copied: Path, whole: Path) -> None:
    """What is left begins where a frame stands for itself, and is the same to the last bit, twice over."""
    before = frames(whole)
    first = SessionReader(copied).keyframe_from(10)
    assert 10 < first <= GROUP
    new = trim(copied, 0.5, 6.0)
    reader = SessionReader(new)
    assert reader.ticks.tick.tolist() == list(range(first, 120))
    assert reader.ticks.flags[0] & TickFlag.GAP
    assert reader.info.quality == "high"
    assert reader.info.start_ns == int(reader.ticks.t_ns[0])
    assert np.array_equal(frames(new), before[first:120])
    again = trim(new, None, 3.0)
    assert SessionReader(again).ticks.tick.tolist() == list(range(first, first + 60))
    assert np.array_equal(frames(again), before[first : first + 60])
    assert not repair(again).done


def test_short_stretch_is_kept_without_loss(copied: Path, whole: Path) -> None:
    """A stretch in which no frame stands for itself is coded again, but loses nothing by it."""
    before = SessionReader(copied)
    end = before.keyframe_from(120) or 150
    begin = max(row for row in range(end) if before.keyframe_from(row) == row) + 1
    assert end - begin > 2
    new = trim(copied, begin / SPEC.rate_hz, end / SPEC.rate_hz)
    reader = SessionReader(new)
    assert reader.ticks.tick.tolist() == list(range(begin, end))
    assert reader.info.quality == "lossless"
    assert np.array_equal(frames(new), frames(whole)[begin:end])


# -- after a crash -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95])
def test_cut_off_anywhere(copied: Path, whole: Path, share: float) -> None:
    """Wherever the video ends, what is whole before that reads as it did, repaired or not."""
    rewrite(copied, closed=None)
    os.truncate(copied / "video.mkv", int(share * (whole / "video.mkv").stat().st_size))
    left = len(SessionReader(copied))
    assert left <= 150 * (share + 0.2)
    told = repair(copied)
    assert (told.done, told.ticks, told.lost_ticks) == (True, left, 150 - left)
    assert np.array_equal(frames(copied), frames(whole)[:left])


def test_rebuilt_metadata_have_their_own_quality(copied: Path) -> None:
    """A session without metadata takes its controls from a lossless neighbour, its quality from its video."""
    write(copied.parent / "20260102T000000Z-bbbbbb", "lossless", 5)
    (copied / "session.json").unlink()
    told = repair(copied)
    assert (told.ticks, told.rebuilt_from) == (150, "20260102T000000Z-bbbbbb")
    assert SessionReader(copied).info.quality == "high"

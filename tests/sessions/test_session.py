"""Writing and reading a session: exact, odd sizes, live, bad input."""

import json
import stat
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_data import CONTROLS, PERIOD_NS, SILENT, SPEC, VECTOR, pixels, sample

from tray_agent.core.clock import ManualClock
from tray_agent.core.events import InputEvent
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk
from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.layout import new_folder
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.writer import SessionWriter


def _write(folder, spec=SPEC, ticks=range(60), threaded=False, marks=(), close=True):
    writer = SessionWriter(folder, spec, "game", VECTOR, clock=ManualClock(), threaded=threaded)
    writer.start()
    for tick in ticks:
        writer.add(sample(tick, spec=spec))
    for mark in marks:
        writer.mark(*mark)
    if close:
        assert writer.close()
        assert writer.failure is None
    return writer


@pytest.mark.parametrize("threaded", [True, False])
def test_what_is_written_is_read_exactly(tmp_path, threaded):
    """Pixels, actions, times and flags come back bit for bit; audio features to half precision."""
    _write(tmp_path / "s", threaded=threaded)
    session = SessionReader(tmp_path / "s")
    assert len(session) == 60
    for got in session.samples():
        want = sample(got.tick)
        assert np.array_equal(got.pixels, want.pixels)
        assert np.array_equal(got.action, want.action)
        assert np.array_equal(got.audio, want.audio)
        assert (got.t_ns, got.flags) == (want.t_ns, want.flags)
        assert got.pixels.flags.c_contiguous


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (47, 33), (128, 96), (97, 131), (16, 1), (84, 84)])
def test_any_size_is_lossless(tmp_path, width, height):
    """Odd and tiny frame sizes are stored as exactly as even ones."""
    spec = replace(SILENT, frame_width=width, frame_height=height)
    _write(tmp_path / "s", spec, range(30))
    session = SessionReader(tmp_path / "s")
    assert len(session) == 30
    assert np.array_equal(session.frames(0, 30), np.stack([pixels(i, width, height) for i in range(30)]))


@pytest.mark.parametrize("rate", [0.5, 7.5, 59.94, 240.0])
def test_any_rate(tmp_path, rate):
    """Slow, fast and broken rates keep every frame."""
    _write(tmp_path / "s", replace(SILENT, rate_hz=rate), range(20))
    assert len(SessionReader(tmp_path / "s")) == 20


@given(a=st.integers(0, 120), b=st.integers(0, 120))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_random_access(tmp_path, a, b):
    """Any stretch of frames, in any order of asking, holds the right pictures."""
    folder = tmp_path / "s"
    if not folder.exists():
        _write(folder, SILENT, range(120))
    start, stop = min(a, b), max(a, b)
    frames = SessionReader(folder).frames(start, stop)
    assert frames.shape == (stop - start, 12, 16, 3)
    for i in range(start, stop):
        assert np.array_equal(frames[i - start], pixels(i, 16, 12))


def test_one_reader_many_asks(tmp_path):
    """One reader's decoder is not confused by jumping about, and says where the end is."""
    _write(tmp_path / "s", SILENT, range(90))
    session = SessionReader(tmp_path / "s")
    for start in (80, 3, 41, 41, 0, 89, 19, 20, 21):
        assert np.array_equal(session.frames(start, start + 1)[0], pixels(start, 16, 12))
    assert session.frames(5, 5).shape == (0, 12, 16, 3)
    for start, stop in ((-1, 2), (0, 91), (5, 4)):
        with pytest.raises(IndexError, match="90"):
            session.frames(start, stop)


def test_read_while_it_is_written(tmp_path):
    """A reader opened on a live session sees it grow, at most one tick behind, and the end when it comes."""
    writer = _write(tmp_path / "s", SILENT, range(3), close=False)
    session = SessionReader(tmp_path / "s")
    assert len(session) == 2
    for tick in range(3, 50):
        writer.add(sample(tick, spec=SILENT))
        assert session.refresh() == tick
        assert np.array_equal(session.frames(tick - 1, tick)[0], pixels(tick - 1, 16, 12))
    assert session.info.closed is None
    writer.mark(1, 2, TickFlag.STRAYED)
    assert writer.close()
    assert session.refresh() == 50
    assert session.info.closed["ticks"] == 50
    assert np.flatnonzero(session.ticks.flags & TickFlag.STRAYED).tolist() == [1, 2]


def test_marks_set_flags_on_earlier_ticks(tmp_path):
    """Marks add to the ticks they name, by number, also where numbers have holes or reach past the ends."""
    ticks = [0, 1, 2, 5, 6, 7, 9]
    marks = [(2, 5, TickFlag.STRAYED), (6, 100, TickFlag.CORRECTION), (3, 4, TickFlag.AGENT), (5, 5, TickFlag.AGENT)]
    _write(tmp_path / "s", SILENT, ticks, marks=marks)
    table = SessionReader(tmp_path / "s").ticks
    assert table.tick.tolist() == ticks
    by_tick = dict(zip(ticks, [TickFlag(int(f)) & ~TickFlag.LEARN for f in table.flags], strict=True))
    strayed, corrected = TickFlag.STRAYED, TickFlag.CORRECTION
    assert list(by_tick.values()) == [
        TickFlag(0), TickFlag(0), strayed, strayed | TickFlag.AGENT, corrected, corrected, corrected,
    ]  # fmt: skip


def test_only_mapped_controls_of_the_player_are_kept(tmp_path):
    """Events come back exactly; those of other keys, and the agent's own, never reach the disk."""
    mine = [InputEvent(2**53 + 1, "relative", "MouseX", 0.1 + 0.2, "xi2:7"), InputEvent(9, "button", "KeyA", 1.0)]
    writer = _write(tmp_path / "s", ticks=range(2), close=False)
    writer.add_events([mine[0], InputEvent(3, "button", "KeyP", 1.0), replace(mine[1], own=True), mine[1]])
    writer.close()
    assert SessionReader(tmp_path / "s").events == mine
    assert b"KeyP" not in (tmp_path / "s" / "events.jsonl").read_bytes()


def test_sound_has_no_holes(tmp_path):
    """Each sample lies at its time: a late start and a gap are silence, an overlap is cut, jitter is let through."""
    writer = _write(tmp_path / "s", ticks=range(2), close=False)
    tone = np.sin(np.arange(1600) / 10).astype(np.float32) * 0.7
    ms = 1_000_000
    for t_ns in (500 * ms, 603 * ms, 1000 * ms, 1050 * ms):
        writer.add_audio([AudioChunk(t_ns, tone)])
    writer.close()
    sound = SessionReader(tmp_path / "s").sound()
    want = np.zeros(int(1.15 * AUDIO_RATE_HZ), np.float32)
    for first in (8000, 9600, 16000):
        want[first : first + 1600] = tone
    want[17600:] = tone[800:]
    assert len(sound) == len(want)
    assert np.abs(sound - want).max() < 1 / 32000


def test_gap_of_an_hour_in_the_sound(tmp_path):
    """Sound that comes back after an hour costs neither memory nor disk worth mention."""
    writer = _write(tmp_path / "s", ticks=range(2), close=False)
    writer.add_audio([AudioChunk(0, np.zeros(10, np.float32)), AudioChunk(3600 * 10**9, np.ones(1600, np.float32))])
    writer.close()
    assert writer.failure is None
    assert (tmp_path / "s" / "sound.mkv").stat().st_size < 6 << 20
    sound = SessionReader(tmp_path / "s").sound()
    assert len(sound) == 3600 * AUDIO_RATE_HZ + 1600
    assert sound[-1600:].min() == 1.0


def test_without_audio_there_is_no_track(tmp_path):
    """A game without sound has no sound file, and its features read as silence."""
    writer = _write(tmp_path / "s", SILENT, range(5), close=False)
    writer.add_audio([AudioChunk(0, np.ones(100, np.float32))])
    writer.close()
    session = SessionReader(tmp_path / "s")
    assert not (tmp_path / "s" / "sound.mkv").exists()
    assert session.sound().shape == (0,)
    assert session.ticks.audio.shape == (5, *SILENT.audio_shape)
    assert not session.ticks.audio.any()


def test_folder_is_the_users_alone(tmp_path):
    """Folders 0700, files 0600, metadata from the first moment."""
    folder = new_folder(tmp_path / "data" / "sessions", "My Game: 2/3")
    _write(folder)
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o600}
    for parent in (folder, folder.parent, folder.parent.parent):
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700
    info = SessionReader(folder).info
    assert (info.game, info.vector, info.spec, info.start_ns) == ("game", tuple(VECTOR), SPEC, 0)
    assert abs(info.wall_ns - time.time_ns()) < 600 * 10**9


def test_session_that_holds_nothing(tmp_path):
    """A session closed at once, or never closed, opens with no ticks."""
    for name, close in (("a", True), ("b", False)):
        _write(tmp_path / name, ticks=(), close=close)
        session = SessionReader(tmp_path / name)
        assert len(session) == 0
        assert list(session.samples()) == []
        assert session.sound().shape == (0,)


def test_folder_that_exists_is_not_touched(tmp_path):
    """Starting on a folder that is there is one clear error and changes nothing."""
    _write(tmp_path / "s")
    writer = SessionWriter(tmp_path / "s", SPEC, "game", VECTOR)
    with pytest.raises(SessionError, match="exists"):
        writer.start()
    assert len(SessionReader(tmp_path / "s")) == 60
    assert writer.close()


def test_vector_must_fit(tmp_path):
    """A game vector of another length or with NaN is refused before anything is made."""
    for vector in ([1.0], [float("nan")] * 8):
        with pytest.raises(SessionError, match="8 finite"):
            SessionWriter(tmp_path / "s", SPEC, "game", vector).start()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pixels": np.zeros((5, 5, 3), np.uint8)}, "frame"),
        ({"pixels": np.zeros((36, 48, 3), np.float32)}, "float32"),
        ({"action": np.zeros(3, np.float32)}, "action"),
        ({"audio": np.zeros((1, 1), np.float32)}, "audio"),
        ({"tick": 4}, "tick 4 after tick 4"),
    ],
)
def test_bad_sample_is_refused(tmp_path, change, said):
    """A sample that does not fit is an error at once, and the session goes on."""
    writer = _write(tmp_path / "s", ticks=range(5), close=False)
    with pytest.raises(ValueError, match=said):
        writer.add(replace(sample(5), **change))
    writer.add(sample(5))
    writer.close()
    assert len(SessionReader(tmp_path / "s")) == 6


def test_full_queue_drops_counts_and_marks_the_gap(tmp_path):
    """A writer that can't keep up never blocks: ticks are dropped and counted, the next one written has GAP."""
    spec = replace(SPEC, rate_hz=1.0, frame_width=640, frame_height=480, audio=False)
    writer = SessionWriter(tmp_path / "s", spec, "game", VECTOR, clock=ManualClock())
    writer.start()
    noise, given = pixels(0, 640, 480), 0
    longest = 0.0
    while writer.counts().dropped < 3 and given < 2000:
        begun = time.monotonic()
        writer.add(replace(sample(given, spec=SILENT), pixels=noise))
        longest = max(longest, time.monotonic() - begun)
        given += 1
    deadline = time.monotonic() + 60
    while writer.counts().ticks < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    writer.add(replace(sample(given, spec=SILENT), pixels=noise))
    assert writer.close(60)
    counts = writer.counts()
    table = SessionReader(tmp_path / "s").ticks
    assert counts.dropped >= 3
    assert counts.ticks == given + 1 - counts.dropped == len(table)
    holes = np.flatnonzero(np.diff(table.tick) > 1) + 1
    assert len(holes)
    assert np.flatnonzero(table.flags & TickFlag.GAP).tolist() == holes.tolist()
    assert SessionReader(tmp_path / "s").info.closed["dropped"] == counts.dropped
    assert longest < 1.0


def test_caller_may_reuse_its_buffers(tmp_path):
    """In threaded mode the arrays given to add may be overwritten right away."""
    writer = SessionWriter(tmp_path / "s", SPEC, "game", VECTOR)
    writer.start()
    buffer = np.zeros((36, 48, 3), np.uint8)
    for tick in range(40):
        buffer[:] = pixels(tick)
        writer.add(replace(sample(tick), pixels=buffer))
    writer.close()
    assert all(np.array_equal(s.pixels, pixels(s.tick)) for s in SessionReader(tmp_path / "s").samples())


def test_close_is_idempotent_and_add_after_it_counts(tmp_path):
    """close may come twice, or without start; a tick after it is counted as dropped."""
    writer = _write(tmp_path / "s", ticks=range(3))
    assert writer.close()
    writer.add(sample(3))
    assert writer.counts().dropped == 1
    assert len(SessionReader(tmp_path / "s")) == 3
    assert SessionWriter(tmp_path / "t", SPEC, "game", VECTOR).close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "can't be read"),
        ("{", "can't be read"),
        ("[]", "schema 'list'"),
        ('{"schema": 99}', "schema 99"),
        ('{"schema": 1}', "damaged"),
        ('{"schema": 1, "spec": {"controls": []}}', "damaged"),
        ("\x00\xff", "can't be read"),
    ],
)
def test_damaged_metadata(tmp_path, text, said):
    """Garbage, another version or missing fields are one SessionError that names the file."""
    _write(tmp_path / "s")
    (tmp_path / "s" / "session.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(SessionError, match=said) as caught:
        SessionReader(tmp_path / "s")
    assert "session.json" in str(caught.value)


def test_metadata_of_another_spec(tmp_path):
    """Controls edited behind our back do not fit the ticks and are refused."""
    _write(tmp_path / "s")
    path = tmp_path / "s" / "session.json"
    data = json.loads(path.read_text())
    data["spec"]["controls"]["buttons"] = ["KeyW"]
    path.write_text(json.dumps(data))
    with pytest.raises(SessionError, match="digest"):
        SessionReader(tmp_path / "s")
    data["spec_digest"] = replace(SPEC, controls=replace(CONTROLS, buttons=("KeyW",))).digest
    path.write_text(json.dumps(data))
    with pytest.raises(SessionError, match=r"ticks\.bin"):
        SessionReader(tmp_path / "s")


def test_listing_skips_and_reports_damaged_ones(tmp_path):
    """list_sessions gives the good ones in order of time and says why others can't be opened."""
    root = tmp_path / "sessions"
    good = [new_folder(root, "a"), new_folder(root, "b c")]
    for folder in good:
        _write(folder, SILENT, range(2))
    bad = root / "a" / "20200101T000000Z-ffffff"
    bad.mkdir()
    (root / "stray.txt").write_text("x")
    listing = list_sessions(root)
    assert {s.folder for s in listing.sessions} == set(good)
    assert list(listing.damaged) == [bad]
    assert "session.json" in listing.damaged[bad]
    assert [s.folder for s in list_sessions(root, "b c").sessions] == [good[1]]
    assert list_sessions(root, "none").sessions == ()
    assert list_sessions(tmp_path / "nowhere").sessions == ()


@pytest.mark.parametrize("name", ["..", "../../etc", "", ".", "a/b", "ä", "x" * 40])
def test_game_names_stay_inside_the_root(tmp_path, name):
    """No name of a game leads out of the sessions' folder, and different names never share one."""
    folder = new_folder(tmp_path, name)
    assert folder.parent.parent == tmp_path
    assert folder.parent.name not in {"", ".", ".."}
    assert folder.parent != new_folder(tmp_path, name + "!").parent


def test_time_stamps_follow_the_session_clock(tmp_path):
    """start_ns is the desktop's clock at the start, so ticks and sound share it."""
    clock = ManualClock(77 * PERIOD_NS)
    writer = SessionWriter(tmp_path / "s", SPEC, "game", VECTOR, clock=clock, threaded=False, extra={"player": "x"})
    writer.start()
    writer.close()
    info = SessionReader(tmp_path / "s").info
    assert info.start_ns == 77 * PERIOD_NS
    assert info.extra == {"player": "x"}

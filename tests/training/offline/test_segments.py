"""The replay that reads as it goes: the same ticks as the one in memory, in a bounded window, again and again alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from squares import GAME, SPEC, VECTOR, record, ticks

from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.sessions.layout import VIDEO, game_folder
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training.loading import load_session
from tray_agent.training.offline.segments import SegmentReplay
from tray_agent.training.replay import Replay

FRAME = 40 * 36 * 3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions; in one a hole, a pause and strayed seconds."""
    root = tmp_path_factory.mktemp("sessions")
    record(root, 1, 130)
    writer = SessionWriter(game_folder(root, GAME) / "20260102T000000Z-odd", SPEC, GAME, VECTOR, threaded=False)
    writer.start()
    for one in ticks(160, 2):
        if one.tick == 40:
            writer.add(type(one)(one.tick, one.t_ns, one.pixels, one.audio, one.action, TickFlag.LEARN | TickFlag.GAP))
        elif one.tick not in (70, 71):
            writer.add(one)
    writer.mark(90, 95, TickFlag.STRAYED)
    writer.close()
    return root


def readers(root: Path) -> dict[str, SessionReader]:
    return {folder.name: SessionReader(folder) for folder in sorted(game_folder(root, GAME).iterdir())}


@pytest.fixture
def make(root: Path) -> Iterator[Any]:
    """Makes replays and ends their threads."""
    made = []

    def new(folder: Path = root, held_out: tuple[str, ...] = (), slots: int = 1000, **more: Any) -> SegmentReplay:
        chosen: dict[str, Any] = {"segment": 8, "seed": 3, "skip": lambda *_: None} | more
        size = slots * (chosen["segment"] + SPEC.frames - 1) * FRAME
        made.append(SegmentReplay(SPEC, readers(folder), held_out, max_bytes=size, **chosen))
        return made[-1]

    yield new
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def in_memory(root: Path) -> Replay:
    replay = Replay(SPEC, 1 << 28)
    for name in readers(root):
        for _ in load_session(game_folder(root, GAME) / name, SPEC, replay, is_newest=True):
            pass
    return replay


def rows(batch: Any) -> dict[bytes, bytes]:
    """Each tick's pictures, which no other has -> what was done."""
    return {f.tobytes(): a.tobytes() for f, a in zip(batch.frames, batch.actions, strict=True)}


def drawn(replay: SegmentReplay, batches: int) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for _ in range(batches):
        found |= rows(replay.draw(64))
    return found


@pytest.mark.parametrize("slots", [4, 1000])
def test_the_same_ticks_are_drawn_as_from_memory(make: Any, in_memory: Replay, slots: int) -> None:
    """Pictures with their history over holes and pauses, actions, what is held out and what strayed: all as there."""
    replay = make(slots=slots)
    everything = rows(in_memory.spread(10_000)[0])
    assert replay.learnable() == in_memory.learnable() == len(everything)
    found = drawn(replay, 12 * replay.batches_per_pass)
    assert found.items() <= everything.items()
    assert len(found) > 0.95 * len(everything)
    mine, theirs = replay.held_out(), in_memory.held_out()
    assert rows(mine) == rows(theirs)
    assert replay.combinations().tolist() == in_memory.combinations().tolist()
    assert replay.use_of_controls() == in_memory.use_of_controls()


def test_window_is_small_and_passes_over_everything(make: Any) -> None:
    """With room for half of the segments (the least that batches are drawn from), all have been in it after a pass."""
    replay = make(slots=4)
    assert replay.window_bytes == 16 * 9 * FRAME
    assert len(replay._segments) > 24
    seen = set()
    for _ in range(replay.batches_per_pass + 1):
        replay.draw(64)
        seen |= {tuple(held) for held in replay._held.tolist()}
    assert len(seen) >= len(replay._segments) - 1


@pytest.mark.parametrize("slots", [4, 1000])
def test_it_goes_on_exactly_where_it_was(make: Any, slots: int) -> None:
    """Batches after a state are the same in a replay that goes on from it, and in one that went elsewhere meanwhile."""
    replay = make(slots=slots)
    drawn(replay, 7)
    state = replay.state()
    wanted = [replay.draw(64).frames for _ in range(9)]
    other = make(slots=slots)
    for one in (other, replay):
        one.go_to(state)
        assert all(np.array_equal(one.draw(64).frames, frames) for frames in wanted)


def test_two_processes_share_the_segments(make: Any) -> None:
    """Each draws from its own half; together they have everything."""
    halves = [make(rank=rank, ranks=2) for rank in (0, 1)]
    one, other = (drawn(half, 30) for half in halves)
    assert not one.keys() & other.keys()
    assert len(one) + len(other) > 0.95 * halves[0].learnable()
    assert halves[0].batches_per_pass == halves[1].batches_per_pass


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("slots", [4, 1000])
def test_shares_of_a_pass_are_everything_and_do_not_overlap(make: Any, slots: int, ranks: int) -> None:
    """Of what is read in each pass; in another order each time, of the same held-out play, after as many batches."""
    shares = [make(slots=slots, segment=16, rank=rank, ranks=ranks) for rank in range(ranks)]
    count = len(shares[0]._segments)
    assert len({share.batches_per_pass for share in shares}) == 1
    assert len({rows(share.held_out()).keys() == rows(shares[0].held_out()).keys() for share in shares}) == 1
    orders = []
    for turn in range(3):
        read = [[share._at(turn * share._mine + place) for place in range(share._mine)] for share in shares]
        assert sorted(segment for share in read for segment in share) == list(range(count))
        assert max(map(len, read)) - min(map(len, read)) <= 1
        orders.append(read)
    assert orders[0] != orders[1] != orders[2]
    drawn_by = [drawn(share, 20 * share.batches_per_pass) for share in shares]
    assert len(set().union(*drawn_by)) > 0.95 * shares[0].learnable()
    if slots == 1000:  # all stays in memory, so shares stay as well
        assert len(set().union(*drawn_by)) == sum(map(len, drawn_by))


def test_more_processes_than_segments_are_refused(make: Any) -> None:
    """None may wait for ever for one that has nothing."""
    with pytest.raises(SessionError, match="too few for 40 processes"):
        make(rank=0, ranks=40)


def test_held_out_sessions_are_never_drawn(make: Any, root: Path) -> None:
    """All of a session is kept out, and the usual stretches of the other; by these, of both, policies are compared."""
    first = min(readers(root))
    replay = make(held_out=(first,))
    out = replay.held_out()
    assert len(out.actions) == 130
    assert not rows(out).keys() & drawn(replay, 20).keys()
    assert replay.learnable() == make().learnable() - 110
    session, tick = np.divmod(replay.judged(), 1 << 40)
    assert set(session.tolist()) == {0, 1}
    assert set(tick.tolist()) == set(range(100, 120))


def test_session_with_broken_pictures_is_told_and_the_rest_is_used(make: Any, tmp_path: Path) -> None:
    """Garbage in the middle of a video: said once, and the other session is drawn from as before."""
    folders = [record(tmp_path, number, 120) for number in (1, 2)]
    video = folders[0] / VIDEO
    data = bytearray(video.read_bytes())
    data[len(data) // 8 : -len(data) // 8] = bytes(len(data) - 2 * (len(data) // 8))
    said: list[str] = []
    replay = make(tmp_path, skip=lambda name, why: said.append(f"{name}: {why}"))
    whole = rows(replay.spread(10_000)[0])
    video.write_bytes(bytes(data))
    found = drawn(replay, 20)
    assert len(said) == 1
    assert said[0].startswith(folders[0].name)
    assert found.items() <= whole.items()
    assert len(found) > 80


def test_nothing_readable_is_an_error(make: Any, tmp_path: Path) -> None:
    """Not an endless search for a picture."""
    folder = record(tmp_path, 1, 70)
    replay = make(tmp_path)
    (folder / VIDEO).unlink()
    with pytest.raises(SessionError, match="record again"):
        replay.draw(64)

"""What may be learned from: history stays within its stretch, held-out ticks stay out, memory stays bounded."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tray_agent.core.controls import Controls
from tray_agent.core.held_out import HELD_OUT_EVERY, HELD_OUT_SECONDS
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.training.replay import BLOCK, Replay

SPEC = PolicySpec(Controls(("KeyA", "KeyB"), ("MouseX",)), rate_hz=5, frame_width=2, frame_height=2, frames=4)
BLOCK_BYTES = BLOCK * 2 * 2 * 3
PLENTY = 1 << 30
STRETCH = int(HELD_OUT_SECONDS * SPEC.rate_hz)


def sample(tick: int, session: int = 0, flags: TickFlag = TickFlag.LEARN, keys: tuple[int, int] = (0, 0)) -> TickSample:
    """A tick whose picture tells session and number, and whose sound and action tell the number again."""
    grey = np.array([[session, tick >> 8], [tick & 255, 0]], np.uint8)  # grey is its own luma
    pixels = np.repeat(grey[:, :, None], 3, axis=2)
    audio = np.full(SPEC.audio_shape, tick, np.float32)
    return TickSample(tick, tick * 1000, pixels, audio, np.array([*keys, tick], np.float32), flags)


def names(frames: np.ndarray) -> list[tuple[int, int]]:
    """(session, tick) of each frame of one row."""
    return [(int(f[0, 0]), int(f[0, 1]) << 8 | int(f[1, 0])) for f in frames[: SPEC.frames]]


def drawn(replay: Replay, n: int = 4000) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """(session, tick) -> its history, of all that can be drawn (n is large enough to hit each)."""
    batch = replay.draw(n)
    rows = [names(frames) for frames in batch.frames]
    for row, audio, action in zip(rows, batch.audio, batch.actions, strict=True):
        assert row[-1][1] == audio[0, 0] == action[2]  # picture, sound and action are of one tick
    return {row[-1]: row for row in rows}


def filled(ticks: range, **options) -> Replay:
    replay = Replay(SPEC, PLENTY)
    for tick in ticks:
        replay.add("s", sample(tick, **options))
    return replay


def test_history_repeats_the_first_frame() -> None:
    """The first ticks see their stretch's first frame where there is nothing before."""
    rows = drawn(filled(range(6)))
    assert rows[0, 0] == [(0, 0)] * 4
    assert rows[0, 2] == [(0, 0), (0, 0), (0, 1), (0, 2)]
    assert rows[0, 5] == [(0, 2), (0, 3), (0, 4), (0, 5)]


def test_history_ends_at_a_gap_and_at_a_hole() -> None:
    """Neither a tick flagged GAP nor one after lost ticks sees what was before."""
    replay = filled(range(3))
    replay.add("s", sample(3, flags=TickFlag.LEARN | TickFlag.GAP))
    replay.add("s", sample(9))
    replay.add("s", sample(10))
    rows = drawn(replay)
    assert rows[0, 3] == [(0, 3)] * 4
    assert rows[0, 9] == [(0, 9)] * 4
    assert rows[0, 10] == [(0, 9)] * 3 + [(0, 10)]


@dataclass
class Step:
    """One added tick: how far its number is from the last one's, and its flags."""

    session: int
    ahead: int
    flags: TickFlag


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(0, 2),
        st.sampled_from([1, 1, 1, 1, 1, 2, 5, 0, -3]),
        st.sampled_from([TickFlag.LEARN] * 4 + [TickFlag.LEARN | TickFlag.GAP, TickFlag.AGENT, TickFlag.GAP]),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_history_never_crosses_a_gap(steps: list[Step]) -> None:
    """Whatever comes in - gaps, holes, repeats, several sessions - history is what an independent account says."""
    replay = Replay(SPEC, PLENTY)
    account: dict[int, list[tuple[int, TickFlag]]] = {}
    for step in steps:
        ticks = account.setdefault(step.session, [])
        tick = max(0, (ticks[-1][0] if ticks else 10) + step.ahead)
        replay.add(f"s{step.session}", sample(tick, step.session, step.flags))
        if not ticks or tick > ticks[-1][0]:
            ticks.append((tick, step.flags))
    expected = {}
    for session, ticks in account.items():
        for i, (tick, flags) in enumerate(ticks):
            row = [tick]
            while len(row) < SPEC.frames:
                begins = i == 0 or ticks[i][1] & TickFlag.GAP or ticks[i - 1][0] != ticks[i][0] - 1
                i -= not begins  # noqa: PLW2901 - walks back
                row.insert(0, ticks[i][0])
            if flags & TickFlag.LEARN:
                expected[session, tick] = [(session, t) for t in row]
    assert replay.total == sum(map(len, account.values()))
    assert replay.learnable() == sum(
        bool(f & TickFlag.LEARN) for ticks in account.values() for i, (_, f) in enumerate(ticks)
        if i // STRETCH % HELD_OUT_EVERY != HELD_OUT_EVERY - 1
    )  # fmt: skip
    if expected:
        rows = drawn(replay, 2000)
        assert all(expected[key] == row for key, row in rows.items())


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_offset_pairs_a_picture_with_what_was_done_later(offset: int) -> None:
    """Only within a stretch, and only where both ticks may be learned from."""
    replay = filled(range(10))
    replay.add("s", sample(10, flags=TickFlag.LEARN | TickFlag.GAP))
    for tick in range(11, 20):
        replay.add("s", sample(tick, flags=TickFlag.AGENT if tick == 15 else TickFlag.LEARN))
    replay.offset = offset
    batch = replay.draw(2000)
    pairs = {(names(frames)[-1][1], int(action[2])) for frames, action in zip(batch.frames, batch.actions, strict=True)}
    good = set(range(20)) - {15}
    expected = {(t, t + offset) for t in good if t + offset in good and (t < 10) == (t + offset < 10)}
    assert pairs == expected
    assert replay.learnable() == len(expected)


def test_what_is_held_around_a_tick_ends_with_its_stretch() -> None:
    replay = filled(range(8), keys=(1, 0))
    replay.add("s", sample(8, flags=TickFlag.LEARN | TickFlag.GAP, keys=(0, 1)))
    batch, ahead = replay.draw(500), 4
    for frames, held, known in zip(batch.frames, *replay.around(batch.ticks, ahead), strict=True):
        tick = names(frames)[-1][1]
        first, last = (0, 7) if tick < 8 else (8, 8)
        assert known.tolist() == [first <= tick + k <= last for k in range(-1, ahead + 1)]
        assert (held[known] == ([True, False] if tick < 8 else [False, True])).all()


def test_repeats_after_a_restart_do_no_harm() -> None:
    """Ticks that were there already are ignored, and the stretch goes on without a gap."""
    replay = filled(range(10))
    for tick in range(5, 13):
        replay.add("s", sample(tick))
    assert replay.total == 13
    assert replay.last_tick("s") == 12
    assert drawn(replay)[0, 10] == [(0, t) for t in range(7, 11)]


def test_marked_ticks_are_not_drawn_also_across_a_hole() -> None:
    """STRAYED ticks leave, by their own numbers, wherever ticks were lost before or after them."""
    replay = filled(range(20))
    for tick in range(30, 50):
        replay.add("s", sample(tick))
    replay.mark("s", 5, 7, TickFlag.STRAYED)
    replay.mark("s", 18, 31, TickFlag.STRAYED)
    replay.mark("s", 900, 999, TickFlag.STRAYED)
    replay.mark("nobody", 0, 9, TickFlag.STRAYED)
    left = {tick for _, tick in drawn(replay)}
    assert left == (set(range(20)) | set(range(30, 50))) - {5, 6, 7, 18, 19, 30, 31}


def test_agents_ticks_are_history_but_never_drawn() -> None:
    """The frames of the agent's play stand before the player's correction."""
    replay = filled(range(5), flags=TickFlag.AGENT)
    replay.add("s", sample(5, flags=TickFlag.LEARN | TickFlag.CORRECTION))
    assert drawn(replay) == {(0, 5): [(0, 2), (0, 3), (0, 4), (0, 5)]}


def test_held_out_is_every_sixth_stretch_and_never_drawn() -> None:
    """Whole stretches of ten seconds are held out; a session too short for one has none."""
    assert filled(range(5 * STRETCH)).held_out() is None
    ticks = range(13 * STRETCH)
    replay = filled(ticks)
    out = {t for t in ticks if t // STRETCH % HELD_OUT_EVERY == HELD_OUT_EVERY - 1}
    batch = replay.held_out(10_000)
    assert batch is not None
    assert {names(f)[-1][1] for f in batch.frames} == out
    assert {tick for _, tick in drawn(replay, 12_000)} == set(ticks) - out
    few = replay.held_out(7)
    assert few is not None
    assert len(few.actions) == 7


def test_rare_combinations_are_drawn_more_often() -> None:
    """A combination of buttons that is 16 times rarer is drawn 4 times less often, not 16 times."""
    replay = Replay(SPEC, PLENTY)
    for tick in range(170):
        replay.add("s", sample(tick, keys=(1, 1) if tick % 17 == 0 else (1, 0)))
    share = replay.draw(20_000).actions[:, 1].mean()
    assert share == pytest.approx(0.2, abs=0.02)


def test_full_memory_drops_the_oldest_ticks_first() -> None:
    """Frames never take more than allowed; the oldest session leaves first, then the oldest of the one that is left."""
    replay = Replay(SPEC, 3 * BLOCK_BYTES)
    for session in (1, 0):  # loaded in the wrong order: the name tells the age
        for tick in range(BLOCK + 10):
            replay.add(f"2026-{session}", sample(tick, session))
            assert replay.frame_bytes <= 3 * BLOCK_BYTES
    assert {key[0] for key in drawn(replay, 20_000)} == {0, 1}
    assert (0, 5) not in drawn(replay, 20_000)
    for tick in range(BLOCK + 10, 5 * BLOCK):
        replay.add("2026-1", sample(tick, 1))
        assert replay.frame_bytes <= 3 * BLOCK_BYTES
    rows = drawn(replay, 40_000)
    first = min(rows)
    assert first == (1, 2 * BLOCK)
    assert rows[first] == [(1, 2 * BLOCK)] * 4
    assert replay.sessions == 1
    assert replay.total == 3 * BLOCK
    assert len(replay.some_frames(64)) == 64


def test_nothing_to_draw_is_said() -> None:
    """Without anything learnable drawing is an error, and there is no held-out batch."""
    for replay in (Replay(SPEC, PLENTY), filled(range(9), flags=TickFlag.AGENT)):
        assert replay.learnable() == 0
        assert replay.held_out() is None
        with pytest.raises(ValueError, match="nothing to learn"):
            replay.draw(4)
    assert Replay(SPEC, PLENTY).last_tick("s") == -1


def test_sound_and_actions_that_are_no_numbers_do_no_harm() -> None:
    """Sound that is no number counts as silence; a tick whose action is none is not learned from."""
    replay = Replay(SPEC, PLENTY)
    deaf = sample(0)
    replay.add("s", replace(deaf, audio=np.full_like(deaf.audio, np.nan)))
    replay.add("s", replace(sample(1), action=np.array([0, 1, np.nan], np.float32)))
    batch = replay.draw(50)
    assert replay.learnable() == 1
    assert not batch.audio.any()


def test_use_of_controls_tells_what_varies_and_what_is_held() -> None:
    """KeyA is held all the time, KeyB never, the mouse moves."""
    replay = filled(range(20), keys=(1, 0))
    assert replay.use_of_controls() == (("MouseX",), ("KeyA",))
    assert Replay(SPEC, PLENTY).use_of_controls() == ((), ())


def test_least_motion_is_the_players_not_across_gaps() -> None:
    """Grey rises by one a tick; a jump at a gap is no motion; agent's ticks, which stand still, do not count."""
    replay = Replay(SPEC, PLENTY)
    for tick in range(400):
        flags = TickFlag.LEARN | TickFlag.GAP if tick == 200 else TickFlag.LEARN
        grey = (tick % 200) + (50 if tick >= 200 else 0)
        replay.add("s", replace(sample(tick, flags=flags), pixels=np.full((2, 2, 3), grey, np.uint8)))
    for tick in range(400, 600):
        replay.add("s", replace(sample(tick, flags=TickFlag.AGENT), pixels=np.zeros((2, 2, 3), np.uint8)))
    assert replay.least_motion() == pytest.approx(1.0, abs=0.01)
    assert filled(range(5)).least_motion() == 0.0


def test_some_actions_are_the_players() -> None:
    """Rows of what was drawn, one for each asked for."""
    actions = filled(range(30), keys=(0, 1)).some_actions(12)
    assert actions.shape == (12, 3)
    assert (actions[:, :2] == [0, 1]).all()


def test_spread_reaches_over_all_that_can_be_drawn() -> None:
    """Evenly, each with the weight it is drawn by, without held-out stretches; all of it where the limit allows."""
    replay = filled(range(2 * HELD_OUT_EVERY * STRETCH))
    for limit in (40, 10_000):
        batch, weights = replay.spread(limit)
        ticks = [names(frames)[-1][1] for frames in batch.frames]
        assert len(ticks) == len(weights) == min(limit, replay.learnable())
        assert ticks[0] == 0
        assert not any(tick // STRETCH % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 for tick in ticks)
        assert max(np.diff(ticks)) <= STRETCH + 2 * replay.learnable() // len(ticks)
    assert weights.sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="nothing to learn"):
        Replay(SPEC, PLENTY).spread(3)

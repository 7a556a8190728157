"""Stretches drawn out of a replay: whole ones, the player's or the agent's."""

import numpy as np

from tray_agent.core.controls import Controls
from tray_agent.core.held_out import HELD_OUT_EVERY, HELD_OUT_SECONDS
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.training.chunks import Chunks, ChunkSource
from tray_agent.training.replay import BLOCK, Replay

SPEC = PolicySpec(Controls(("KeyA",), ("MouseX",)), rate_hz=5, frame_width=2, frame_height=2, frames=2)
STRETCH = int(HELD_OUT_SECONDS * SPEC.rate_hz)
LENGTH = 4
PLENTY = 1 << 30


def add(replay: Replay, tick: int, flags: TickFlag = TickFlag.LEARN, session: str = "s", held: bool = False) -> None:
    """A tick whose counts tell its number."""
    pixels = np.full((2, 2, 3), tick % 200, np.uint8)
    action = np.array([held, tick], np.float32)
    replay.add(session, TickSample(tick, tick, pixels, np.zeros(SPEC.audio_shape, np.float32), action, flags))


def ticks(chunks: Chunks | None) -> np.ndarray:
    """Numbers of the ticks, a row for each stretch."""
    assert chunks is not None
    return chunks.batch.actions[:, 1].reshape(-1, LENGTH).astype(int)


def test_stretches_are_whole() -> None:
    """Ticks follow each other; gaps, holes, the agent's ticks, held-out ticks and other sessions are not in between."""
    replay = Replay(SPEC, PLENTY)
    apart = {
        7: TickFlag.LEARN | TickFlag.GAP,
        20: TickFlag.AGENT,
        30: TickFlag(0),
        40: TickFlag.LEARN | TickFlag.STRAYED,
    }
    for tick in range(2 * HELD_OUT_EVERY * STRETCH):
        if tick != 100:
            add(replay, tick, apart.get(tick, TickFlag.LEARN))
    for tick in range(1000, 1000 + LENGTH - 1):
        add(replay, tick, session="too short")
    rows = ticks(ChunkSource(replay, LENGTH).of_player(3000))
    assert (np.diff(rows, axis=1) == 1).all()
    first = set(rows[:, 0].tolist())
    assert {0, 3, 7, 21, 96, 101} <= first
    crossing = {f for edge in (7, 101) for f in range(edge - LENGTH + 1, edge)}
    holding = {f for inner in (20, 30, 40) for f in range(inner - LENGTH + 1, inner + 1)}
    assert not first & (crossing | holding)
    position = rows - (rows > 100)  # the hole is closed
    assert not (position // STRETCH % HELD_OUT_EVERY == HELD_OUT_EVERY - 1).any()
    assert rows.max() < 1000


def test_agents_play_is_drawn_apart_and_what_strayed_is_known() -> None:
    """Of the agent's ticks only, with those before a takeover marked."""
    replay = Replay(SPEC, PLENTY)
    for tick in range(40):
        add(replay, tick, TickFlag.AGENT if 10 <= tick < 24 else TickFlag.LEARN)
    replay.mark("s", 20, 23, TickFlag.STRAYED)
    chunks = ChunkSource(replay, LENGTH).of_agent(500)
    rows = ticks(chunks)
    assert set(rows[:, 0].tolist()) == set(range(10, 24 - LENGTH + 1))
    assert chunks is not None
    assert (chunks.strayed == (rows.ravel() >= 20)).all()


def test_what_the_agent_did_it_did_at_once() -> None:
    """However late the player is: its own ticks are paired with its own keys, up to the last one."""
    replay = Replay(SPEC, PLENTY)
    for tick in range(BLOCK):
        add(replay, tick, TickFlag.AGENT if tick >= BLOCK - 20 else TickFlag.LEARN)
    replay.offset = 3
    rows = ticks(ChunkSource(replay, LENGTH).of_agent(500))
    assert set(rows[:, 0].tolist()) == set(range(BLOCK - 20, BLOCK - LENGTH + 1))
    assert (np.diff(rows, axis=1) == 1).all()


def test_no_stretches_are_none() -> None:
    """Nothing held, too little, or nobody but the player: None, until there is something."""
    replay = Replay(SPEC, PLENTY)
    source = ChunkSource(replay, LENGTH)
    assert source.of_player(2) is source.of_agent(2) is None
    for tick in range(LENGTH - 1):
        add(replay, tick)
    assert source.of_player(2) is None
    add(replay, LENGTH - 1)
    assert ticks(source.of_player(2)).tolist() == [list(range(LENGTH))] * 2
    assert source.of_agent(2) is None


def test_rare_keys_come_more_often_as_in_cloning() -> None:
    """One tick of twenty holds the key; in stretches it comes much more often, and no more than `draw` gives it."""
    replay = Replay(SPEC, PLENTY)
    for tick in range(STRETCH * (HELD_OUT_EVERY - 1)):
        add(replay, tick, held=tick % (20 * LENGTH) < LENGTH)
    held = replay.draw(6000).actions[:, 0].mean()
    chunks = ChunkSource(replay, LENGTH).of_player(1500)
    assert chunks is not None
    assert 0.1 < chunks.batch.actions[:, 0].mean() < held


def test_frames_that_are_gone_are_not_asked_for() -> None:
    """When memory is full the oldest ticks leave, also for stretches."""
    replay = Replay(SPEC, 2 * BLOCK * 2 * 2 * 3)
    source = ChunkSource(replay, LENGTH)
    for tick in range(3 * BLOCK):
        add(replay, tick, TickFlag.AGENT if tick % 64 < 32 else TickFlag.LEARN)
        if tick % 300 == 299:
            assert min(ticks(source.of_player(50)).min(), ticks(source.of_agent(50)).min()) >= tick - 2 * BLOCK

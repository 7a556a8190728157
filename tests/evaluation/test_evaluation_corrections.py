"""A player beside the agent: takes over when it strays, gives back, and the session says who did what."""

from pathlib import Path

import numpy as np
import pytest
import tiny_policy

from tray_agent.core.sample import TickFlag
from tray_agent.evaluation.cell import OURS, Cell
from tray_agent.evaluation.corrections import correct
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.reader import SessionReader
from tray_agent.settings.snapshot import load_settings

CELL = Cell("tone-test", OURS, minutes=0.75)


def corrected(folder: Path, held: tuple[float, float]) -> tuple[int, float, SessionReader]:
    """Ticks of the agent that always holds what `held`'s logits say."""
    profile = load_settings().game(CELL.game)
    spec = profile.spec()
    graph = tiny_policy.graph(spec, held=held)
    bundle = tiny_policy.store(folder / "models", spec=spec, onnx_bytes=graph, game=CELL.game)
    found = correct(CELL, profile, spec, bundle, folder / "sessions", lambda *_: None)
    [listed] = list_sessions(folder / "sessions").sessions
    return found.takeovers, found.player_share, SessionReader(listed.folder)


def test_agent_that_strays_is_corrected(tmp_path: Path) -> None:
    """It holds both keys all the time, which is never right: the player takes over within seconds, again and again."""
    takeovers, share, session = corrected(tmp_path, (9.0, 9.0))
    flags = session.ticks.flags
    assert takeovers >= 5
    assert 0.5 < share < 0.95
    agent, learn = flags & TickFlag.AGENT != 0, flags & TickFlag.LEARN != 0
    assert not (agent & learn).any()
    assert (flags[agent] & TickFlag.STRAYED != 0).mean() > 0.9
    assert (flags[learn] & TickFlag.CORRECTION != 0).all()
    assert (session.ticks.actions[agent] == 1.0).all()
    assert not (session.ticks.actions[learn] == 1.0).all(axis=1).any()


def test_player_gives_back(tmp_path: Path) -> None:
    """Agent's and player's stretches take turns; the player's last four seconds."""
    _, _, session = corrected(tmp_path, (9.0, 9.0))
    learn = session.ticks.flags & TickFlag.LEARN != 0
    lengths = np.diff(np.flatnonzero(np.diff(learn.astype(int)) != 0))
    assert max(lengths) == pytest.approx(4.0 * session.spec.rate_hz, abs=2)

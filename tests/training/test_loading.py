"""Sessions that vanish or are cut while they are being loaded: one error, and what was read stays good."""

from collections.abc import Callable
from pathlib import Path

import pytest
from session_data import SILENT, record

from tray_agent.errors import SessionError
from tray_agent.sessions.removal import remove
from tray_agent.sessions.trim import trim
from tray_agent.training.loading import load_session
from tray_agent.training.replay import Replay, least_bytes

_TICKS = 600


@pytest.mark.parametrize("change", [remove, lambda folder: trim(folder, 2.0, 20.0)], ids=["deleted", "cut"])
def test_session_changes_while_it_is_loaded(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """Loading ends with a SessionError; the ticks read before are those that were recorded."""
    folder = tmp_path / "game" / "20260101T000000Z-aaaaaa"
    record(folder, range(_TICKS))
    replay = Replay(SILENT, 10 * least_bytes(SILENT), 0)
    loading = load_session(folder, SILENT, replay, is_newest=True)
    assert next(loading) == 0
    change(folder)
    with pytest.raises(SessionError, match="can't be decoded"):
        list(loading)
    assert 0 < replay.total < _TICKS
    assert replay.last_tick(folder.name) == replay.total - 1
    assert replay.sessions == 1
    left = [f for f in (tmp_path / "game").iterdir() if not f.name.startswith(".")]
    for other in left:  # the cut one is loaded like any other
        list(load_session(other, SILENT, replay, is_newest=True))
        assert replay.last_tick(other.name) == 399

"""How the tray reads the daemon's status: nothing it may send breaks the icon."""

from typing import Any

import pytest

from tray_agent.clients.tray.icons import TrayState
from tray_agent.clients.tray.status import parse


def test_a_full_answer() -> None:
    """Mode, game, games and detail are taken over; the headline has mode and game."""
    status = parse(
        {"ok": True, "status": {"mode": "learning", "game": "Pong", "games": ["Pong"], "detail": "loss 0.2"}}
    )
    assert (status.mode, status.games, status.headline) == (
        TrayState.LEARNING,
        ("Pong",),
        "Learning: Pong",
    )
    assert "loss 0.2" in status.tooltip


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({}, "sent no status"),
        ({"ok": False, "error": "busy starting"}, "busy starting"),
        ({"ok": True, "status": {"mode": "dreaming"}}, "'dreaming'"),
        ({"ok": True, "status": "idle"}, "sent no status"),
    ],
)
def test_what_cannot_be_understood_is_a_fault(answer: dict[str, Any], words: str) -> None:
    """A fault is shown, with words that say what came."""
    status = parse(answer)
    assert status.mode == TrayState.FAULT
    assert words in status.detail


def test_odd_fields_are_ignored() -> None:
    """Games that are no list, a game that is null."""
    status = parse({"ok": True, "status": {"mode": "idle", "game": None, "games": 3}})
    assert (status.game, status.games, status.headline) == ("", (), "Idle")


def test_long_detail_is_cut() -> None:
    """Tool tips stay within what Windows can show."""
    assert len(parse({"ok": True, "status": {"mode": "fault", "detail": "x" * 500}}).tooltip) <= 127

"""`doctor`'s word on sound is about what was really tried."""

import pytest
from pulse_server import PulseServer

from tray_agent.platforms.sound.check import check


def test_works_on_a_real_server(pulse_server: PulseServer) -> None:
    """With a server that plays, sound works, and nothing has to be mended."""
    result = check()
    assert result["state"] == "works", result
    assert result["remedy"] == ""


def test_missing_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server sound is missing, with the reason and a remedy."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent/pulse")
    result = check(timeout_s=0.8)
    assert result["state"] == "missing"
    assert result["tried"]
    assert result["remedy"]

"""What the contract suites need that is dear to start: one packaged game for all of them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tray_agent.platforms.env.launch import EnvProcess


@pytest.fixture(scope="session")
def breakout() -> Iterator[EnvProcess]:
    """Breakout in real time in its own process, with nobody playing."""
    with tempfile.TemporaryDirectory(prefix="ta-") as folder:
        game = EnvProcess("breakout", Path(folder, "g.sock"), player="none")
        game.start()
        yield game
        game.close()

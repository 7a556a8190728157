"""`tray-agent record --pick` on a real desktop: a person drags over a part of the game, which is recorded."""

import subprocess
import sys
from typing import Any

import pytest
from fault_scene import Daemons, until
from x11_scene import GAME, X11Scene, start_on

from tray_agent.settings.games import SHIPPED, GamesFile
from tray_agent.settings.load import load

pytestmark = pytest.mark.x11
LEFT, RIGHT = 0xC02020, 0x2020C0


@pytest.mark.parametrize(
    ("words", "made_by"),
    [
        (["record", GAME, "--pick", "--keep"], {"recorder": "record", "region": [180, 20, 120, 180]}),
        (["watch", "--pick"], {"recorder": "watch"}),
    ],
)
def test_only_the_part_is_recorded(x11: X11Scene, daemons: Daemons, words: list[str], made_by: dict[str, Any]) -> None:
    """The blue right half of a red window; the session says so; games.yaml has it; the file is otherwise as it was."""
    window = x11.still_game(LEFT)
    half = window.create_window(160, 0, 160, 240, 0, x11.eyes.screen().root_depth, background_pixel=RIGHT)
    half.map()
    x11.eyes.sync()
    daemon = start_on(x11, daemons)
    daemon.ready(lambda s: s["game_in_front"])
    corner = x11.eyes.screen().root.translate_coords(window, 0, 0)
    command = [sys.executable, "-m", "tray_agent", *words]
    with subprocess.Popen(
        command, env=daemons.environment(DISPLAY=x11.name), stderr=subprocess.PIPE, text=True
    ) as verb:
        assert verb.stderr is not None
        assert "drag over the part" in verb.stderr.readline()

        def is_done() -> bool:
            _drag(x11, (corner.x + 180, corner.y + 20), (corner.x + 300, corner.y + 200))
            return verb.poll() is not None

        until(is_done, "the end of record")
        said = verb.stderr.read()
    assert verb.returncode == 0, said
    daemon.wait_for(lambda s: s["watch"]["ticks"] > 5, "ticks")
    assert daemon.ask("stop")["ok"]
    session = daemon.session()
    assert session.info.extra == made_by
    assert len(list(session.folder.parent.iterdir())) == 1
    pictures = session.frames(0, len(session))
    assert pictures[..., 2].min() > 150
    assert pictures[..., 0].max() < 100
    kept = load(daemons.home / "config" / "games.yaml", GamesFile, {SHIPPED: {}}).games[GAME].region
    assert kept is not None
    assert kept.rect == (180, 20, 120, 180)


def _drag(x11: X11Scene, begin: tuple[int, int], end: tuple[int, int]) -> None:
    x11.player.move_to(*begin)
    x11.player.press("MouseLeft")
    x11.player.move_to(*end)
    x11.player.release("MouseLeft")


def test_region_that_is_none(x11: X11Scene, daemons: Daemons) -> None:
    """Whoever asks the daemon for nonsense is told what a region is; nothing is recorded."""
    x11.still_game(LEFT)
    daemon = start_on(x11, daemons)
    daemon.ready(lambda s: s["game_in_front"])
    for rect in ([1, 2, 3], [0, 0, 8, 8], [-1, 0, 64, 64], "all"):
        assert "is no region" in daemon.ask("record", game=GAME, region=rect)["error"]
    assert not (daemons.home / "data" / "sessions").exists()

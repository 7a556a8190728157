"""A packaged game in its window, played live: found by its title, played by its player at a keyboard outside of it."""

import importlib.util
import json
import math
import time
from pathlib import Path

import pytest
from x11_desktop import need

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.main import main
from tray_agent.errors import TrayAgentError
from tray_agent.evaluation.live.window import WindowScene
from tray_agent.settings.games import SHIPPED, GamesFile
from tray_agent.settings.load import load
from tray_agent.settings.snapshot import load_games


def test_profile_is_the_shipped_one_in_a_window(tmp_path: Path) -> None:
    """All but what tells the game is as it is shipped."""
    path = tmp_path / "games.yaml"
    path.write_text(WindowScene(tmp_path, "doom-basic", 0).profiles)
    found = load(path, GamesFile, {SHIPPED: {}}).profiles()["doom-basic"]
    shipped = Path(__file__).parents[2] / "config" / "games.yaml"
    assert found.spec() == load_games(shipped, shipped)["doom-basic"].spec()
    assert found.environment is None
    assert found.match is not None


def test_what_no_keyboard_plays_is_refused(tmp_path: Path) -> None:
    """With the controls that are in the way, before anything is started."""
    with pytest.raises(TrayAgentError, match="car-racing-pad is not played at a keyboard alone"):
        WindowScene(tmp_path, "car-racing-pad", 0)


def test_game_without_a_shipped_profile_is_refused(tmp_path: Path) -> None:
    """Scripted player or not: its controls and picture would be anybody's guess."""
    with pytest.raises(TrayAgentError, match="doom-line is not"):
        assert WindowScene(tmp_path, "doom-line", 0).profiles


def test_only_ours_is_run_in_a_window(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Peers and corrections leave it out; a mistyped name is told."""
    asked = ["evaluate", "x11:doom-basic", "--peers", "--corrections", "--only-kept", "--json"]
    assert main([*asked, "--folder", str(tmp_path)]) == ExitCode.OK
    missing = json.loads(capsys.readouterr().out)["missing"]
    assert missing == ["x11:doom-basic: references", "x11:doom-basic: ours, seed 0"]
    assert main(["evaluate", "x11:dom-basic", "--only-kept", "--folder", str(tmp_path)]) != ExitCode.OK
    assert "doom-basic" in capsys.readouterr().err


@pytest.mark.x11
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_player_hits_the_monster_in_the_window(tmp_path: Path) -> None:
    """What the player says is pressed on a real keyboard and reaches the game. A busy machine gets a few tries."""
    for program in ("Xvfb", "Xephyr", "openbox"):
        need(program)
    if importlib.util.find_spec("vizdoom") is None:
        pytest.skip("vizdoom is not installed")
    scene = WindowScene(tmp_path, "doom-basic", 5)
    try:
        scene.start()
        assert math.isnan(scene.watch_player(time.monotonic()))
        ends, score = time.monotonic() + 60.0, -math.inf
        while score < 0 and time.monotonic() < ends:
            score = scene.watch_player()
    finally:
        scene.close()
    assert score > 0, "who does not shoot it loses a point with each of 300 ticks"

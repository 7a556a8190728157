"""Which game a window belongs to; on a real display with real games too."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from x11_desktop import XServers, start_window_manager, wait_until

from tray_agent.core.events import WindowInfo
from tray_agent.platforms.x11.window import X11WindowProbe
from tray_agent.settings import paths
from tray_agent.settings.games import GameEntry, GameProfile, GamesFile
from tray_agent.settings.load import load
from tray_agent.settings.match import match

RECT = (0, 0, 640, 480)
COMMANDS = {
    "doom": [
        "chocolate-doom",
        "-iwad",
        "/usr/share/games/doom/freedoom1.wad",
        "-warp",
        "1",
        "1",
        "-window",
        "-nosound",
    ],
    "lbreakout2": ["lbreakout2"],
    "chromium-bsu": ["chromium-bsu", "-w", "-v", "1", "-na"],
    "extremetuxracer": ["etr"],
    "neverball": ["neverball"],
    "supertux2": ["supertux2", "--window", "--geometry", "320x240", "--disable-sound", "--disable-music"],
    "gnome-nibbles": ["dbus-run-session", "gnome-nibbles"],
    "2048-qt": ["2048-qt"],
}


def profile(name: str, **parts: str) -> GameProfile:
    """A profile that looks for this window."""
    return GameEntry.model_validate({"vector": 1, "match": parts, "controls": {"keys": ["a"]}}).under(name)


def window(process: str = "game", title: str = "Game") -> WindowInfo:
    """A window in front."""
    return WindowInfo(1, process, title, RECT)


@pytest.mark.parametrize(
    ("parts", "process", "title", "fits"),
    [
        ({"process": "game"}, "game", "x", True),
        ({"process": "game"}, "Game.exe", "x", True),
        ({"process": "game"}, "games", "x", False),
        ({"process": "game*"}, "games", "x", True),
        ({"process": "re:^ga.e$"}, "gate", "x", True),
        ({"process": "re:^ga.e$"}, "gates", "x", False),
        ({"process": "a-very-long-program-name"}, "a-very-long-pro", "x", True),
        ({"process": "a-very-long-program-name"}, "a-very-long-pr", "x", False),
        ({"title": "level \\d+"}, "any", "My Game - Level 12", True),
        ({"title": "level \\d+"}, "any", "My Game", False),
        ({"process": "game", "title": "play"}, "game", "menu", False),
        ({"process": "*"}, "", "x", False),
    ],
)
def test_window_fits(parts: dict[str, str], process: str, title: str, fits: bool) -> None:
    """Process by name or pattern, title by pattern, and both when both are given."""
    assert (match(window(process, title), [profile("g", **parts)]) is not None) == fits


def test_the_more_precise_profile_wins() -> None:
    """A profile with process and title goes before one with only one of them; else the first in order."""
    found = match(window(), [profile("a", process="game"), profile("b", process="game", title="Game")])
    assert found is not None
    assert found.name == "b"
    found = match(window(), [profile("a", process="game"), profile("b", title="Game")])
    assert found is not None
    assert found.name == "a"


def test_packaged_games_have_no_window() -> None:
    """A game without `match` never matches, not even a window without a name."""
    packaged = GameEntry.model_validate({"vector": 1, "environment": "pong", "controls": {"keys": ["a"]}}).under("g")
    assert match(window("", ""), [packaged]) is None


@pytest.fixture
def game_display(x_servers: XServers) -> str:
    """A display with a window manager, large enough for every game."""
    return start_window_manager(x_servers, x_servers.xvfb(1280, 800))


@pytest.fixture
def probe(game_display: str) -> Iterator[X11WindowProbe]:
    """Tells the window in front of it."""
    found = X11WindowProbe(game_display)
    found.start()
    yield found
    found.close()


@pytest.mark.x11
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_real_window_is_known(
    name: str, x_servers: XServers, game_display: str, probe: X11WindowProbe, tmp_path: Path
) -> None:
    """The shipped profile of a real game finds its real window, and no other profile takes it."""
    command = COMMANDS[name]
    where = os.environ["PATH"] + ":/usr/games"
    missing = [
        program for program in command if not program.startswith("-") and program in (command[0], "gnome-nibbles")
    ]
    for program in missing:
        if shutil.which(program, path=where) is None:
            pytest.skip(f"{program} is not installed")
    program = shutil.which(command[0], path=where)
    assert program is not None
    games = load(paths.shipped_folder() / "games.yaml", GamesFile).profiles()
    environment = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "SDL_AUDIODRIVER": "dummy", "PATH": where}
    x_servers.run([program, *command[1:]], game_display, **environment)

    def in_front() -> GameProfile | None:
        window = probe.active()
        return match(window, games.values()) if window else None

    assert wait_until(in_front, 40.0, f"the window of {name}").name == name

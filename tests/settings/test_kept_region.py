"""`record --pick` and `watch --pick`: what becomes of a rectangle on the screen, and of games.yaml."""

from pathlib import Path

import pytest

from tray_agent.clients.cli import region_pick
from tray_agent.clients.cli.region_pick import keep_region, picked, with_region
from tray_agent.core.events import WindowInfo
from tray_agent.errors import PlatformUnavailable, SettingsError
from tray_agent.platforms.x11.region_pick import Picked
from tray_agent.settings.games import GameProfile
from tray_agent.settings.snapshot import Files, load_settings

RECT = (10, 20, 320, 240)
OWN = """# mine
games:
  one:
    vector: 100   # keep it
    match: {process: one}
    controls: {keys: [left]}
  two:
    region: [0, 0, 64, 48]
    vector: 101
    match: {process: two}
    controls: {keys: [left]}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Of an empty home."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path / "home"))
    return Files.standard()


def game(name: str) -> GameProfile:
    return load_settings().game(name)


def test_region_is_written_where_the_game_is() -> None:
    """A new line, or in place of the old one; all else stays as it is."""
    line = "    region: [10, 20, 320, 240]\n"
    assert with_region(OWN, "f", "one", RECT, {}) == OWN.replace("  one:\n", "  one:\n" + line)
    assert with_region(OWN, "f", "two", RECT, {}) == OWN.replace("    region: [0, 0, 64, 48]\n", line)


@pytest.mark.parametrize(
    "text",
    [
        "games: {one: {vector: 100, match: {process: one}, controls: {keys: [left]}}}\n",
        OWN.replace("[0, 0, 64, 48]", "\n      of: screen\n      rect: [0, 0, 64, 48]").replace("two", "one2"),
    ],
)
def test_forms_that_do_not_allow_it(text: str) -> None:
    """Nothing is guessed: the line to write by hand is told."""
    name = "one2" if "one2" in text else "one"
    with pytest.raises(SettingsError, match=r"region: \[10, 20, 320, 240\]"):
        with_region(text, "f", name, RECT, {})


def test_shipped_game_becomes_one_of_the_user(files: Files) -> None:
    """With all that the shipped profile says; a second region takes the place of the first."""
    before = game("lbreakout2")
    keep_region(files, "lbreakout2", RECT)
    after = game("lbreakout2")
    assert after.region is not None
    assert after.region.rect == RECT
    assert after.model_copy(update={"region": None}) == before
    keep_region(files, "lbreakout2", (0, 0, 64, 64))
    assert game("lbreakout2").region.rect == (0, 0, 64, 64)
    assert files.user_games.read_text().count("lbreakout2:") == 1


def seen(monkeypatch: pytest.MonkeyPatch, process: str, rect: tuple[int, int, int, int] | None) -> None:
    """Have this be picked: something in a window of 640x480 at (100, 50)."""
    window = WindowInfo(1, process, "LBreakout2", (100, 50, 640, 480), 1)
    monkeypatch.setattr("tray_agent.platforms.x11.region_pick.pick", lambda timeout_s: Picked(window, rect))
    monkeypatch.setattr(region_pick.platform, "system", lambda: "Linux")


@pytest.mark.parametrize(
    ("rect", "wanted"),
    [(None, (0, 0, 640, 480)), ((150, 90, 320, 240), (50, 40, 320, 240)), ((0, 0, 300, 5000), (0, 0, 200, 480))],
)
def test_rectangle_counts_from_the_window(
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rect: tuple[int, int, int, int] | None,
    wanted: tuple[int, int, int, int],
) -> None:
    """A click is the whole window; what lies outside of it is cut off; a shape that is squeezed is told."""
    seen(monkeypatch, "lbreakout2", rect)
    assert picked([game("lbreakout2")], keep=False) == wanted
    said = capsys.readouterr().err
    assert ("squeezed into 96x72" in said) == (wanted[2] == 200)
    assert not files.user_games.exists()
    assert picked([game("doom"), game("lbreakout2")], keep=True) == wanted
    assert game("lbreakout2").region.rect == wanted


def test_what_can_not_be_picked(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another window, a few pixels, another system; Esc is no error."""
    seen(monkeypatch, "xterm", None)
    with pytest.raises(PlatformUnavailable, match="xterm"):
        picked([game("doom")], keep=False)
    seen(monkeypatch, "chocolate-doom", (100, 50, 12, 300))
    with pytest.raises(SettingsError, match="12 x 300"):
        picked([game("doom")], keep=False)
    monkeypatch.setattr("tray_agent.platforms.x11.region_pick.pick", lambda timeout_s: None)
    assert picked([game("doom")], keep=False) is None
    monkeypatch.setattr(region_pick.platform, "system", lambda: "Darwin")
    with pytest.raises(PlatformUnavailable, match="Darwin"):
        picked([game("doom")], keep=False)

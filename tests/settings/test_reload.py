"""Edits of the files: taken when right, told when wrong, never half."""

import os
import shutil
from pathlib import Path

import pytest

from tray_agent.errors import SettingsError, UnknownGame
from tray_agent.settings import paths
from tray_agent.settings.reload import Change, SettingsWatcher
from tray_agent.settings.snapshot import Files, load_settings

GAME = "games:\n  {name}:\n    vector: {vector}\n    match: {{process: x}}\n    controls: {{keys: [a]}}\n"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Copies of the shipped files; no files of the user yet."""
    shipped = paths.shipped_folder()
    for name in ("games.yaml", "tray_agent.yaml"):
        shutil.copy(shipped / name, tmp_path / f"shipped-{name}")
    user = tmp_path / "user"
    user.mkdir()
    return Files(
        tmp_path / "shipped-games.yaml",
        tmp_path / "shipped-tray_agent.yaml",
        user / "games.yaml",
        user / "tray_agent.yaml",
    )


@pytest.fixture
def watcher(files: Files) -> SettingsWatcher:
    """A started watcher."""
    found = SettingsWatcher(files)
    found.start()
    return found


def settle(watcher: SettingsWatcher) -> Change | None:
    """The change that two polls make of an edit."""
    first = watcher.poll()
    assert first is None
    return watcher.poll()


def test_user_games_add_and_replace(files: Files) -> None:
    """The user's games come first and replace shipped ones of the same name; the others stay."""
    files.user_games.write_text(GAME.format(name="doom", vector=200) + GAME.format(name="new", vector=201)[7:])
    games = load_settings(files).games
    assert list(games)[:3] == ["doom", "new", "lbreakout2"]
    assert games["doom"].vector == 200


def test_vector_of_a_shipped_game_is_taken(files: Files) -> None:
    """A user's game with a shipped game's vector is refused, with a free id."""
    files.user_games.write_text(GAME.format(name="new", vector=2))
    expected = (
        r"games\.yaml:2:3: games\.new: vector 2 already belongs to 'lbreakout2'\. Take another, for example 100\."
    )
    with pytest.raises(SettingsError, match=expected):
        load_settings(files)


def test_replacing_a_game_may_keep_its_vector(files: Files) -> None:
    """A user's version of a shipped game keeps what was learned for it."""
    files.user_games.write_text(GAME.format(name="lbreakout2", vector=2))
    assert load_settings(files).games["lbreakout2"].controls.names == ("KeyA",)


def test_mistakes_of_all_files_come_together(files: Files) -> None:
    """Mistakes in both of the user's files are told at once."""
    files.user_games.write_text("games: 3\n")
    files.user_app.write_text("tary: true\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(files)
    assert len(str(caught.value).splitlines()) == 2


def test_unknown_game_is_told_with_the_nearest(files: Files) -> None:
    """A mistyped game's name brings the one that was meant."""
    with pytest.raises(UnknownGame, match="Did you mean 'lbreakout2'"):
        load_settings(files).game("lbreakout")


def test_nothing_changed_is_no_change(watcher: SettingsWatcher) -> None:
    """Polling without an edit tells nothing."""
    assert [watcher.poll() for _ in range(3)] == [None] * 3


def test_new_game_is_taken(watcher: SettingsWatcher, files: Files) -> None:
    """A user's file that appears counts without restart."""
    files.user_games.write_text(GAME.format(name="new", vector=200))
    change = settle(watcher)
    assert change is not None
    assert (change.error, change.games, change.app) == ("", {"new"}, False)
    assert watcher.settings.game("new") == change.settings.game("new")
    assert watcher.poll() is None


def test_mistake_keeps_the_old_settings(watcher: SettingsWatcher, files: Files) -> None:
    """A mistake changes nothing but the error, is told once, and goes when it is mended."""
    old = watcher.settings
    files.user_app.write_text("lease_ms: 9999\n")
    change = settle(watcher)
    assert change is not None
    assert change.settings is old
    assert watcher.settings is old
    assert "tray_agent.yaml:1:11: lease_ms: " in watcher.error
    assert change.error == watcher.error
    assert watcher.poll() is None
    files.user_app.write_text("lease_ms: 200\n")
    mended = settle(watcher)
    assert mended is not None
    assert mended.app
    assert not watcher.error
    assert watcher.settings.app.lease_ms == 200


def test_going_back_to_the_old_file_clears_the_error(watcher: SettingsWatcher, files: Files) -> None:
    """Undoing a mistake is told, though the settings are the same as before."""
    files.user_app.write_text("nonsense\n")
    assert settle(watcher) is not None
    files.user_app.unlink()
    change = settle(watcher)
    assert change is not None
    assert (change.error, change.games, change.app) == ("", frozenset(), False)


def test_file_still_being_written_is_not_taken(watcher: SettingsWatcher, files: Files) -> None:
    """While a file grows from poll to poll it is left alone."""
    text = GAME.format(name="new", vector=200)
    for end in range(1, len(text), 9):
        files.user_games.write_text(text[:end])
        assert watcher.poll() is None
    files.user_games.write_text(text)
    assert settle(watcher) is not None
    assert not watcher.error


def test_touching_is_no_change(watcher: SettingsWatcher, files: Files) -> None:
    """Saving without a change tells nothing."""
    os.utime(files.shipped_games, ns=(1, 1))
    assert settle(watcher) is None


def test_removed_game_is_told(watcher: SettingsWatcher, files: Files) -> None:
    """A game that goes away is among the changed ones."""
    files.user_games.write_text(GAME.format(name="new", vector=200))
    assert settle(watcher) is not None
    files.user_games.unlink()
    change = settle(watcher)
    assert change is not None
    assert change.games == {"new"}


def test_start_with_mistakes_raises(files: Files) -> None:
    """There are no settings to start with when the files are wrong."""
    files.user_games.write_text("games: [\n")
    watcher = SettingsWatcher(files)
    with pytest.raises(SettingsError, match="not valid YAML"):
        watcher.start()
    with pytest.raises(SettingsError, match="not been read"):
        _ = watcher.settings

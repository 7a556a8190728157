"""Folders: where they lie, and that they are the user's alone."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tray_agent.errors import SettingsError
from tray_agent.settings import paths

FOLDERS = [paths.config_folder, paths.data_folder, paths.state_folder, paths.cache_folder, paths.runtime_folder]
posix = pytest.mark.skipif(os.name != "posix", reason="file modes mean nothing on this system")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.__name__)
def test_home_variable_moves_everything(
    folder: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TRAY_AGENT_HOME every folder lies below it; the variable counts at once."""
    for name in ("one", "two"):
        monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path / name))
        assert folder().parent == tmp_path / name
        assert folder().is_dir()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.__name__)
def test_system_folders_are_used(folder: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it they are the platform's own, each under the program's name."""
    if os.name != "posix" or os.uname().sysname == "Darwin":
        pytest.skip("only Linux lets a test move its standard folders")
    monkeypatch.delenv("TRAY_AGENT_HOME", raising=False)
    for kind in ("CONFIG_HOME", "DATA_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR"):
        (tmp_path / kind).mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{kind}", str(tmp_path / kind))
    assert folder().name == "tray-agent"
    assert folder().is_relative_to(tmp_path)


@posix
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.__name__)
def test_folders_are_private(folder: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are made with mode 0700, and one that was open to others is closed."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path))
    made = folder()
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    made.chmod(0o755)
    assert stat.S_IMODE(folder().stat().st_mode) == 0o700


def test_file_in_the_way_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file where a folder should be gives an error with path and remedy."""
    (tmp_path / "data").write_text("")
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path))
    with pytest.raises(SettingsError, match=r"data: can't be used as a folder: .*TRAY_AGENT_HOME"):
        paths.data_folder()


@posix
@pytest.mark.parametrize("which", ["home", "home/run"])
def test_folder_of_someone_else_is_refused(which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that another user prepared is not used, nor one inside it."""
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    (tmp_path / "home" / "run").mkdir(parents=True)
    os.chown(tmp_path / which, 12345, -1)
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path / "home"))
    with pytest.raises(SettingsError, match="belongs to another user"):
        paths.runtime_folder()

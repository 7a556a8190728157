"""Where things lie on this machine: functions, so that a changed environment counts at once. Any thread.

`TRAY_AGENT_HOME` moves everything below one folder (tests, portable installs).
"""

import os
import stat
import sys
from pathlib import Path

import platformdirs

import tray_agent
from tray_agent.errors import SettingsError

APP = "tray-agent"
HOME_VARIABLE = "TRAY_AGENT_HOME"
_LONGEST_RUNTIME = 90  # macOS allows 103 bytes to a socket, Linux 107


def config_folder() -> Path:
    """The user's own games.yaml and tray_agent.yaml. Raises SettingsError, as all functions here that create."""
    return _private(_below_home("config") or platformdirs.user_config_path(APP, appauthor=False))


def data_folder() -> Path:
    """Sessions and models, unless the settings name other folders."""
    return _private(_below_home("data") or platformdirs.user_data_path(APP, appauthor=False))


def state_folder() -> Path:
    """Logs, and what the daemon remembers from one start to the next."""
    return _private(_below_home("state") or platformdirs.user_state_path(APP, appauthor=False))


def cache_folder() -> Path:
    """What can be made again."""
    return _private(_below_home("cache") or platformdirs.user_cache_path(APP, appauthor=False))


def runtime_folder() -> Path:
    """Sockets and lock files; keep names in it short, socket paths are limited to about 100 bytes.

    Raises:
        SettingsError: it can't be used, or its path leaves no room for a socket's name.
    """
    home = _below_home("run")
    if home is None and sys.platform == "linux" and not os.environ.get("XDG_RUNTIME_DIR"):
        home = state_folder() / "run"  # no session of its own (ssh, cron): rather ours than a folder in /tmp
    folder = _private(home or platformdirs.user_runtime_path(APP, appauthor=False))
    if os.name == "posix" and len(os.fsencode(folder)) > _LONGEST_RUNTIME:
        raise SettingsError(f"{folder}: too long a path for sockets. Set {HOME_VARIABLE} to a shorter one.")
    return folder


def user_games() -> Path:
    """The user's games.yaml (it need not exist)."""
    return config_folder() / "games.yaml"


def user_app() -> Path:
    """The user's tray_agent.yaml (it need not exist)."""
    return config_folder() / "tray_agent.yaml"


def shipped_folder() -> Path:
    """The configuration that comes with the program: inside an installed package, or `config/` of a checkout.

    Raises:
        SettingsError: the installation is incomplete.
    """
    package = Path(tray_agent.__file__).resolve().parent
    for folder in (package / "_config", package.parent / "config"):
        if (folder / "games.yaml").is_file():
            return folder
    raise SettingsError(f"{package}: the shipped configuration is missing. Install the program again.")


def _below_home(name: str) -> Path | None:
    home = os.environ.get(HOME_VARIABLE)
    if not home:
        return None
    return Path(home).expanduser().absolute() / name


def _private(folder: Path) -> Path:
    """The folder, created if missing, readable by its user alone.

    Raises:
        SettingsError: it can't be created, or belongs to someone else (who could read or swap what lies there).
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":  # there the folder's own rights keep others out
            _close_to_others(folder, os.getuid())
    except OSError as error:
        remedy = f"Free the path, or set {HOME_VARIABLE} to a folder of yours."
        raise SettingsError(f"{folder}: can't be used as a folder: {error.strerror or error}. {remedy}") from error
    return folder


def _close_to_others(folder: Path, user: int) -> None:
    status = folder.stat()
    if status.st_uid != user or folder.parent.stat().st_uid not in (0, user):
        raise PermissionError(0, "it, or the folder it is in, belongs to another user")
    if stat.S_IMODE(status.st_mode) & 0o077:
        folder.chmod(0o700)

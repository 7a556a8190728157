"""All settings at one moment: the shipped files and the user's, put together. Runs on its caller's thread."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tray_agent.errors import SettingsError, UnknownGame
from tray_agent.settings import paths
from tray_agent.settings.app import AppSettings
from tray_agent.settings.games import SHIPPED, GameProfile, GamesFile
from tray_agent.settings.load import Model, load
from tray_agent.settings.mistake import did_you_mean


@dataclass(frozen=True)
class Files:
    """The files settings come from; a user's file need not exist.

    Attributes:
        shipped_games, shipped_app: come with the program.
        user_games: adds games to the shipped ones, and replaces those of the same name.
        user_app: is taken instead of the shipped one; what it leaves out has its default.
    """

    shipped_games: Path
    shipped_app: Path
    user_games: Path
    user_app: Path

    @staticmethod
    def standard() -> "Files":
        """Where they lie on this machine. Raises SettingsError."""
        shipped = paths.shipped_folder()
        return Files(shipped / "games.yaml", shipped / "tray_agent.yaml", paths.user_games(), paths.user_app())

    def all(self) -> tuple[Path, ...]:
        """Every file."""
        return (self.shipped_games, self.shipped_app, self.user_games, self.user_app)


@dataclass(frozen=True)
class Settings:
    """Checked settings; never changes, an edit makes a new one.

    Attributes:
        app: of the program.
        games: profiles by name, the user's own first.
    """

    app: AppSettings
    games: Mapping[str, GameProfile]

    def game(self, name: str) -> GameProfile:
        """Profile of a game.

        Raises:
            UnknownGame: there is none of that name.
        """
        if name in self.games:
            return self.games[name]
        known = f"Known games: {', '.join(sorted(self.games)) or 'none'}."
        raise UnknownGame(f"there is no game {name!r}. {did_you_mean(name, self.games, known)}")


def load_settings(files: Files | None = None) -> Settings:
    """Read and check all files (by default those of `Files.standard`).

    Raises:
        SettingsError: one line for every mistake in any of them.
    """
    files = files or Files.standard()
    problems: list[str] = []
    app = _app(files, problems)
    games = _games(files, problems)
    if problems or app is None:
        raise SettingsError("\n".join(problems))
    return Settings(app, MappingProxyType(games))


def load_games(shipped: Path, user: Path) -> dict[str, GameProfile]:
    """Profiles of both files, the user's first.

    Raises:
        SettingsError: one line for every mistake.
    """
    base = load(shipped, GamesFile).profiles()
    if not user.exists():
        return base
    own = load(user, GamesFile, {SHIPPED: base}).profiles()
    return own | {name: profile for name, profile in base.items() if name not in own}


def _app(files: Files, problems: list[str]) -> AppSettings | None:
    return _noting(problems, files.user_app if files.user_app.exists() else files.shipped_app, AppSettings)


def _noting(problems: list[str], path: Path, model: type[Model]) -> Model | None:
    try:
        return load(path, model)
    except SettingsError as error:
        problems.append(str(error))
        return None


def _games(files: Files, problems: list[str]) -> dict[str, GameProfile]:
    try:
        return load_games(files.shipped_games, files.user_games)
    except SettingsError as error:
        problems.append(str(error))
        return {}

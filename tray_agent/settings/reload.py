"""Notices edits of the configuration files: polled, no thread of its own, owned by whoever calls `poll`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tray_agent.errors import SettingsError
from tray_agent.settings.load import MAX_BYTES
from tray_agent.settings.snapshot import Files, Settings, load_settings

_Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Change:
    """What an edit did.

    Attributes:
        settings: in force from now on; the old ones when the edit has mistakes.
        error: the mistakes, one a line; "" when the edit was taken.
        games: names of the games that were added, changed or removed.
        app: whether the program's own settings changed.
    """

    settings: Settings
    error: str = ""
    games: frozenset[str] = frozenset()
    app: bool = False


class SettingsWatcher:
    """Settings that follow their files.

    A changed file is read once two polls in a row see it alike, so that an editor's half-written file is not taken.
    A file with mistakes changes nothing but `error`.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._settings: Settings | None = None
        self._seen: _Signature = ()
        self._taken: _Signature = ()
        self._digest = ""
        self.error = ""
        """Mistakes in the files as they are now; "" when they are in force."""

    def start(self) -> Settings:
        """Read everything for the first time.

        Raises:
            SettingsError: there are mistakes and so no settings to start with.
        """
        self._seen = self._taken = self._signature()
        self._digest = self._content_digest()
        self._settings = load_settings(self._files)
        return self._settings

    @property
    def settings(self) -> Settings:
        """Those in force: the last ones without mistakes.

        Raises:
            SettingsError: `start` has not succeeded yet.
        """
        if self._settings is None:
            raise SettingsError("the settings have not been read yet")
        return self._settings

    def poll(self) -> Change | None:
        """Look at the files; a Change when an edit was taken, or turned out wrong, or its mistakes differ. Cheap."""
        now = self._signature()
        settled, self._seen = now == self._seen, now
        if now == self._taken or not settled:
            return None
        self._taken = now
        digest = self._content_digest()
        if digest == self._digest:  # touched, or saved without a change
            return None
        self._digest = digest
        return self._take()

    def _take(self) -> Change | None:
        old, was_wrong = self.settings, self.error
        try:
            new = load_settings(self._files)
        except SettingsError as error:
            self.error = str(error)
            return Change(old, self.error) if self.error != was_wrong else None
        self.error = ""
        self._settings = new
        games = {name for name in {*old.games, *new.games} if old.games.get(name) != new.games.get(name)}
        change = Change(new, "", frozenset(games), old.app != new.app)
        return change if games or change.app or was_wrong else None

    def _signature(self) -> _Signature:
        return tuple(_stat(path) for path in self._files.all())

    def _content_digest(self) -> str:
        digest = hashlib.sha256()
        for path in self._files.all():
            digest.update(_content(path) + b"\0file\0")
        return digest.hexdigest()


def _stat(path: Path) -> tuple[int, int, int]:
    """Changes with every save, also where an editor puts a new file in the old one's place."""
    try:
        status = path.stat()
    except OSError as error:
        return (-1, -1, error.errno or 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _content(path: Path) -> bytes:
    if not path.is_file():
        return b"none"
    try:
        with path.open("rb") as stream:
            return b"file" + stream.read(MAX_BYTES + 1)
    except OSError as error:
        return f"error {error.errno}".encode()

"""Sessions at an address of another machine, as fsspec reads it: s3://bucket/path, sftp://host/path and others.

Looks and reads there, never writes. Runs on the caller's thread; file systems of fsspec may have threads of their own.
"""

import contextlib
import errno
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tray_agent.errors import PlatformUnavailable, SessionError
from tray_agent.runtime.optional import needed
from tray_agent.sessions.layout import EVENTS, MARKS, METADATA, SOUND, TICKS, VIDEO, game_folder

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_LAST_STROKES = re.compile(r"(?<![:/])/+$")
_HERE = "file"
_LIBRARIES = {"s3": "s3fs", "s3a": "s3fs", "sftp": "sshfs", "ssh": "sshfs", "http": "aiohttp", "https": "aiohttp"}
_MORE: dict[str, dict[str, Any]] = {"sshfs": {"known_hosts": ()}}
"""Said beside the address; (): only servers in ~/.ssh/known_hosts, while sshfs, as fsspec's own sftp, trusts any."""
_FILES = frozenset({METADATA, TICKS, MARKS, EVENTS, VIDEO, SOUND})
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_VERSIONS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "Last-Modified", "modified", "created")
"""What file systems call that which changes with the content; the first one that is there counts."""
_LOG_IN = "See that it can be reached, and that you may log in without a password (keys, credentials in files)"


@dataclass(frozen=True)
class RemoteFile:
    """A file as it was listed.

    Attributes:
        name: one of a session's.
        bytes: its size; it may have grown since.
        version: changes whenever the content does; "" where the file system tells none.
    """

    name: str
    bytes: int
    version: str


@dataclass(frozen=True)
class RemoteSession:
    """A session as it was listed.

    Attributes:
        address: of its folder.
        files: in the order of their names.
    """

    address: str
    files: tuple[RemoteFile, ...]

    @property
    def name(self) -> str:
        """That of its folder."""
        return self.address.rpartition("/")[2]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def key(self) -> str:
        """32 hex digits: the same address and the same content."""
        return hashlib.sha256(repr(self.to_json()).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"address": self.address, "files": [[file.name, file.bytes, file.version] for file in self.files]}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "RemoteSession":
        """Inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        files = (RemoteFile(str(name), int(size), str(version)) for name, size, version in data["files"])
        return RemoteSession(str(data["address"]), tuple(files))


def is_remote(text: str) -> bool:
    """Whether it is an address, not a folder of this machine (a name or file://)."""
    found = _ADDRESS.match(text)
    return found is not None and found[1].lower() != _HERE


def folder_here(text: str) -> Path:
    """The folder of this machine that a name or file:// means.

    Raises:
        SessionError: file:// without a full path.
    """
    if not _ADDRESS.match(text):
        return Path(text)
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        raise SessionError(f"{text}: no full path. Write file:///folder, with three strokes")
    return Path(url2pathname(parts.path))


def find_remote(address: str, game: str) -> list[RemoteSession]:
    """The sessions at an address: ADDRESS is one, or they are in ADDRESS/GAME, or in ADDRESS.

    Raises:
        SessionError: there are none, or they may not be listed.
        PlatformUnavailable: the library for it is not installed.
    """
    address = _LAST_STROKES.sub("", address)
    files, root = _opened(address)
    with _told(address):
        files.invalidate_cache()
        inside = _listed(files, root)
        if METADATA in inside:
            return [_session(files, address, inside)]
        of_game = game_folder(Path(), game).name
        if _is_folder(inside.get(of_game)):
            address = f"{address}/{of_game}"
            inside = _listed(files, inside[of_game]["name"])
        found = []
        for name in sorted(name for name, entry in inside.items() if _is_folder(entry)):
            of_session = _listed(files, inside[name]["name"])
            if METADATA in of_session:
                found.append(_session(files, f"{address}/{name}", of_session))
    if not found:
        raise SessionError(f"{address}: no sessions in it. Name sessions, a folder of them, or one that holds {game}/")
    return found


def copy_file(session: RemoteSession, file: RemoteFile, target: Path) -> None:
    """Copy a session's file, as far as it was there when it was listed.

    Raises:
        SessionError: it can't be read to that end, or not written here.
    """
    address = f"{session.address}/{file.name}"
    files, path = _opened(address)
    with _told(address):
        files.get_file(path, str(target))
        with target.open("r+b") as copied:
            if copied.seek(0, 2) < file.bytes and file.name != METADATA:
                raise SessionError(f"{address} ends too early; it has changed or the connection broke. Try again")
            if file.name != METADATA:  # that one is replaced as a whole; all others only ever grow
                copied.truncate(file.bytes)


def check_unchanged(session: RemoteSession) -> None:
    """Look whether the session is still as it was listed, or has grown.

    Raises:
        SessionError: it has changed, or is gone.
    """
    files, path = _opened(session.address)
    with _told(session.address):
        files.invalidate_cache()
        now = {file.name: file for file in _session(files, session.address, _listed(files, path)).files}
    for file in session.files:
        other = now.get(file.name)
        grown = other is not None and other.bytes > file.bytes
        if other is None or not (grown or other == file or file.name == METADATA):
            raise SessionError(f"{session.address}/{file.name} has changed meanwhile. Try again")


def _opened(address: str) -> tuple[Any, str]:
    """File system of fsspec, and the path in it."""
    cannot = f"{address} can't be read"
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise SessionError(f"{cannot} ({error})") from error
    if parts.password:
        raise SessionError(
            f"{parts.scheme}://{parts.hostname}: leave the password out, it would be kept with the run. {_LOG_IN}"
        )
    fsspec = needed("fsspec", cannot, "remote")
    library = _LIBRARIES.get(parts.scheme, "")
    if library:
        needed(library, cannot, "remote")
    try:
        files, path = fsspec.core.url_to_fs(address, **_MORE.get(library, {}))
    except ImportError as error:
        raise PlatformUnavailable(f"{cannot}: {error}", "Install that library with pip.") from error
    except Exception as error:  # most connect at once, each with errors of its own
        unknown = isinstance(error, ValueError) and parts.scheme not in fsspec.available_protocols()
        kinds = "Take a folder, or s3://, sftp://, https:// or another protocol of fsspec"
        raise SessionError(f"{cannot} ({_reason(error)}). {kinds if unknown else _LOG_IN}") from error
    return files, str(path)


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Errors of a file system as one of ours; there are dozens, and few of them are OSErrors."""
    try:
        yield
    except SessionError:
        raise
    except FileNotFoundError as error:
        raise SessionError(f"{address}: there is nothing, or nothing any more ({_reason(error)})") from error
    except PermissionError as error:
        raise SessionError(f"{address} may not be read ({_reason(error)}). {_LOG_IN}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SessionError(f"the disk is full: {address} does not fit. Free some space and try again") from error
        raise SessionError(f"{address} can't be read ({_reason(error)}). {_LOG_IN}") from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _is_folder(entry: dict[str, Any] | None) -> bool:
    return entry is not None and entry["type"] == "directory"


def _listed(files: Any, path: str) -> dict[str, dict[str, Any]]:
    """What is in a folder, by name."""
    entries: Sequence[dict[str, Any]] = files.ls(path, detail=True)
    inside = [entry for entry in entries if entry["name"].strip("/") != path.strip("/")]  # S3 may list it in itself
    return {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in inside}


def _session(files: Any, address: str, inside: dict[str, dict[str, Any]]) -> RemoteSession:
    name = address.rpartition("/")[2]
    if not _NAME.fullmatch(name):  # it becomes that of a folder here
        raise SessionError(f"{address}: {name!r} is no name for a session; rename it to letters, digits, - and _")
    return RemoteSession(address, tuple(_file(files, inside[name]) for name in sorted(_FILES & inside.keys())))


def _file(files: Any, entry: dict[str, Any]) -> RemoteFile:
    path = entry["name"]
    if entry.get("size") is None:  # an index page tells names only
        entry = files.info(path)
    if entry.get("size") is None:
        raise SessionError(f"{path}: its size can't be found out. Copy the sessions to a folder and name that")
    version = next((str(entry[name]) for name in _VERSIONS if entry.get(name)), "")
    return RemoteFile(path.rpartition("/")[2], int(entry["size"]), version)

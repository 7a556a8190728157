"""Files that are either the old or the new version, whatever happens (standard library only).

Runs on the caller's thread. The disk is touched in this order: temporary file in the same folder, fsync, rename over
the old name, fsync of the folder; a kill at any moment leaves at worst a file called `.NAME.*.tmp`.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_SHARING_RETRIES = 20
_SHARING_PAUSE_S = 0.05


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace the file at `path` by `content` (text as UTF-8), readable and writable by the user only.

    Raises:
        OSError: it could not be written (disk full, no permission, no such folder); the old file is untouched.
    """
    with open_atomic(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """The same for what is too large to hold: a file to write to, which takes the place of `path` when the block ends.

    Raises:
        OSError: see `write_atomic`. Whatever the block raises leaves the old file untouched as well.
    """
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _replace(Path(temporary), path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    sync_folder(path.parent)


def _replace(source: Path, target: Path) -> None:
    """Rename over `target`; on Windows a scanner or reader may hold it open for a moment, so try again."""
    for attempt in range(_SHARING_RETRIES):
        try:
            source.replace(target)
            return  # noqa: TRY300 - the loop ends here when it worked
        except PermissionError:
            if os.name != "nt" or attempt == _SHARING_RETRIES - 1:
                raise
            time.sleep(_SHARING_PAUSE_S)


def sync_folder(folder: Path) -> None:
    """Make the rename itself last; folders can't be opened for this on Windows."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""What formats in HDF5 share: opening a file, and telling whose it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tray_agent.runtime.optional import needed

_MAGIC = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether a file begins like HDF5."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


@contextmanager
def opened(path: Path, whom: str) -> Iterator[Any]:
    """The file, to be read. Raises PlatformUnavailable without h5py, OSError when it is damaged."""
    h5py = needed("h5py", f"{whom} can't be read", "import")
    with h5py.File(path, "r") as file:
        yield file


def holds(path: Path, whom: str, *names: str) -> bool:
    """Whether all of these are at the file's top; False when it can't be opened. Raises PlatformUnavailable."""
    try:
        with opened(path, whom) as file:
            return all(name in file for name in names)
    except OSError:
        return False

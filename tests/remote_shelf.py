"""A file system of fsspec for tests: `shelf:///folder` is that folder, and reading from it can be made to fail."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem


class Shelf(AbstractFileSystem):
    """`copied` are the names of files that were asked for; `before` is called with each, and with `ls` for a look."""

    protocol = "shelf"
    cachable = False
    copied: list[str] = []  # noqa: RUF012 - one for all, as there is one disk
    before: Callable[[str], None] = staticmethod(lambda name: None)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """As fsspec wants it."""
        Shelf.before("ls")
        found = [(one, one.stat()) for one in Path(path).iterdir()]
        return [
            {"name": str(one), "type": "directory" if one.is_dir() else "file", "size": stat.st_size,
             "mtime": stat.st_mtime_ns}
            for one, stat in found
        ]  # fmt: skip

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        """As fsspec wants it."""
        Shelf.copied.append(Path(rpath).name)
        Shelf.before(Path(rpath).name)
        shutil.copyfile(rpath, lpath)


def put_up() -> None:
    """Make it known to fsspec, with nothing wrong and nothing copied."""
    Shelf.copied, Shelf.before = [], lambda name: None
    fsspec.register_implementation("shelf", Shelf, clobber=True)

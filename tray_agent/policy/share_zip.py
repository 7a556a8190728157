"""The zip a bundle travels in: written the same every time, read as if a stranger had made it. BUNDLES.md tells more.

Nothing is ever unpacked to disk: entries are read into memory, by names known beforehand, each up to its limit.
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from tray_agent.errors import BundleError
from tray_agent.policy.bundle import MANIFEST_NAME, ONNX_NAME
from tray_agent.runtime.atomic_file import write_atomic

PREVIEW_NAME = "preview.mp4"
SIGNATURE_NAME = "signature.json"
LIMITS = {MANIFEST_NAME: 1 << 20, ONNX_NAME: 128 << 20, PREVIEW_NAME: 16 << 20, SIGNATURE_NAME: 4096}
"""All that may be in it, in the order it is written, with the most bytes each may have."""
MAX_ZIP_BYTES = sum(LIMITS.values()) + (64 << 10)
_MAX_DIRECTORY_BYTES = 16 << 10  # `zipfile` makes an object of each entry of the directory before anyone can count
_END = struct.Struct("<4s4H2LH")
_LOCATOR_OF_64 = (b"PK\x06\x07", 20)
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError, ValueError,
    OverflowError, IndexError, OSError,
)  # fmt: skip
"""What `zipfile` raises for damaged files, as found by damaging them."""


def write_zip(path: Path, entries: dict[str, bytes]) -> None:
    """Store the entries, not compressed: the same entries give the same bytes everywhere.

    Raises:
        BundleError: an entry is too large, the file is there already, or it can't be written.
    """
    for name, content in entries.items():
        if len(content) > LIMITS[name]:
            raise BundleError(f"{name} has {len(content) >> 20} MiB; no more than {LIMITS[name] >> 20} can be shared")
    if path.exists():
        raise BundleError(f"{path} is there already; name another file, or delete it")
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name in (name for name in LIMITS if name in entries):
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, entries[name])
    try:
        write_atomic(path, written.getvalue())
    except OSError as error:
        raise BundleError(f"{path} can't be written: {error.strerror or error}") from error


def read_zip(path: Path) -> dict[str, bytes]:
    """Its entries by name; policy and manifest are there, preview and signature may be.

    Raises:
        BundleError: anything about it is not as `write_zip` or a plain zip program would have made it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_ZIP_BYTES + 1)
    except OSError as error:
        raise BundleError(f"it can't be read: {error.strerror or error}") from error
    if len(data) > MAX_ZIP_BYTES:
        raise BundleError(f"it is larger than {MAX_ZIP_BYTES >> 20} MiB")
    _check_end(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            return {entry.filename: _content(archive, entry) for entry in entries}
    except _UNREADABLE as error:
        raise BundleError(f"the zip is damaged ({type(error).__name__}: {str(error)!r:.100})") from error


def _check_end(data: bytes) -> None:
    """Look at the zip's last record, which says how large its directory is, before `zipfile` does what it says."""
    end, (locator, before) = data[-_END.size :], _LOCATOR_OF_64
    if len(end) < _END.size or end[:4] != b"PK\x05\x06":
        raise BundleError("it is no zip file, was cut off, or has something after its end")
    directory_bytes = _END.unpack(end)[5]
    if data[-_END.size - before :].startswith(locator):
        raise BundleError("it is a zip of the 64-bit kind, which no bundle needs")
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise BundleError("it has far more entries than a bundle")


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for entry in entries:
        _check_name(entry)
        if entry.filename in seen:
            raise BundleError(f"it holds {entry.filename} twice")
        seen.add(entry.filename)
        if entry.flag_bits & 1:
            raise BundleError(f"{entry.filename} is encrypted")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in {0, stat.S_IFREG}:
            raise BundleError(f"{entry.filename} is {'a link' if kind == stat.S_IFLNK else 'no plain file'}")
        if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise BundleError(
                f"{entry.filename} is compressed in a way that no bundle is (method {entry.compress_type})"
            )
    for name in (ONNX_NAME, MANIFEST_NAME):
        if name not in seen:
            raise BundleError(f"it holds no {name}, so it is no bundle")


def _check_name(entry: zipfile.ZipInfo) -> None:
    name = entry.orig_filename
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or name.startswith("\\"):
        raise BundleError(f"the name {name!r:.60} is absolute")
    if ".." in re.split(r"[/\\]", name):
        raise BundleError(f"the name {name!r:.60} leads out of the zip")
    if name not in LIMITS or entry.filename != name:
        raise BundleError(f"it holds {name!r:.60}, which is no part of a bundle")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    limit = LIMITS[entry.filename]
    with archive.open(entry) as stream:
        content = stream.read(limit + 1)  # whatever the headers say of its size
    if len(content) > limit:
        raise BundleError(f"{entry.filename} is larger than {max(1, limit >> 20)} MiB when unpacked")
    return content

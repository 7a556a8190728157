"""Puts a session's page together. Runs on the caller's thread; an hour of play takes minutes, see `tell`."""

import base64
import hashlib
import html
import re
import tempfile
from pathlib import Path
from typing import IO

import av

from tray_agent.core.media import Samples
from tray_agent.errors import SessionError
from tray_agent.page.film import Tell, write_film
from tray_agent.page.guesses import guess
from tray_agent.page.timeline import Timeline, shown_sound, sound_level, timeline
from tray_agent.page.tracks import page_json, tracks
from tray_agent.runtime.atomic_file import open_atomic
from tray_agent.sessions.reader import SessionReader

_PIECE_BYTES = (
    3 << 20
)  # base64 of it is far below the longest text a browser takes, and a multiple of 3 needs no padding
_FILM_MARK = "<!-- film -->"
_MARK = re.compile(r"{{(\w+)}}")


def quiet(_stage: str, _share: float) -> None:
    """Progress for nobody."""


def write_page(session: Path, out: Path, bundle: Path | None = None, tell: Tell = quiet) -> int:
    """Write one HTML file that needs nothing but itself and a browser.

    Args:
        session: the session's folder.
        out: the file; replaced as a whole when all went well, else left as it was.
        bundle: folder of a bundle whose answers are shown beside what the player did.
        tell: progress.

    Returns:
        The file's size in bytes.

    Raises:
        SessionError: no session, an empty or damaged one, or the page can't be written (disk full, no such folder).
        BundleError: the bundle is missing, damaged or made for other controls, rate or picture.
    """
    reader = SessionReader(session)
    if not len(reader):
        raise SessionError(f"session {session} holds no tick with a picture: there is nothing to show. Watch a little")
    try:
        if out.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with open_atomic(out) as page, tempfile.TemporaryFile(dir=out.parent) as film:
            _write(reader, bundle, page, film, tell)
            return page.tell()
    except (OSError, av.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SessionError(f"page {out} can't be written ({reason}). Free space there, or name another file") from error


def _write(reader: SessionReader, bundle: Path | None, page: IO[bytes], film: IO[bytes], tell: Tell) -> None:
    guesses = guess(reader, bundle, tell) if bundle is not None else None
    line = timeline(reader.ticks.t_ns, reader.spec.rate_hz)
    sound = _sound(reader, line)
    write_film(film, reader, line, sound, tell)
    level = sound_level(line, sound) if len(sound) else None
    before, after = _template(reader.info.game, page_json(tracks(reader, line, level, guesses)))
    page.write(before.encode(errors="replace"))
    _write_film(page, film, tell)
    page.write(after.encode(errors="replace"))


def _sound(reader: SessionReader, line: Timeline) -> Samples:
    samples = reader.sound()
    return shown_sound(line, reader.ticks.t_ns, samples, reader.info.start_ns) if len(samples) else samples


def _template(game: str, data: str) -> tuple[str, str]:
    """The page before and after its film."""
    here = Path(__file__).parent
    # read as text, so that a checkout with other line ends gives the same hashes as the browser computes
    frame, style, script = ((here / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    parts = {
        "policy": _content_policy(style, script),
        "title": html.escape(game),
        "style": style,
        "data": data,
        "script": script,
    }
    before, after = frame.split(_FILM_MARK)
    filled = [_MARK.sub(lambda mark: parts[mark[1]], text) for text in (before, after)]
    return filled[0], filled[1]


def _content_policy(style: str, script: str) -> str:
    """Content-Security-Policy: this script, this style, the film from memory, nothing else and no network at all."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    allowed = f"script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; media-src blob:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _write_film(page: IO[bytes], film: IO[bytes], tell: Tell) -> None:
    total = film.seek(0, 2)
    film.seek(0)
    while piece := film.read(_PIECE_BYTES):
        tell("page", film.tell() / total)
        page.write(b'<script type="text/plain" class="film">' + base64.b64encode(piece) + b"</script>\n")

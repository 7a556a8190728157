"""Sessions to make pages of, and a page taken apart again."""

import base64
import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from session_data import CONTROLS, PERIOD_NS, VECTOR

from tray_agent.core.clock import ManualClock
from tray_agent.core.media import AudioChunk
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.sessions.writer import SessionWriter

SPEC = PolicySpec(CONTROLS, rate_hz=20, frame_width=16, frame_height=12)
HEARD = replace(SPEC, audio=True)
TICKS = tuple(range(40))


def colour(tick: int) -> np.ndarray:
    """The one colour of that tick's picture, RGB."""
    return np.array([(tick * 37) % 256, (tick * 91) % 256, 255 - (tick * 53) % 256], np.uint8)


def action(tick: int) -> np.ndarray:
    """What was pressed in that tick: two buttons, MouseX, PadLX."""
    return np.array([tick % 7 < 3, tick % 5 == 0, (tick % 9) - 4, (tick % 11) / 5 - 1], np.float32)


def write_session(folder, *, spec=SPEC, ticks=TICKS, game="game", marks=(), extra=None, times=None, sound=None) -> Path:
    """A finished session in which each picture has one colour."""
    writer = SessionWriter(folder, spec, game, VECTOR, clock=ManualClock(), threaded=False, extra=extra)
    writer.start()
    for tick in ticks:
        pixels = np.full((spec.frame_height, spec.frame_width, 3), colour(tick), np.uint8)
        t_ns = tick * PERIOD_NS if times is None else times[tick]
        audio = np.zeros(spec.audio_shape, np.float32)
        writer.add(TickSample(tick, t_ns, pixels, audio, action(tick), TickFlag.LEARN))
    for mark in marks:
        writer.mark(*mark)
    if sound is not None:
        writer.add_audio([AudioChunk(0, sound)])
    assert writer.close()
    return folder


class Page(HTMLParser):
    """A page's elements."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._texts: list[str] = []
        self._inside: list[int] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._texts.append("")
        if tag in {"script", "style", "title"}:
            self._inside.append(len(self.tags) - 1)

    def handle_endtag(self, tag):
        if tag in {"script", "style", "title"}:
            self._inside.pop()

    def handle_data(self, data):
        if self._inside:
            self._texts[self._inside[-1]] += data

    def texts(self, tag: str, **attributes: str) -> list[str]:
        """Text of the elements of that name with these attributes (`kind` stands for `class`)."""
        wanted = {"class" if name == "kind" else name: value for name, value in attributes.items()}
        found = zip(self.tags, self._texts, strict=True)
        return [text for (name, attrs), text in found if name == tag and wanted.items() <= attrs.items()]

    @property
    def data(self) -> dict:
        """What the script gets."""
        (text,) = self.texts("script", id="data")
        return json.loads(text)

    @property
    def script(self) -> str:
        """The one script that runs."""
        (text,) = [t for (n, a), t in zip(self.tags, self._texts, strict=True) if n == "script" and "type" not in a]
        return text

    @property
    def film(self) -> io.BytesIO:
        """The MP4."""
        return io.BytesIO(b"".join(base64.b64decode(piece) for piece in self.texts("script", kind="film")))


def unrun(lengths: list[int], count: int) -> np.ndarray:
    """Run lengths -> bits, as the page's script reads them."""
    bits = np.zeros(count, bool)
    at = 0
    for off, on in zip(lengths[::2], lengths[1::2], strict=True):
        bits[at + off : at + off + on] = True
        at += off + on
    return bits


def numbers(text: str, kind: str) -> np.ndarray:
    """Base64 -> numbers of that NumPy type."""
    return np.frombuffer(base64.b64decode(text), kind)

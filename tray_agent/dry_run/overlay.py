"""A dry run as a video: the picture, below it what the player held and what the bundle would (Pillow; MP4 by PyAV)."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import ExportFailed
from tray_agent.exporting.session_video import SessionVideo
from tray_agent.sessions.reader import SessionReader

_HEIGHT, _MIN_WIDTH = 384, 640
_MARGIN, _LINE, _CAP, _LABEL = 8, 26, 28, 96
_INK, _PAPER, _DIM, _FAINT = (235, 235, 240), (24, 26, 32), (60, 64, 76), (150, 154, 166)
_PLAYER, _AGENT, _SOUND = (255, 170, 40), (70, 200, 255), (120, 210, 120)
_FONT_PX = 15


class Sheet:
    """Draws one tick. One owner."""

    def __init__(self, reader: SessionReader) -> None:
        """Lay out; the loudest tick of the session fills the sound bar."""
        spec, table = reader.spec, reader.ticks
        self._controls = spec.controls
        self._font = ImageFont.load_default(_FONT_PX)
        self._zoom = max(1, round(_HEIGHT / spec.frame_height))
        self._picture = (spec.frame_width * self._zoom, spec.frame_height * self._zoom)
        width = max(_MIN_WIDTH, self._picture[0] + 2 * _MARGIN)
        self._caps, lines = self._lay_out(width)
        self._first_ns = int(table.t_ns[0])
        self._loudest = float(table.audio.mean(axis=(1, 2)).max()) if spec.audio else 0.0
        self._block = lines * (_CAP + 4) + _MARGIN
        height = self._picture[1] + 3 * _MARGIN + _LINE + 2 * self._block
        self.size = (width + width % 2, height + height % 2)
        """Width and height of a drawing, even numbers."""

    def draw(self, sample: TickSample, would: FloatVector) -> Pixels:
        """The tick, shape (height, width, 3)."""
        sheet = Image.new("RGB", self.size, _PAPER)
        draw = ImageDraw.Draw(sheet)
        picture = Image.fromarray(sample.pixels).resize(self._picture, Image.Resampling.NEAREST)
        sheet.paste(picture, ((self.size[0] - self._picture[0]) // 2, _MARGIN))
        top = self._picture[1] + 2 * _MARGIN
        self._draw_line(draw, sample, top)
        whose = "agent" if TickFlag.AGENT in sample.flags else "player"
        self._draw_caps(draw, sample.action, whose, _PLAYER, top + _LINE)
        self._draw_caps(draw, would, "agent would", _AGENT, top + _LINE + self._block)
        return np.asarray(sheet)

    def _lay_out(self, width: int) -> tuple[list[tuple[int, int, int]], int]:
        """(left, line, width) of each cap, and how many lines there are."""
        caps, x, line = [], _MARGIN + _LABEL, 0
        for i, name in enumerate(self._controls.names):
            text = _short(name) if i < len(self._controls.buttons) else f"{_short(name)} -0.00"
            each = max(_CAP + 4, round(self._font.getlength(text)) + 16)
            if x + each > width - _MARGIN and x > _MARGIN + _LABEL:
                x, line = _MARGIN + _LABEL, line + 1
            caps.append((x, line, each))
            x += each + 4
        return caps, line + 1

    def _draw_line(self, draw: ImageDraw.ImageDraw, sample: TickSample, top: int) -> None:
        """Time, tick, sound."""
        minutes, seconds = divmod((sample.t_ns - self._first_ns) / 1e9, 60)
        draw.text((_MARGIN, top), f"{int(minutes)}:{seconds:05.2f}", _INK, self._font)
        draw.text((_MARGIN + 80, top), f"tick {sample.tick}", _FAINT, self._font)
        left, right = _MARGIN + 250, self.size[0] - _MARGIN
        if self._loudest > 0:
            level = min(1.0, max(0.0, float(sample.audio.mean()) / self._loudest))
            draw.text((left - 56, top), "sound", _FAINT, self._font)
            draw.rectangle((left, top + 4, right, top + 14), _DIM)
            draw.rectangle((left, top + 4, left + round(level * (right - left)), top + 14), _SOUND)

    def _draw_caps(
        self, draw: ImageDraw.ImageDraw, action: FloatVector, label: str, lit: tuple[int, int, int], top: int
    ) -> None:
        draw.text((_MARGIN, top + 5), label, lit, self._font)
        buttons = len(self._controls.buttons)
        for i, ((x, line, width), value) in enumerate(zip(self._caps, action, strict=True)):
            y = top + line * (_CAP + 4)
            held = value >= 0.5 if i < buttons else abs(value) > 0.05
            text = _short(self._controls.names[i]) + ("" if i < buttons else f" {value:+.3g}")
            draw.rounded_rectangle((x, y, x + width, y + _CAP), 6, lit if held else _DIM)
            draw.text((x + 8, y + 5), text, _PAPER if held else _INK, self._font)


def _short(name: str) -> str:
    """What is written on the key."""
    return name.removeprefix("Key").removeprefix("Arrow").removeprefix("Digit")


class OverlayVideo:
    """Writes the video of a dry run; it appears under its name when it is whole. A context manager."""

    def __init__(self, path: Path, reader: SessionReader) -> None:
        """Store.

        Raises:
            ExportFailed: the file exists already.
        """
        if path.exists():
            raise ExportFailed(f"{path} exists. Nothing is ever written over: choose another --video, or move it away")
        self._path = path
        self._hidden = path.parent / f".{path.name}.{os.getpid()}.tmp"
        self._sheet = Sheet(reader)
        self._video = SessionVideo(self._hidden, reader, *self._sheet.size)

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._video.__enter__()
        except (OSError, av.FFmpegError) as error:
            raise self._failed(error) from error
        return self

    def add(self, row: int, sample: TickSample, would: FloatVector) -> None:
        """One tick. Raises ExportFailed."""
        try:
            self._video.add(row, self._sheet.draw(sample, would))
        except (OSError, av.FFmpegError) as error:
            raise self._failed(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._video.__exit__(kind, error, trace)
            if kind is None:
                self._hidden.rename(self._path)
        except (OSError, av.FFmpegError) as failure:
            raise self._failed(failure) from failure
        finally:
            self._hidden.unlink(missing_ok=True)

    def _failed(self, error: BaseException) -> ExportFailed:
        return ExportFailed(f"{self._path} can't be written: {error}. Nothing is left of it")

"""The demo's video: the game, what the policy saw of it, and what it pressed (drawn with Pillow, encoded with PyAV)."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tray_agent.core.media import Pixels

_HEIGHT = 360
_KEY_HEIGHT = 64
_INK, _PAPER, _LIT, _DIM = (235, 235, 240), (24, 26, 32), (255, 170, 40), (60, 64, 76)


class SideBySide:
    """Writes an MP4, frame by frame; readable up to the last second whatever happens. A context manager."""

    def __init__(self, path: Path, fps: float, controls: tuple[str, ...]) -> None:
        self._path = path
        self._rate = Fraction(fps).limit_denominator(1000)
        self._controls = controls
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._font = ImageFont.load_default(16)
        self.frames = 0

    def __enter__(self) -> "SideBySide":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._path), "w", options={"movflags": "frag_keyframe+empty_moov"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is not None:
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()

    def add(self, game: Pixels, seen: Pixels, held: frozenset[str]) -> None:
        """One frame.

        Args:
            game: the game's picture.
            seen: the reduced picture the policy gets.
            held: names of the controls that are down.
        """
        picture = self._compose(game, seen, held)
        if self._container is None:
            return
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self._rate, options={"crf": "20"})
            self._stream.width, self._stream.height, self._stream.pix_fmt = *picture.size, "yuv420p"
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        self.frames += 1

    def _compose(self, game: Pixels, seen: Pixels, held: frozenset[str]) -> Image.Image:
        left = self._scaled(game, Image.Resampling.BICUBIC)
        right = self._scaled(seen, Image.Resampling.NEAREST)
        width = left.width + right.width + 24
        sheet = Image.new("RGB", (width + width % 2, _HEIGHT + _KEY_HEIGHT + 36), _PAPER)
        draw = ImageDraw.Draw(sheet)
        for picture, x, title in ((left, 8, "the game"), (right, left.width + 16, "what the agent sees")):
            draw.text((x, 6), title, _INK, self._font)
            sheet.paste(picture, (x, 28))
        self._draw_keys(draw, held, sheet.width)
        return sheet

    def _scaled(self, pixels: Pixels, how: Image.Resampling) -> Image.Image:
        width = round(pixels.shape[1] * _HEIGHT / pixels.shape[0])
        return Image.fromarray(pixels).resize((width, _HEIGHT), how)

    def _draw_keys(self, draw: ImageDraw.ImageDraw, held: frozenset[str], width: int) -> None:
        top, each = _HEIGHT + 36, (width - 16) // max(1, len(self._controls))
        for i, name in enumerate(self._controls):
            box = (8 + i * each, top, 8 + i * each + each - 8, top + _KEY_HEIGHT - 12)
            draw.rounded_rectangle(box, 8, _LIT if name in held else _DIM)
            draw.text((box[0] + 10, top + 16), name, _PAPER if name in held else _INK, self._font)

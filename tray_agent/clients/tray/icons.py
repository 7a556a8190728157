"""Draws the icon of each state (Pillow only; pure functions, any thread).

Colour and shape both differ, so that the state can be told by the colour-blind and at 16 pixels. Every shape has a
dark rim and a pale halo around it: one of the two separates it from any panel, dark or light.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from functools import cache

from PIL import Image, ImageChops, ImageDraw, ImageFilter

_UNITS = 32
"""Shapes are drawn on a square of 32 x 32 units."""
_SCALE = 8
_RIM = (24, 26, 32, 255)
_HALO = (255, 255, 255, 235)


class TrayState(StrEnum):
    """What the icon can say."""

    IDLE = "idle"
    WATCHING = "watching"
    LEARNING = "learning"
    PLAYING = "playing"
    STOPPED = "stopped"
    FAULT = "fault"


COLOURS: dict[TrayState, tuple[int, int, int]] = {
    TrayState.IDLE: (228, 232, 238),
    TrayState.WATCHING: (41, 140, 255),
    TrayState.LEARNING: (171, 92, 255),
    TrayState.PLAYING: (38, 192, 96),
    TrayState.STOPPED: (235, 56, 50),
    TrayState.FAULT: (255, 184, 0),
}
"""Main colour of each state, RGB."""

_Pen = ImageDraw.ImageDraw
_Points = list[tuple[float, float]]


def _scaled(points: _Points) -> _Points:
    return [(x * _SCALE, y * _SCALE) for x, y in points]


def _disc(pen: _Pen, radius: float, fill: int) -> None:
    centre = _UNITS / 2
    corners = _scaled([(centre - radius, centre - radius), (centre + radius, centre + radius)])
    pen.ellipse([corners[0], corners[1]], fill=fill)


def _ring(pen: _Pen) -> None:
    _disc(pen, 12, 255)
    _disc(pen, 7.8, 0)


def _eye(pen: _Pen) -> None:
    lid = [(16 + 14 * math.cos(a), 16 - 9.5 * math.sin(a) ** 1.2) for a in (math.pi * i / 40 for i in range(41))]
    pen.polygon(_scaled(lid + [(x, 32 - y) for x, y in reversed(lid)]), fill=255)
    _disc(pen, 5.2, 0)
    _disc(pen, 2.8, 255)


def _bars(pen: _Pen) -> None:
    for left, top in ((4, 19), (12.5, 12), (21, 4)):
        corners = _scaled([(left, top), (left + 7, 28)])
        pen.rectangle([corners[0], corners[1]], fill=255)


def _play(pen: _Pen) -> None:
    pen.polygon(_scaled([(6, 3.5), (29, 16), (6, 28.5)]), fill=255)


def _octagon(pen: _Pen) -> None:
    turns = (math.pi * (2 * i + 1) / 8 for i in range(8))
    pen.polygon(_scaled([(16 + 14 * math.cos(a), 16 + 14 * math.sin(a)) for a in turns]), fill=255)
    corners = _scaled([(7.5, 13), (24.5, 19)])
    pen.rectangle([corners[0], corners[1]], fill=0)


def _warning(pen: _Pen) -> None:
    pen.polygon(_scaled([(16, 2.5), (30, 28.5), (2, 28.5)]), fill=255)
    for (left, top), (right, bottom) in (((14, 11), (18, 20)), ((14, 22.5), (18, 26))):
        corners = _scaled([(left, top), (right, bottom)])
        pen.rectangle([corners[0], corners[1]], fill=0)


_SHAPES: dict[TrayState, Callable[[_Pen], None]] = {
    TrayState.IDLE: _ring,
    TrayState.WATCHING: _eye,
    TrayState.LEARNING: _bars,
    TrayState.PLAYING: _play,
    TrayState.STOPPED: _octagon,
    TrayState.FAULT: _warning,
}
_HOLES: dict[TrayState, tuple[int, int, int, int]] = {
    TrayState.IDLE: _RIM,
    TrayState.WATCHING: (255, 255, 255, 255),
    TrayState.STOPPED: (255, 255, 255, 255),
    TrayState.FAULT: _RIM,
}
"""What shows through a shape's holes; nothing for the others."""


@cache
def draw(state: TrayState, size: int = 64) -> Image.Image:
    """The icon of a state, RGBA, `size` x `size` pixels. Do not change the returned picture."""
    side = _UNITS * _SCALE
    shape = Image.new("L", (side, side), 0)
    _SHAPES[state](ImageDraw.Draw(shape))
    filled = shape if state not in _HOLES else _without_holes(shape)
    rim = filled.filter(ImageFilter.MaxFilter(2 * _SCALE - 1))
    halo = rim.filter(ImageFilter.MaxFilter(2 * _SCALE - 1))
    picture = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    picture.paste(_HALO, mask=halo)
    picture.paste(_RIM, mask=rim)
    if state in _HOLES:
        picture.paste(_HOLES[state], mask=filled)
    picture.paste((*COLOURS[state], 255), mask=shape)
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def _without_holes(shape: Image.Image) -> Image.Image:
    outside = shape.copy()
    ImageDraw.floodfill(outside, (0, 0), 255)
    return ImageChops.lighter(shape, ImageChops.invert(outside))

"""What the network sees of a picture, and pictures made of it again."""

import numpy as np
import pytest

from tray_agent.core.planes import LUMA_WEIGHTS, planes_of, put_pixels


def every_colour_with(red: int) -> np.ndarray:
    """All 65,536 colours with that red, RGB, uint8 (256, 256, 3)."""
    pixels = np.empty((256, 256, 3), np.uint8)
    pixels[..., 0] = red
    pixels[..., 1], pixels[..., 2] = np.mgrid[:256, :256]
    return pixels


@pytest.mark.parametrize("red", [0, 1, 2, 77, 127, 128, 200, 253, 254, 255])
def test_whole_numbers_as_written(red: int) -> None:
    """Luma and differences are those of the formula in arbitrary precision."""
    pixels = every_colour_with(red)
    exact = pixels.astype(np.int64)
    luma = (exact @ np.array(LUMA_WEIGHTS) + 128) // 256
    assert np.array_equal(planes_of(pixels), [luma, (red - luma + 256) // 2, (exact[..., 2] - luma + 256) // 2])


@pytest.mark.parametrize("red", [0, 1, 2, 77, 127, 128, 200, 253, 254, 255])
def test_pixels_made_of_planes_have_them(red: int) -> None:
    """There and back the network sees exactly the same, at the edges as well; colours are one off, green two."""
    pixels = every_colour_with(red)
    planes = planes_of(pixels)
    made = np.empty_like(pixels)
    put_pixels(planes, made)
    assert np.array_equal(planes_of(made), planes)
    assert (np.abs(made.astype(int) - pixels).max((0, 1)) <= (1, 2, 1)).all()


def test_planes_that_no_colour_has() -> None:
    """What a codec may make of planes becomes some colour, never one that wrapped round."""
    planes = np.array([[[255, 0, 255, 0]], [[255, 0, 0, 255]], [[255, 0, 0, 255]]], np.uint8)
    made = np.empty((1, 4, 3), np.uint8)
    put_pixels(planes, made)
    assert made[0].tolist() == [[255, 255, 255], [0, 0, 0], [0, 255, 0], [254, 0, 254]]

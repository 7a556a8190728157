"""The reduction: exact area average, no aliasing, the same in bands, every shape."""

import numpy as np
import numpy.typing as npt
import pytest

from tray_agent.core.reduce import bands, halvings, reduce

Doubles = npt.NDArray[np.float64]


def weights(source: int, target: int) -> Doubles:
    """Matrix (target, source) of the share that each source pixel has in each target pixel."""
    step = source / target
    edges = np.arange(source)
    first = np.arange(target)[:, None] * step
    overlap = np.minimum(first + step, edges + 1) - np.maximum(first, edges)
    return np.clip(overlap, 0, None) / step


def exact(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> Doubles:
    """True area average in double precision."""
    rows, columns = weights(pixels.shape[0], size[1]), weights(pixels.shape[1], size[0])
    return np.einsum("ij,jkc,lk->ilc", rows, pixels.astype(float), columns, optimize=True)


@pytest.mark.parametrize("source", [(1920, 1080), (1280, 720), (1366, 767), (643, 481), (96, 84), (100, 85)])
@pytest.mark.parametrize("size", [(96, 72), (84, 84), (80, 60)])
def test_reduction_is_the_area_average(source: tuple[int, int], size: tuple[int, int]) -> None:
    """Noise reduced differs from the exact area average by rounding, and after halving by a few grey levels."""
    raw = np.random.default_rng(1).integers(0, 256, (source[1], source[0], 4), dtype=np.uint8)
    found = reduce(raw, size)
    assert found.shape == (size[1], size[0], 3)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    difference = np.abs(found - exact(raw[..., 2::-1], size))
    assert difference.max() <= (6.0 if halvings(source, size) else 1.0)
    assert difference.mean() <= (0.8 if halvings(source, size) else 0.3)


def test_hard_edges_are_right_within_a_few_grey_levels() -> None:
    """White shapes on black, the worst case for halving first, differ from the exact average by at most 12 levels."""
    rng = np.random.default_rng(3)
    raw = np.zeros((1080, 1920, 4), np.uint8)
    for x, y, w, h in rng.integers((0, 0, 3, 3), (1900, 1060, 200, 200), (60, 4)):
        raw[y : y + h, x : x + w] ^= 255
    for size in ((96, 72), (84, 84), (128, 80)):
        difference = np.abs(reduce(raw, size) - exact(raw[..., 2::-1], size))
        assert difference.max() <= 12
        assert difference.mean() <= 0.5


@pytest.mark.parametrize("shift", range(4))
def test_moving_fine_checkerboard_stays_grey(shift: int) -> None:
    """A one-pixel checkerboard, wherever it has moved to, comes out even grey: nothing aliases."""
    y, x = np.mgrid[0:1080, 0:1920]
    board = (((x + shift) // 1 + (y + shift // 2)) % 2 * 255).astype(np.uint8)
    found = reduce(np.repeat(board[..., None], 4, axis=2), (96, 72))
    assert np.abs(found.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("period", [2, 3])
def test_fine_stripes_stay_grey(period: int) -> None:
    """One-pixel lines, lying or standing, keep their mean within a few grey levels."""
    lines = (np.arange(1080) % period == 0) * np.uint8(255)
    picture = np.ascontiguousarray(np.broadcast_to(lines[:, None, None], (1080, 1920, 4)).astype(np.uint8))
    for turned in (picture, np.ascontiguousarray(picture.transpose(1, 0, 2))):
        assert (
            np.abs(reduce(turned, (72, 72)).astype(int) - 255 // period).max() <= 9
        )  # half a line of the 15 in a target pixel


def test_bands_reduced_are_the_picture_reduced() -> None:
    """Cutting at the band edges changes nothing."""
    raw = np.random.default_rng(2).integers(0, 256, (1080, 1920, 4), dtype=np.uint8)
    count = bands(1920, 1080, 72)
    assert count == 2
    parts = [reduce(part, (96, 72 // count)) for part in np.split(raw, count)]
    assert np.array_equal(np.concatenate(parts), reduce(raw, (96, 72)))


@pytest.mark.parametrize(
    ("source", "target_height", "count"),
    [((640, 480), 72, 1), ((1920, 1079), 72, 1), ((3840, 2160), 72, 6), ((1920, 1080), 2000, 1)],
)
def test_number_of_bands(source: tuple[int, int], target_height: int, count: int) -> None:
    """Small pictures, and those whose rows do not fit, are not cut; large ones into cache-sized bands."""
    assert bands(*source, target_height) == count


def test_growing_and_mixed_sizes() -> None:
    """A picture smaller than the frame grows; one that is only narrower shrinks in height without aliasing."""
    tiny = np.full((10, 12, 3), (10, 20, 30), np.uint8)
    assert np.array_equal(reduce(tiny, (96, 72)), np.full((72, 96, 3), (10, 20, 30), np.uint8))
    lines = np.zeros((720, 40, 3), np.uint8)
    lines[::2] = 255
    assert np.abs(reduce(lines, (96, 72)).astype(int) - 127).max() <= 1


def test_result_is_rgb_and_never_a_view() -> None:
    """BGRX is turned to RGB, RGB is kept, and writing to the result does not touch the source."""
    screen = np.zeros((72, 96, 4), np.uint8)
    screen[...] = (1, 2, 3, 99)
    assert reduce(screen, (96, 72))[0, 0].tolist() == [3, 2, 1]
    rgb = np.full((72, 96, 3), 7, np.uint8)
    reduce(rgb, (96, 72))[:] = 0
    assert rgb.min() == 7


@pytest.mark.parametrize(
    ("source", "target", "count"),
    [((1920, 1080), (96, 72), 1), ((3840, 2160), (96, 72), 2), ((1919, 1080), (96, 72), 0), ((640, 480), (96, 72), 0)],
)
def test_number_of_halvings(source: tuple[int, int], target: tuple[int, int], count: int) -> None:
    """Large pictures of even size are halved, while a target pixel stays wide enough."""
    assert halvings(source, target) == count


@pytest.mark.parametrize("shape", [(0, 5, 4), (5, 5, 2), (5, 5)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """Empty pictures and other channel counts are errors."""
    with pytest.raises(ValueError, match="can't reduce"):
        reduce(np.zeros(shape, np.uint8), (4, 4))

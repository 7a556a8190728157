"""The one reduction of a picture to the size a policy sees (numpy and OpenCV; no I/O, no state).

Every screen source uses it, so that watching, learning and playing see the same pixels. Change the result of
`reduce` in any way, and `REDUCTION` must change too: it is hashed into bundles and sessions.
"""

import cv2
import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels

REDUCTION = "area-1"
"""Name of what `reduce` computes: the area average, in steps of exact halves first."""

RawPixels = npt.NDArray[np.uint8]
"""Shape (height, width, 4): BGRX as screens deliver it, X ignored; or (height, width, 3): RGB."""

_Size = tuple[int, int]


def reduce(pixels: RawPixels, size: _Size) -> Pixels:
    """Average the picture over the area of each target pixel.

    Args:
        pixels: BGRX or RGB, see `RawPixels`; rows may be strided.
        size: (width, height) of the result.

    Returns:
        RGB, shape (height, width, 3), uint8, C-contiguous, never a view of `pixels`.

    Raises:
        ValueError: the picture is empty or has neither 3 nor 4 channels.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or not pixels.size:
        raise ValueError(f"can't reduce a picture of shape {pixels.shape}")
    for _ in range(halvings((pixels.shape[1], pixels.shape[0]), size)):
        pixels = halve(pixels)
    return finish(pixels, size)


def halvings(source: _Size, target: _Size) -> int:
    """How many exact halvings lead from `source` towards `target`, both (width, height).

    OpenCV averages 2 x 2 pixels several times faster than any other area, without any loss beyond rounding.
    """
    (width, height), count = source, 0
    while width % 2 == 0 and height % 2 == 0 and width >= 2 * target[0] and height >= 2 * target[1]:
        width, height, count = width // 2, height // 2, count + 1
    return count


def halve(pixels: RawPixels, out: RawPixels | None = None) -> RawPixels:
    """Average every 2 x 2 pixels; width and height must be even. `out`: where to write, of half the size."""
    half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    return cv2.resize(pixels, half, dst=out, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]  # untyped


def finish(pixels: RawPixels, size: _Size) -> Pixels:
    """What is left to do after the halvings: channel order, and the rest of the way to `size`."""
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB) if pixels.shape[2] == 4 else pixels
    if (rgb.shape[1], rgb.shape[0]) != size:
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    elif rgb is pixels:
        rgb = pixels.copy()
    return np.ascontiguousarray(rgb, dtype=np.uint8)

"""The one reduction of a picture to the size a policy sees (numpy and OpenCV; no I/O, no state).

Every screen source uses it, so that watching, learning and playing see the same pixels. Change the result of
`reduce` in any way, and `REDUCTION` must change too: it is hashed into bundles and sessions.
"""

from math import gcd

import cv2
import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels

REDUCTION = "area-1"
"""Name of what `reduce` computes: exact halves while the target is far (`halvings`), then the mean of each area."""

RawPixels = npt.NDArray[np.uint8]
"""Shape (height, width, 4): BGRX as screens deliver it, X ignored; or (height, width, 3): RGB."""

BAND_BYTES = 4_000_000
"""Pictures larger than this are better fetched and reduced in bands of about this size: they stay in the cache."""

FAR = 12
"""Halving stops when a target pixel is less than this wide or high: then it would cost some grey levels at edges."""


def reduce(pixels: RawPixels, size: tuple[int, int]) -> Pixels:
    """Average the picture over the area of each target pixel; where it is smaller than `size`, interpolate.

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
        pixels = _average(pixels, (pixels.shape[1] // 2, pixels.shape[0] // 2), intel=False)
    # OpenCV averages areas only where both sides shrink; growing is a second step.
    shrunk = (min(size[0], pixels.shape[1]), min(size[1], pixels.shape[0]))
    small = _average(pixels, shrunk, intel=True)
    if shrunk != size:
        small = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]  # uint8 stays
    if small.shape[2] == 4:
        return np.ascontiguousarray(cv2.cvtColor(small, cv2.COLOR_BGRA2RGB), dtype=np.uint8)
    return small.copy() if small is pixels else small


def halvings(source: tuple[int, int], target: tuple[int, int]) -> int:
    """How many times a picture is halved before its areas are averaged; sizes are (width, height)."""
    (width, height), count = source, 0
    while width % 2 == 0 and height % 2 == 0 and width >= FAR * target[0] and height >= FAR * target[1]:
        width, height, count = width // 2, height // 2, count + 1
    return count


def _average(pixels: RawPixels, size: tuple[int, int], *, intel: bool) -> RawPixels:
    # OpenCV's own code is quickest at halving, and at anything else 4 to 12 times slower than Intel's library inside
    # of it, which it keeps for callers that accept another last bit. The switch belongs to the calling thread.
    before = cv2.ipp.useIPP_NotExact()
    cv2.ipp.setUseIPP_NotExact(intel)
    try:
        return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]  # uint8 stays
    finally:
        cv2.ipp.setUseIPP_NotExact(before)


def bands(width: int, height: int, target_height: int) -> int:
    """Into how many bands of equal height to cut a BGRX picture before reducing them one by one.

    Band edges fall on edges of target pixels, and bands can be halved as often as the picture, so that the bands
    reduced are the picture reduced.
    """
    most = width * height * 4 // BAND_BYTES
    common = gcd(height, target_height) if target_height <= height else 1
    return max((n for n in range(1, most + 1) if common % n == 0 and height // n % 4 == 0), default=1)

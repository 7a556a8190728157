"""What is done to pictures while learning, and never while playing (torch)."""

from collections.abc import Callable

import torch
from torch import Tensor

SHIFT = 4
"""Pixels a picture is moved by, at most."""
_GROUP = 4  # pictures that move together: few enough to stay in the processor's cache from the first step to the last


def shifted(pictures: Tensor, normalise: Callable[[Tensor], Tensor], most: int = SHIFT) -> Tensor:
    """Normalised pictures, half of them moved by a random whole number of pixels, 0 (the mean picture) coming in.

    Random shifts as in DrQ (Kostrikov et al. 2021, section 3.1), but after the normalisation per pixel, which is tied
    to the place: the moved picture still has the game's background taken away. With minutes of data they keep the
    network from learning the frames by heart; half of them stay, because where the background tells the way - a maze -
    a moved picture lies (decisions/0007-random-shifts.md).

    Args:
        pictures: shape (n, channels, H, W).
        normalise: (m, channels, H, W) -> float, same shape.
        most: how far, in pixels.

    Returns:
        the same shape, in the type that autocast works in, channels last in memory.
    """
    device = pictures.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
    out = torch.empty(pictures.shape, dtype=dtype, device=pictures.device, memory_format=torch.channels_last)
    groups = list(zip(torch.split(out, _GROUP), torch.split(pictures, _GROUP), strict=True))
    offsets = (torch.randint(-most, most + 1, (len(groups), 2)) * torch.randint(0, 2, (len(groups), 1))).tolist()
    for (to, source), (down, right) in zip(groups, offsets, strict=True):
        if down or right:
            to.zero_()
        _window(to, down, right).copy_(_window(normalise(source).to(dtype), -down, -right))
    return out


def _window(planes: Tensor, down: int, right: int) -> Tensor:
    """What of (n, channels, H, W) is left when it is moved that far, without the edges that come in."""
    height, width = planes.shape[2:]
    rows, columns = slice(max(0, down), height + min(0, down)), slice(max(0, right), width + min(0, right))
    return planes[:, :, rows, columns]

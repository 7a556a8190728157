"""From a game's native picture to the size the policy sees (no threads)."""

from tray_agent.core.media import Pixels


def crop(pixels: Pixels, rect: tuple[int, int, int, int] | None) -> Pixels:
    """The part (left, top, width, height) of a picture, at least one pixel; all of it for None."""
    if rect is None:
        return pixels
    left, top = min(rect[0], pixels.shape[1] - 1), min(rect[1], pixels.shape[0] - 1)
    return pixels[max(top, 0) : max(top + rect[3], 1), max(left, 0) : max(left + rect[2], 1)]

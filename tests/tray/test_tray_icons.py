"""The drawn icons: told apart by colour and by shape, seen on any panel."""

import itertools

import numpy as np
import pytest

from tray_agent.clients.tray.icons import COLOURS, TrayState, draw

PAIRS = list(itertools.combinations(TrayState, 2))


def silhouette(state: TrayState, size: int) -> np.ndarray:
    """Where the state's main colour is, as 0 and 1: the shape without the colour."""
    pixels = np.asarray(draw(state, size)).astype(int)
    return (np.abs(pixels[..., :3] - COLOURS[state]).max(axis=2) < 70) & (pixels[..., 3] > 128)


@pytest.mark.parametrize("size", [16, 24, 64])
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_shapes_differ_without_their_colour(one: TrayState, other: TrayState, size: int) -> None:
    """Any two states differ in at least a tenth of the picture's pixels, colour left aside."""
    differing = silhouette(one, size) ^ silhouette(other, size)
    assert differing.mean() > 0.1


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_colours_differ(one: TrayState, other: TrayState) -> None:
    """Any two main colours are far apart."""
    assert np.abs(np.subtract(COLOURS[one], COLOURS[other])).sum() >= 120


@pytest.mark.parametrize("panel", [0, 64, 128, 192, 255])
@pytest.mark.parametrize("state", list(TrayState))
def test_seen_on_any_panel(state: TrayState, panel: int) -> None:
    """At 16 pixels at least 40 of them stand out clearly from a panel of any grey."""
    icon = np.asarray(draw(state, 16)).astype(float)
    alpha = icon[..., 3:] / 255
    shown = icon[..., :3] * alpha + panel * (1 - alpha)
    assert (np.abs(shown - panel).max(axis=2) > 80).sum() >= 40

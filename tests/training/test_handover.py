"""From memory to network: one way, and not for a chance difference."""

import pytest

from tray_agent.training.handover import Handover


def shares(handover: Handover, skills: list[tuple[float, float]]) -> list[float]:
    """The memory's share after each pair of measures."""
    found = []
    for network, playing in skills:
        handover.take(network, playing)
        found.append(handover.share)
    return found


def test_network_takes_over_when_it_was_no_worse_twice_in_a_row() -> None:
    """Once is chance."""
    skills = [(0.2, 0.3), (0.4, 0.3), (0.2, 0.3), (0.4, 0.3), (0.4, 0.4), (0.5, 0.4)]
    assert shares(Handover(), skills) == [0.5, 0.5, 0.5, 0.5, 0.0, 0.0]


def test_nothing_goes_back() -> None:
    """Once the network plays alone, no measure brings the memory back."""
    handover = Handover(0.0)
    assert handover.done
    assert shares(handover, [(0.1, 0.9)] * 5) == [0.0] * 5


def test_other_shares_are_refused() -> None:
    """As a damaged checkpoint might hold them."""
    with pytest.raises(ValueError, match=r"not 0\.7"):
        Handover(0.7)

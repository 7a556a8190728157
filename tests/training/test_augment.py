"""Pictures are moved after normalisation, by whole pixels, and only while learning."""

import torch

from tray_agent.training.augment import SHIFT, shifted


def numbered(n: int = 6, height: int = 20, width: int = 30) -> torch.Tensor:
    """Every pixel a number of its own, none 0."""
    return torch.arange(1.0, n * 2 * height * width + 1).reshape(n, 2, height, width)


def test_moved_picture_is_the_picture_somewhere_else() -> None:
    """Whatever stays in view keeps its value at one offset; all else is 0; no picture moves further than allowed."""
    pictures = numbered()
    moved = shifted(pictures, lambda part: part)
    for before, after in zip(pictures, moved, strict=True):
        rows, columns = torch.nonzero(after[0], as_tuple=True)
        value = after[0, rows[0], columns[0]]
        where = torch.nonzero(before[0] == value)[0]
        down, right = int(rows[0] - where[0]), int(columns[0] - where[1])
        assert max(abs(down), abs(right)) <= SHIFT
        back = torch.roll(after, (-down, -right), (1, 2))
        assert torch.equal(back[back != 0], before[back != 0])
        assert int((after[0] != 0).sum()) == (20 - abs(down)) * (30 - abs(right))


def test_normalisation_comes_first() -> None:
    """A background that is taken away at its place leaves nothing, wherever the picture moves."""
    background = torch.rand(1, 2, 20, 30)
    assert not shifted(background.expand(8, -1, -1, -1), lambda part: part - background).any()


def test_about_half_of_the_pictures_stay() -> None:
    torch.manual_seed(1)
    picture = numbered(1)
    moved = [shifted(picture, lambda part: part) for _ in range(200)]
    assert 80 < sum(torch.equal(one, picture) for one in moved) < 120
    corners = {(bool(one[0, 0, 0, 0]), bool(one[0, 0, -1, -1])) for one in moved}
    assert corners == {(True, True), (True, False), (False, True), (False, False)}

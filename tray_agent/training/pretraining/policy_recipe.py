"""How a file of weights that games are begun with was made (no torch)."""

from dataclasses import dataclass

JOINT = "joint"
REPTILE = "reptile"


@dataclass(frozen=True)
class Recipe:
    """Goes into the file.

    Attributes:
        games: that were learned from.
        without: games that had sessions and were left out.
        method: "joint" or "reptile".
        minutes: of learning, CPU time of one core.
        begun_with: "bundled" (the shipped encoder), "scratch" or "start:FILE".
        before: games that the file it was begun with has learned from.
        segment, memory_mb: how pictures are read.
    """

    games: tuple[str, ...]
    without: tuple[str, ...] = ()
    method: str = JOINT
    minutes: float = 10.0
    seed: int = 0
    begun_with: str = "bundled"
    before: tuple[str, ...] = ()
    segment: int = 20
    memory_mb: int = 2048


@dataclass(frozen=True)
class ReptileRecipe(Recipe):
    """Beside that:

    Attributes:
        inner: k, updates in a visit.
        step: the first one; 1 goes all the way to what a game taught.
    """

    method: str = REPTILE
    inner: int = 20
    step: float = 0.5

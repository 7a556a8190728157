"""Game vectors: the numbers that tell the shared policy which game it plays (no I/O)."""

import hashlib
import math
from collections.abc import Sequence

VECTOR_SIZE = 8
HIGHEST_ID = 999
_STEPS = 1 << 32


def of_id(game_id: int) -> tuple[float, ...]:
    """Unit vector of length 8 that belongs to an id for ever.

    Taken from a hash, not from a random generator, so that no library update changes what a trained policy means.
    """
    digest = hashlib.sha256(f"game vector {game_id}".encode()).digest()
    uniform = [(int.from_bytes(digest[i : i + 4], "big") + 0.5) / _STEPS for i in range(0, 32, 4)]
    pairs = zip(uniform[0::2], uniform[1::2], strict=True)
    normal = [part for u, v in pairs for part in _box_muller(u, v)]
    length = math.hypot(*normal)
    return tuple(part / length for part in normal)


def of_numbers(numbers: Sequence[float]) -> tuple[float, ...]:
    """Explicit numbers, padded with 0 to length 8."""
    return (*map(float, numbers), *[0.0] * (VECTOR_SIZE - len(numbers)))


def _box_muller(u: float, v: float) -> tuple[float, float]:
    """Two uniform numbers in (0, 1) -> two normal ones: directions then spread evenly over the sphere."""
    radius = math.sqrt(-2.0 * math.log(u))
    return radius * math.cos(2 * math.pi * v), radius * math.sin(2 * math.pi * v)

"""Where things that fly between walls will be (no threads)."""


def bounced(place: float, low: float, high: float) -> float:
    """Where something that flies on to `place` is when walls at `low` and `high` throw it back."""
    span = max(1e-9, high - low)
    folded = (place - low) % (2 * span)
    return low + (folded if folded <= span else 2 * span - folded)

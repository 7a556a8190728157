"""How well pressed buttons agree with the player's (numpy; no I/O)."""

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.bool_]


def agreement(guess: Bits, held: Bits, last: Bits) -> dict[str, float]:
    """{"accuracy", "balanced_accuracy", "change_f1"}, all over arrays of shape (ticks, buttons), both at least 1.

    Args:
        guess: what is to be judged.
        held: what the player held.
        last: what the player held a tick before; `change_f1` is that of the ticks at which a button changes.
    """
    recalls = [
        float(np.mean([(g[where] == h[where]).mean() for where in (h, ~h) if where.any()]))
        for g, h in zip(guess.T, held.T, strict=True)
    ]
    # a change is predicted where the guess differs from what is held now
    predicted, real = guess != last, held != last
    hits = float((predicted & real).sum())
    f1 = 2 * hits / max(1.0, float(predicted.sum() + real.sum()))
    return {
        "accuracy": round(float((guess == held).mean()), 4),
        "balanced_accuracy": round(float(np.mean(recalls)), 4),
        "change_f1": round(f1, 4),
    }

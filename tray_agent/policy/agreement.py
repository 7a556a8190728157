"""How far two ways of holding buttons agree, tick by tick, beside what doing nothing clever gets (numpy; no I/O)."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.bool_]
Measures = dict[str, float]


def before(held: Bits) -> Bits:
    """What was held one tick earlier, nothing before the first; shape (n, buttons) as `held`."""
    return np.concatenate([np.zeros_like(held[:1]), held[:-1]])


def beside_nothing_clever(guess: Bits, held: Bits, last: Bits) -> dict[str, Measures]:
    """{"policy" | "copy_last" | "released": measures}.

    Args:
        guess: what the policy would hold, shape (n, buttons), n at least 1.
        held: what the player held.
        last: what the player held one tick earlier.
    """
    guesses: Mapping[str, Bits] = {"policy": guess, "copy_last": last, "released": np.zeros_like(held)}
    return {name: measures(one, held, last) for name, one in guesses.items()}


def measures(guess: Bits, held: Bits, last: Bits) -> Measures:
    """{"accuracy", "balanced_accuracy", "change_f1"}; arrays as in `beside_nothing_clever`.

    `change_f1` is that of the ticks at which a button changes (trap: copying the last action has the best accuracy
    of all and never changes anything).
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

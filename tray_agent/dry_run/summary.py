"""A dry run in numbers, as plain data (numpy; no I/O)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tray_agent.dry_run.run import DryRun
from tray_agent.policy.agreement import before, beside_nothing_clever

_MOST_LISTED = 5


def summary(run: DryRun) -> dict[str, Any]:
    """What is told of a dry run; all comparisons are over the ticks in which the player held the controls.

    Returns:
        "ticks", "compared" (ticks of the player's), "seconds"; "decision_ms" with median, p99 and max; "buttons" over
        all of them and "controls" by name: "policy", "copy_last", "released" with the measures of `policy.agreement`,
        by name also the shares of ticks "player_held" and "agent_held"; "moves" by name of a relative control or an
        axis: the mean distance from the player's value of each of the three; "differ_most": stretches of a second's
        ticks, {"from_s", "share" of its ticks in which a control differs, "controls" that differ, most first}.
    """
    ours = run.players
    b = len(run.controls.buttons)
    held, guess = run.did[:, :b] >= 0.5, run.would[:, :b] >= 0.5
    last = before(held)[ours]
    held, guess = held[ours], guess[ours]
    found: dict[str, Any] = {
        "ticks": len(ours),
        "compared": int(ours.sum()),
        "seconds": round(float(run.seconds[-1]) + 1.0 / run.rate_hz, 2),
        "decision_ms": {
            "median": round(float(np.median(run.decided_ms)), 2),
            "p99": round(float(np.quantile(run.decided_ms, 0.99)), 2),
            "max": round(float(run.decided_ms.max()), 2),
        },
        "buttons": {},
        "controls": {},
        "moves": {},
        "differ_most": _differ_most(run),
    }
    if not ours.any():
        return found
    if b:
        found["buttons"] = beside_nothing_clever(guess, held, last)
    for i, name in enumerate(run.controls.buttons):
        one = slice(i, i + 1)
        shares = {"player_held": _share(held[:, i]), "agent_held": _share(guess[:, i])}
        found["controls"][name] = shares | beside_nothing_clever(guess[:, one], held[:, one], last[:, one])
    for i, name in enumerate(run.controls.names[b:], b):
        found["moves"][name] = _distances(run.did[:, i], run.would[:, i], ours)
    return found


def _distances(
    did: npt.NDArray[np.float32], would: npt.NDArray[np.float32], ours: npt.NDArray[np.bool_]
) -> dict[str, float]:
    last = np.concatenate([np.zeros_like(did[:1]), did[:-1]])
    guesses = {"policy": would, "copy_last": last, "released": np.zeros_like(did)}
    return {name: round(float(np.abs(guess - did)[ours].mean()), 4) for name, guess in guesses.items()}


def _differ_most(run: DryRun) -> list[dict[str, Any]]:
    """The stretches of a second in which the two differ most, worst first."""
    apart = _apart(run)
    length = max(1, round(run.rate_hz))
    stretches = [slice(begin, begin + length) for begin in range(0, len(apart), length)]
    ranked = sorted(stretches, key=lambda one: -float(apart[one].sum()))[:_MOST_LISTED]
    return [_stretch(run, apart[one], one.start) for one in ranked if apart[one].any()]


def _stretch(run: DryRun, apart: npt.NDArray[np.float64], begin: int) -> dict[str, Any]:
    each = apart.sum(axis=0)
    names = [run.controls.names[i] for i in np.argsort(-each, kind="stable") if each[i] > 0]
    return {
        "from_s": round(float(run.seconds[begin]), 2),
        "share": _share(apart.max(axis=1) >= 0.5),
        "controls": names,
    }


def _apart(run: DryRun) -> npt.NDArray[np.float64]:
    """How far apart they are, 0..1, (n, controls): buttons 0 or 1, others of the player's largest value."""
    b = len(run.controls.buttons)
    apart = np.abs(run.did.astype(np.float64) - run.would)
    apart[:, :b] = (run.did[:, :b] >= 0.5) != (run.would[:, :b] >= 0.5)
    largest = np.abs(run.did[:, b:]).max(axis=0, initial=1.0)
    apart[:, b:] = np.minimum(1.0, apart[:, b:] / largest)
    apart[~run.players] = 0.0
    return apart


def _share(which: npt.NDArray[np.bool_]) -> float:
    return round(float(which.mean()), 4)

"""What a bundle would have pressed on a recording, tick by tick (onnxruntime; presses nothing, knows no sink).

The bundle sees the player's game, not its own: what it would press does not change what comes next. So agreement tells
how alike the two hands are, not how well the bundle plays.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tray_agent.core.controls import Controls, FloatVector
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import BundleError, SessionError
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.sessions.reader import SessionReader

See = Callable[[int, TickSample, FloatVector], None]
"""Row, tick, and the action that would be pressed in it."""


@dataclass(frozen=True)
class DryRun:
    """What came of it; row i is tick i of the session.

    Attributes:
        controls: what the actions are over.
        rate_hz: of the session.
        seconds: since the first tick, float64 (n,).
        did: the session's actions, float32 (n, controls).
        would: the bundle's, as the game's decoding draws them.
        players: whether the player held the controls, bool (n,); in the other ticks an agent played.
        decided_ms: time each decision took, float64 (n,).
    """

    controls: Controls
    rate_hz: float
    seconds: npt.NDArray[np.float64]
    did: npt.NDArray[np.float32]
    would: npt.NDArray[np.float32]
    players: npt.NDArray[np.bool_]
    decided_ms: npt.NDArray[np.float64]


def dry_run(reader: SessionReader, policy: OnnxPolicy, see: See) -> DryRun:
    """Let the policy decide on every tick.

    Args:
        reader: a session of the policy's spec.
        policy: starts afresh here, and after every pause of the session.
        see: told every tick in order.

    Raises:
        SessionError: the session holds no ticks or can't be read.
        BundleError: the policy's output is not finite.
    """
    n, table = len(reader), reader.ticks
    if not n:
        raise SessionError(f"{reader.folder} holds no ticks: there is nothing to decide on")
    would, decided_ms = np.zeros_like(table.actions), np.zeros(n)
    policy.reset()
    for row, sample in enumerate(reader.samples()):
        if TickFlag.GAP in sample.flags:
            policy.reset()
        began = time.perf_counter()
        try:
            would[row] = policy.act(sample.pixels, sample.audio)
        except ValueError as error:
            raise BundleError(f"bundle {policy.bundle.folder}: {error} at tick {sample.tick}. Watch again") from error
        decided_ms[row] = (time.perf_counter() - began) * 1e3
        see(row, sample, would[row])
    return DryRun(
        controls=reader.spec.controls,
        rate_hz=reader.spec.rate_hz,
        seconds=(table.t_ns - table.t_ns[0]) / 1e9,
        did=table.actions,
        would=would,
        players=(table.flags & int(TickFlag.AGENT)) == 0,
        decided_ms=decided_ms,
    )

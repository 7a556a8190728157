"""One round of `bench learning`: `python -m tray_agent.bench.learning_round WAY SESSIONS THREADS SECONDS`.

Learns from nothing what the sessions under a folder hold, for so long, and prints {"result": {...}} with its rate as
`run_cell` does. A process each, so that no way finds the other's threads, memory or settings of torch. Main thread, and
the learner's lanes.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tray_agent.evaluation.run_cell import answer
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.training.encoders.source import EncoderSource

_WARM_UP_S = 0.5
_REPLAY_BYTES = 1 << 30
_SEED = 1


def imitation(sessions: Path, threads: int, seconds: float) -> dict[str, Any]:
    """The library's own cloning, as the peer of the evaluation runs it.

    Raises:
        PlatformUnavailable: the library is missing.
    """
    from tray_agent.evaluation.peers.imitation_bc import BATCH, ImitationPeer
    from tray_agent.evaluation.peers.recordings import recording_of

    data = recording_of(_folders(sessions))
    peer = ImitationPeer()
    peer.learn(data, _WARM_UP_S, threads, _SEED)
    report = peer.learn(data, seconds, threads, _SEED)
    return _round(report.samples_per_s, peer.parameters, BATCH, len(data))


def same_network(sessions: Path, threads: int, seconds: float) -> dict[str, Any]:
    """The product's learner with the library's network."""
    from tray_agent.bench.nature_cnn import NATURE

    return _product(sessions, threads, seconds, NATURE)


def own_network(sessions: Path, threads: int, seconds: float) -> dict[str, Any]:
    """The product's learner with its own network; what it begins with makes no difference to how fast it learns."""
    from tray_agent.training.encoders.source import SCRATCH_SOURCE

    return _product(sessions, threads, seconds, SCRATCH_SOURCE)


WAYS: dict[str, Callable[[Path, int, float], dict[str, Any]]] = {
    "imitation": imitation,
    "same_network": same_network,
    "own_network": own_network,
}
"""By name: (root folder of sessions, threads, seconds) -> a round's numbers."""


def _product(sessions: Path, threads: int, seconds: float, source: EncoderSource) -> dict[str, Any]:
    import torch

    from tray_agent.sessions.reader import SessionReader
    from tray_agent.training.job import BATCH
    from tray_agent.training.learner import Learner
    from tray_agent.training.loading import load_session
    from tray_agent.training.replay import Replay

    torch.set_num_threads(1)  # as the trainer: more cores are used by the learner's lanes
    folders = _folders(sessions)
    info = SessionReader(folders[0]).info
    replay = Replay(info.spec, _REPLAY_BYTES, _SEED)
    for folder in folders:
        for _ in load_session(folder, info.spec, replay, is_newest=True):
            pass
    learner = Learner(info.spec, tuple(info.vector), replay, _SEED, lanes=threads, source=source)
    try:
        learner.update()  # takes statistics and finds out whether bfloat16 is faster
        began, before = time.monotonic(), learner.updates
        while (passed := time.monotonic() - began) < seconds:
            learner.update()
        rate = (learner.updates - before) * BATCH / passed
    finally:
        learner.close()
    return _round(rate, sum(p.numel() for p in learner.net.parameters()), BATCH, replay.total)


def _round(samples_per_s: float, parameters: int, batch: int, ticks: int) -> dict[str, Any]:
    return {"samples_per_s": round(samples_per_s, 1), "parameters": parameters, "batch": batch, "ticks": ticks}


def _folders(sessions: Path) -> list[Path]:
    return [listed.folder for listed in list_sessions(sessions).sessions]


def main() -> int:
    """Entry of the process."""
    way, sessions, threads, seconds = sys.argv[1:]
    return answer(lambda: WAYS[way](Path(sessions), int(threads), float(seconds)))


if __name__ == "__main__":
    sys.exit(main())

"""Fresh episodes in lockstep, spread over processes (no torch here: peers import it themselves)."""

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import AudioFeatures
from tray_agent.daemon.learning import decoding_of
from tray_agent.errors import NotArmed, TrayAgentError
from tray_agent.evaluation.cell import SEED_STRIDE, Cell
from tray_agent.evaluation.recording import Tell
from tray_agent.play.lockstep import LockstepGame
from tray_agent.policy.bundle import load_bundle
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.settings.games import GameProfile

FIRST_SEED = 500 * SEED_STRIDE
"""Of the episodes everybody is scored on; far from what was watched."""
STALL_S = 90.0
"""No episode of ours takes nearly so long."""
_TRIES = 4


def play_bundle(
    cell: Cell, profile: GameProfile, spec: PolicySpec, bundle: Path, episodes: int, tell: Tell
) -> dict[str, Any]:
    """Scores of so many episodes by a bundle, in which share of ticks it had to get unstuck, and how long it thought.

    As many games run beside each other as the cell has threads, each with a policy of one thread.
    """
    jobs = [(cell.game, profile, spec, bundle, FIRST_SEED + 1000 * cell.seed + i, cell.seed) for i in range(episodes)]
    played = spread(_episode, jobs, cell.threads, tell)
    times = np.concatenate([one["act_ms"] for one in played])
    return {
        "scores": [one["score"] for one in played],
        "inference_ms": {name: round(float(np.percentile(times, p)), 3) for name, p in (("p50", 50), ("p99", 99))},
        "stopped": sorted({one["stopped"] for one in played} - {""}),
        "unstuck_share": round(sum(o["unstuck"] for o in played) / max(1, sum(o["ticks"] for o in played)), 4),
    }


def spread(
    work: Callable[..., dict[str, Any]],
    jobs: list[tuple[Any, ...]],
    processes: int,
    tell: Tell,
    stall_s: float = STALL_S,
) -> list[dict[str, Any]]:
    """Results of `work(*job)` in order, from so many processes.

    An emulator can hang for good (Doom's engine does, about once in two hundred starts): when no job ends for
    `stall_s` all are killed and those missing begin anew.

    Raises:
        TrayAgentError: they hung again and again.
    """
    results: dict[int, dict[str, Any]] = {}
    for _ in range(_TRIES):
        _spread_some(work, jobs, results, processes, tell, stall_s)
        if len(results) == len(jobs):
            return [results[i] for i in range(len(jobs))]
    raise TrayAgentError(
        f"the game hung {_TRIES} times: {len(jobs) - len(results)} of {len(jobs)} episodes are missing. "
        "Run the same command again with --resume"
    )


def _spread_some(
    work: Callable[..., dict[str, Any]],
    jobs: list[tuple[Any, ...]],
    results: dict[int, dict[str, Any]],
    processes: int,
    tell: Tell,
    stall_s: float,
) -> None:
    """Fill in missing results until all are there, or nothing moves any more."""
    others = set(active_children())
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(work, *job): i for i, job in enumerate(jobs) if i not in results}
        try:
            while waiting:
                done, _ = wait(waiting, stall_s, FIRST_COMPLETED)
                if not done:
                    return
                for future in done:
                    results[waiting.pop(future)] = future.result()
                tell(f"playing, {len(results)} of {len(jobs)} episodes", len(results) / len(jobs))
        finally:
            if waiting:  # stalled, failed or interrupted: nobody waits for what hangs
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in set(active_children()) - others:
                    _kill(worker.pid)


def _kill(pid: int | None) -> None:
    """A process and the emulator it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (*process.children(recursive=True), process):
            one.kill()


class _TimedPolicy(OnnxPolicy):
    """Keeps how long each decision took, milliseconds."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.act_ms: list[float] = []

    def act(self, pixels: Pixels, audio: AudioFeatures) -> FloatVector:
        start = time.perf_counter()
        action = super().act(pixels, audio)
        self.act_ms.append(1e3 * (time.perf_counter() - start))
        return action


def _episode(
    name: str, profile: GameProfile, spec: PolicySpec, bundle: Path, seed: int, policy_seed: int
) -> dict[str, Any]:
    game = LockstepGame(name, spec, seed=seed)
    game.start()
    score, stopped = 0.0, ""
    try:
        policy = _TimedPolicy(load_bundle(bundle, spec), decoding_of(profile), seed=policy_seed * SEED_STRIDE + seed)
        play = game.play(policy)
        try:
            while True:
                step = play.step()
                score += step.reward
                if step.finished is not None:
                    break
        except NotArmed as error:  # the product would hand back here; what it had reached counts
            stopped = str(error)
        status = play.status
        return {
            "score": score, "stopped": stopped, "unstuck": status.unstuck, "ticks": status.decisions,
            "act_ms": np.asarray(policy.act_ms, np.float32),
        }  # fmt: skip
    finally:
        game.close()

"""`bench kill`: how long from the hotkey, or the daemon's death, until every key is up on a real X server.

While it measures, the trainer learns at full speed on all cores. Runs in the caller's thread, and one more that acts
at 60 Hz like the player does.
"""

import argparse
import os
import signal
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tray_agent.errors import WorkerFailed
from tray_agent.guard.client import GuardClient
from tray_agent.guard.protocol import Armed, Game, Revoked
from tray_agent.settings.app import AppSettings

if TYPE_CHECKING:
    from tray_agent.bench.kill_scene import Scene

T = TypeVar("T")
_DEATHS: dict[str, signal.Signals] = {}
if sys.platform != "win32":
    _DEATHS = {"sigkill": signal.SIGKILL, "sigstop": signal.SIGSTOP}
_ACTS_PER_S = 60
_TRAINER_START_S = 120.0
_DAEMON_START_S = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--presses", type=int, default=200, help="how often the kill hotkey is pressed (200)")
    parser.add_argument("--deaths", type=int, default=50, help="how often the daemon is killed, and stopped (50)")
    parser.add_argument(
        "--lease-ms", type=int, default=AppSettings().lease_ms, help="the guard's lease (as by default)"
    )
    parser.add_argument("--idle", action="store_true", help="measure without the trainer beside")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; `metrics` holds milliseconds and counts.

    Raises:
        PlatformUnavailable: no X server can be started here.
        WorkerFailed: keys stayed down, or a part did not start.
    """
    from tray_agent.bench.kill_scene import Child, Scene

    with ExitStack() as stack:
        scene = Scene()
        stack.callback(scene.close)
        scene.start()
        load = None
        if not options.idle:
            load = Child("tray_agent.bench.training_load", str(os.cpu_count() or 1))
            stack.callback(load.close)
            load.await_word(_TRAINER_START_S)
        times = _hotkeys(scene, options)
        times |= {name: _deaths(scene, options, number) for name, number in _DEATHS.items()}
        updates = int(load.ask(_TRAINER_START_S)) if load is not None else 0
    metrics: dict[str, float | int] = {}
    for name, values in times.items():
        metrics |= _summary(name, values)
    return {"bench": "kill", "metrics": metrics | {"trainer_updates": updates}}


def _summary(name: str, values_ms: list[float]) -> dict[str, float | int]:
    ordered = sorted(values_ms)
    if not ordered:
        return {f"{name}_count": 0}
    return {
        f"{name}_count": len(ordered),
        f"{name}_p50_ms": round(statistics.median(ordered), 3),
        f"{name}_p99_ms": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 3),
        f"{name}_max_ms": round(ordered[-1], 3),
    }


def _hotkeys(scene: "Scene", options: argparse.Namespace) -> dict[str, list[float]]:
    """Times of the kill hotkey and of a takeover by its first key, in turns."""
    times: dict[str, list[float]] = {"hotkey": [], "takeover": []}
    client = GuardClient(scene.hello(options.lease_ms))
    client.start()
    try:
        for _ in range(options.presses):
            times["hotkey"].append(_one_hotkey(scene, client))
            times["takeover"].append(_one_takeover(scene, client))
    finally:
        client.request_stop()
        client.join(5.0)
    return times


def _one_hotkey(scene: "Scene", client: GuardClient) -> float:
    """From the kill hotkey's last key, its modifiers held since before play began, to all keys up."""
    scene.press("ControlLeft", "AltLeft")
    try:
        return _one_press(scene, client, "KeyK", "kill")
    finally:
        scene.press("AltLeft", "ControlLeft", down=False)


def _one_takeover(scene: "Scene", client: GuardClient) -> float:
    """From a key the player presses to all of the agent's keys up."""
    return _one_press(scene, client, "KeyX", "takeover")


def _one_press(scene: "Scene", client: GuardClient, key: str, kind: str) -> float:
    from tray_agent.bench.kill_scene import KEYS

    client.poll()
    client.set_game(Game(KEYS))
    client.ask_permit()
    epoch = _await_event(client, Armed).epoch
    with _acting(client, epoch):
        scene.await_down()
        pressed_ns = scene.press(key)
        up_ns = scene.await_up()
    scene.press(key, down=False)
    revoked = _await_event(client, Revoked)
    if revoked.kind != kind:
        raise WorkerFailed(f"play ended by {revoked.kind} ({revoked.reason}), not by {kind}")
    return (up_ns - pressed_ns) / 1e6


@contextmanager
def _acting(client: GuardClient, epoch: int) -> Iterator[None]:
    from tray_agent.bench.kill_scene import HOLD

    done = threading.Event()

    def act() -> None:
        seq = 0
        while not done.is_set():
            client.act(epoch, seq, HOLD)
            seq += 1
            done.wait(1.0 / _ACTS_PER_S)

    thread = threading.Thread(target=act, name="bench-acts")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _await_event(client: GuardClient, kind: type[T]) -> T:
    for _ in range(50):
        for event in client.poll(0.1):
            if isinstance(event, kind):
                return event
    raise WorkerFailed(f"the guard did not report {kind.__name__} within 5 s")


def _deaths(scene: "Scene", options: argparse.Namespace, number: signal.Signals) -> list[float]:
    return [_one_death(scene, options.lease_ms, number) for _ in range(options.deaths)]


def _one_death(scene: "Scene", lease_ms: int, number: signal.Signals) -> float:
    """From the signal to a daemon that holds keys, to all keys up."""
    from tray_agent.bench.kill_scene import KEYS, Child

    daemon = Child("tray_agent.bench.holding_daemon", scene.hello(lease_ms).to_json(), ",".join(KEYS))
    try:
        daemon.await_word(_DAEMON_START_S)
        scene.await_down()
        sent_ns = daemon.signal(number)
        up_ns = scene.await_up()
    finally:
        daemon.close()
    if scene.keys_down():
        raise WorkerFailed("the X server still has keys down")
    return (up_ns - sent_ns) / 1e6

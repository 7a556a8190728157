"""Entry of the guard process: `python -m tray_agent.guard_process HELLO-JSON` (see `guard.protocol`).

Picks the backend and runs `GuardLoop` in the main thread until the daemon closes its pipe. Imports nothing but the
standard library, the guard and the one backend, so that it starts fast, stays small and is hardly ever swapped out.
With `--release-all HELLO-JSON` it lets go of what an earlier, killed guard left down, and prints that as JSON.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, cast

from tray_agent.core.guard_port import BackendReport, GuardBackend
from tray_agent.errors import PlatformUnavailable
from tray_agent.guard import protocol
from tray_agent.guard.channel import PipeChannel
from tray_agent.guard.loop import GuardLoop
from tray_agent.guard.protocol import Hello, ProtocolError
from tray_agent.runtime import pipes
from tray_agent.runtime.short_slices import prefer_short_slices

EXIT_OK, EXIT_FAULT, EXIT_USAGE, EXIT_UNAVAILABLE = 0, 1, 2, 3
_CLASSES = {
    "x11": ("tray_agent.platforms.x11.guard_backend", "X11GuardBackend"),
    "env": ("tray_agent.platforms.env.guard_backend", "EnvGuardBackend"),
    "win32": ("tray_agent.platforms.win32.guard_backend", "Win32GuardBackend"),
    "darwin": ("tray_agent.platforms.darwin.guard_backend", "DarwinGuardBackend"),
    "log": ("tray_agent.guard.log_backend", "LogBackend"),
    "fake": ("tray_agent.guard.fake_backend", "FakeBackend"),
}
_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")


def make_backend(name: str, options: Mapping[str, Any]) -> GuardBackend:
    """The backend of that name, not started.

    Args:
        name: one of `protocol.BACKENDS`.
        options: its keyword arguments. Besides, every backend takes "pad": {"press": bool}: hear pads and press one.

    Raises:
        PlatformUnavailable: no such backend, it can't be imported here, or it has no such option.
    """
    if name not in _CLASSES:
        raise PlatformUnavailable(f"no guard backend is called {name!r}", f"There are: {', '.join(_CLASSES)}")
    module, attribute = _CLASSES[name]
    given = dict(options)
    pad = given.pop("pad", None)
    if name == "log" and isinstance(hearing := given.get("hearing"), dict):
        given["hearing"] = make_backend(str(hearing.get("backend")), _only_hearing(hearing.get("options", {})))
    if name == "env" and "socket_path" in given:
        given["socket_path"] = Path(str(given["socket_path"]))
    try:
        factory: Callable[..., object] = getattr(importlib.import_module(module), attribute)
        backend = cast("GuardBackend", factory(**given))
        return backend if pad is None else _with_pad(backend, **pad)
    except (ImportError, TypeError) as error:
        raise PlatformUnavailable(f"the guard backend {name!r} can't be used here: {error}") from error


def _with_pad(backend: GuardBackend, press: bool = True) -> GuardBackend:
    from tray_agent.platforms.pad.guard_backend import WithPadBackend

    return WithPadBackend(backend, press)


def _only_hearing(options: Mapping[str, Any]) -> dict[str, Any]:
    return {**options, "pad": {"press": False}} if "pad" in options else dict(options)


def release_all(backend_name: str, options: Mapping[str, Any]) -> list[str]:
    """Let go of everything a killed guard may have left down; works with the daemon dead. Names released.

    Raises:
        PlatformUnavailable: the platform can't be reached.
    """
    # a virtual pad went with its process
    backend = make_backend(backend_name, {name: value for name, value in options.items() if name != "pad"})
    try:
        backend.start({})
        return sorted({*backend.release_all(), *backend.release_leftovers()})
    finally:
        backend.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the guard, or `--release-all`; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    only_release = arguments[:1] == ["--release-all"]
    if len(arguments) != 1 + only_release:
        sys.stderr.write("usage: python -m tray_agent.guard_process [--release-all] JSON\n")
        return EXIT_USAGE
    try:
        hello = Hello.from_json(arguments[-1])
    except ProtocolError as error:
        sys.stderr.write(f"guard: {error}\n")
        return EXIT_USAGE
    return _release(hello) if only_release else _guard(hello)


def _release(hello: Hello) -> int:
    try:
        answer: dict[str, object] = {"released": release_all(hello.backend, hello.options)}
    except PlatformUnavailable as error:
        answer = {"released": [], "error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    return EXIT_UNAVAILABLE if "error" in answer else EXIT_OK


def _guard(hello: Hello) -> int:
    stop = _Stop()
    channel = PipeChannel(sys.stdin.fileno(), sys.stdout.fileno(), _on_signals(stop))
    try:
        channel.start()
        backend = make_backend(hello.backend, hello.options)
    except (OSError, PlatformUnavailable) as error:
        return _fail(channel, error)
    try:
        return _run(hello, backend, channel, stop)
    finally:
        backend.close()
        channel.close()


def _run(hello: Hello, backend: GuardBackend, channel: PipeChannel, stop: "_Stop") -> int:
    try:
        report = backend.start(dict(hello.hotkeys))
    except PlatformUnavailable as error:
        return _fail(channel, error)
    leftovers = backend.release_leftovers() if report.presses else ()
    loop = _make_loop(hello, backend, report, channel)
    stop.attach(loop)
    _prefer_this_process()
    channel.send(protocol.Ready(report, os.getpid(), leftovers))
    loop.run()
    return EXIT_OK


def _make_loop(hello: Hello, backend: GuardBackend, report: BackendReport, channel: PipeChannel) -> GuardLoop:
    def parent_gone() -> bool:
        return os.name == "posix" and hello.parent_pid != 0 and os.getppid() != hello.parent_pid

    return GuardLoop(backend, report, channel, hello.hotkeys, hello.lease_ms, parent_gone=parent_gone)


def _fail(channel: PipeChannel, error: Exception) -> int:
    channel.send(protocol.Failed(str(error), getattr(error, "remedy", "")))
    sys.stderr.write(f"guard: {error}\n")
    return EXIT_UNAVAILABLE


class _Stop:
    """What signals ask for, kept until the loop is there to be told."""

    def __init__(self) -> None:
        self._reasons: list[str] = []
        self._loop: GuardLoop | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self._reasons.append(f"the guard got signal {number}")
        if self._loop is not None:
            self._loop.request_stop(self._reasons[0])

    def attach(self, loop: GuardLoop) -> None:
        self._loop = loop
        if self._reasons:
            loop.request_stop(self._reasons[0])


def _on_signals(stop: _Stop) -> int | None:
    """Have signals end the guard; a descriptor they write to, None on Windows, whose backend never sleeps long."""
    for name in _SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)
    if os.name != "posix":
        return None
    wake_read, wake_write = os.pipe()
    pipes.never_block_reading(wake_read)
    pipes.never_block_writing(wake_write)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    return wake_read


def _prefer_this_process() -> None:
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # raising priority needs a right most users lack
            os.nice(-5)
    prefer_short_slices()
    gc.collect()
    gc.freeze()  # what lives now lives to the end: later collections need not walk it


if __name__ == "__main__":
    sys.exit(main())

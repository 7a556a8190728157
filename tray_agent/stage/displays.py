"""X servers, a window manager and programs of our own, each ended by its own process (one thread's).

Every server picks its own display number, so that nothing of the user's is touched and runs never clash.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tray_agent.errors import PlatformUnavailable, WorkerFailed

START_S = 20.0
_POLL_S = 0.01
_GAMES = "/usr/games"  # Debian's place for games is not on every PATH
_SERVER_OPTIONS = ("-nolisten", "tcp", "-noreset")


class Displays:
    """Starts servers and clients; `close()` ends them, the last one first."""

    def __init__(self, log: Path | None = None) -> None:
        """Store.

        Args:
            log: file that takes what the programs print; None: nowhere.
        """
        self._log = log
        self._stack = contextlib.ExitStack()

    def xvfb(self, width: int, height: int) -> str:
        """Name of a new virtual screen. Raises PlatformUnavailable."""
        return self._serve(["Xvfb", "-screen", "0", f"{width}x{height}x24", *_SERVER_OPTIONS])

    def xephyr(self, outer: str, width: int, height: int) -> str:
        """Name of a new display in a window of `outer`: what is pressed there comes from a device. See `xvfb`."""
        return self._serve(["Xephyr", "-screen", f"{width}x{height}", "-no-host-grab", *_SERVER_OPTIONS], outer)

    def window_manager(self, display: str) -> None:
        """Start openbox and wait until it manages. Raises PlatformUnavailable."""
        self.run(["openbox"], display)
        wait_until(lambda: _is_managed(display), START_S, "openbox")

    def run(
        self,
        command: Sequence[str],
        display: str,
        environment: Mapping[str, str] | None = None,
        pipes: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a client of a display.

        Args:
            command: a program's name or path, and its arguments.
            display: name of the display.
            environment: variables to set besides.
            pipes: whether we talk with it through stdin and stdout.

        Raises:
            PlatformUnavailable: it is not installed.
        """
        child = subprocess.Popen(
            [find_program(command[0]), *command[1:]],
            env={**os.environ, "DISPLAY": display, **(environment or {})},
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else self._sink(),
            stderr=self._sink(),
            start_new_session=True,  # Ctrl+C is for us: we end them in order
        )
        self._stack.callback(end, child)
        return child

    def line_of(self, child: subprocess.Popen[bytes], timeout_s: float) -> str:
        """Next line from a child with pipes.

        Raises:
            WorkerFailed: it said nothing for so long, or ended; with the last lines of the log.
        """
        assert child.stdout is not None  # noqa: S101 - opened with pipes
        try:
            return read_line(child.stdout.fileno(), timeout_s, str(child.args))
        except WorkerFailed as error:
            raise WorkerFailed(f"{error}\n{self.last_words()}") from error

    def last_words(self, lines: int = 20) -> str:
        """End of the log, "" without one."""
        if self._log is None or not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def close(self) -> None:
        """End everything; idempotent."""
        self._stack.close()

    def _sink(self) -> int:
        if self._log is None:
            return subprocess.DEVNULL
        file = self._stack.enter_context(self._log.open("ab"))
        return file.fileno()

    def _serve(self, command: list[str], outer: str = "") -> str:
        told, tells = os.pipe()
        with os.fdopen(told, "rb", buffering=0) as pipe:
            try:
                child = subprocess.Popen(
                    [find_program(command[0]), *command[1:], "-displayfd", str(tells)],
                    env=os.environ | {"DISPLAY": outer},
                    pass_fds=[tells],
                    stdin=subprocess.DEVNULL,
                    stdout=self._sink(),
                    stderr=self._sink(),
                    start_new_session=True,
                )
            finally:
                os.close(tells)
            self._stack.callback(end, child)
            return f":{read_line(pipe.fileno(), START_S, command[0])}"


def find_program(name: str) -> str:
    """Its path.

    Raises:
        PlatformUnavailable: it is not installed.
    """
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), _GAMES)))
    if path is None:
        raise PlatformUnavailable(f"{name} is not installed", f"Install it (Debian: apt install {_package(name)})")
    return path


def _package(program: str) -> str:
    return {"Xvfb": "xvfb", "Xephyr": "xserver-xephyr"}.get(program, program)


def end(child: subprocess.Popen[bytes], patience_s: float = 5.0) -> None:
    """End a child: politely, then for good; idempotent."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(patience_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def read_line(descriptor: int, timeout_s: float, who: str) -> str:
    """Next line from a child, without its end.

    Raises:
        WorkerFailed: it said nothing for so long, or ended.
    """
    deadline = time.monotonic() + timeout_s
    text = b""
    while not text.endswith(b"\n"):
        ready = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]
        chunk = os.read(descriptor, 1) if ready else b""
        if not chunk:
            raise WorkerFailed(f"{who} said nothing for {timeout_s:.0f} s, or ended")
        text += chunk
    return text.decode().strip()


def wait_until(check: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll until `check()` is true.

    Raises:
        WorkerFailed: it is not, after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            raise WorkerFailed(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(_POLL_S)


def _is_managed(name: str) -> bool:
    """Whether a new window comes to the front; one that is mapped before the manager is ready never does."""
    from tray_agent.platforms.x11 import connection
    from tray_agent.platforms.x11.window import find_active

    with contextlib.closing(connection.open_display(name)) as display:
        root = display.screen().root
        window = root.create_window(0, 0, 50, 50, 0, display.screen().root_depth)
        window.map()
        display.sync()
        try:
            wait_until(lambda: (found := find_active(display)) is not None and found.handle == window.id, 0.5, "focus")
        except WorkerFailed:
            return False
        finally:
            window.destroy()
            display.sync()
    return True


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Within: SIGTERM ends this process as Ctrl+C does, so that what was started is ended. Main thread only."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

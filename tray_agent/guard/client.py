"""The daemon's side of the guard (standard library only).

`GuardClient` owns the guard process and two threads, both started by `start()`: the receiver, which reads what the
guard reports and, when the guard ends unasked, lets go of its keys; and the watchdog, which pings and kills a guard
that no longer answers. Sending may be done from any thread and never waits for the guard.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.events import Command
from tray_agent.errors import GuardLost, PlatformUnavailable
from tray_agent.guard import protocol
from tray_agent.guard.protocol import Act, Failed, Game, GuardEvent, Hello, Lost, Op, Pong, Ready
from tray_agent.runtime import pipes

PING_S = 0.1
SILENT_S = 0.4
"""A guard that leaves a ping unanswered this long is killed if the system says that it is stopped."""
STARVED_S = 1.0
"""A guard that leaves a ping unanswered this long is killed whatever it does.

With twenty busy programs on two cores a healthy guard was seen to wait 0.43 s for a processor.
"""
_RELEASE_S = 5.0
_PYTHON = (sys.executable, "-P", "-m")  # -P: a stray module in the working folder is not ours
_NO_CONSOLE = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_MODULE = "tray_agent.guard_process"


class GuardClient:
    """Starts the guard, talks to it, and cleans up after it if it dies.

    Args:
        hello: how the guard is to be started; `parent_pid` is filled in.
        stderr: file the guard's own messages go to; None: the daemon's stderr.
    """

    def __init__(self, hello: Hello, stderr: IO[bytes] | None = None) -> None:
        self._hello = hello
        self._stderr = stderr
        self._process: subprocess.Popen[bytes] | None = None
        self._events: SimpleQueue[GuardEvent] = SimpleQueue()
        self._clock: Clock = MonotonicClock()  # the guard's, which judges the age of what we send
        self._lock = threading.Lock()
        self._unsent = bytearray()
        self._threads: list[threading.Thread] = []
        self._ending = threading.Event()
        self._pong: Pong | None = None
        self._pong_at = 0.0
        self._killed_because = ""
        self._failed = ""

    # -- life

    def start(self, timeout_s: float = 10.0) -> Ready:
        """Start the guard and wait until it hears; what it found.

        Raises:
            PlatformUnavailable: the backend can't work here.
            GuardLost: the process died or did not come up in time.
        """
        hello = replace(self._hello, parent_pid=os.getpid())
        self._process = subprocess.Popen(
            [*_PYTHON, _MODULE, hello.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            creationflags=_NO_CONSOLE,
            start_new_session=True,  # Ctrl+C and Ctrl+Z in a terminal are the daemon's to handle
        )
        pipes.never_block_writing(self._stdin_fd())
        self._spawn_thread("guard-receiver", self._receive)
        return self._wait_until_ready(timeout_s)

    def _wait_until_ready(self, timeout_s: float) -> Ready:
        try:
            first = self._events.get(timeout=timeout_s)
        except Empty:
            first = Lost(f"the guard was not ready within {timeout_s:.0f} s")
        if isinstance(first, Ready):
            self._pong_at = time.monotonic()
            self._spawn_thread("guard-watchdog", self._watch)
            return first
        self.request_stop()
        if not isinstance(first, Failed):
            self._kill("it did not start")
        self.join(5.0)
        if isinstance(first, Failed):
            raise PlatformUnavailable(first.reason.removesuffix(f". {first.remedy}"), first.remedy)
        raise GuardLost(getattr(first, "reason", f"the guard began with {first}"))

    def _spawn_thread(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def alive(self) -> bool:
        """Whether the guard process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the guard, 0 before `start`."""
        return 0 if self._process is None else self._process.pid

    @property
    def pong(self) -> Pong | None:
        """The guard's newest sign of life: whether it plays and what it holds."""
        return self._pong

    def request_stop(self) -> None:
        """Ask the guard to release and end; returns at once, idempotent."""
        if not self._ending.is_set():
            self._ending.set()
            self.send(protocol.Quit())
            self._close_stdin()

    def join(self, deadline_s: float) -> bool:
        """Wait until guard and threads have ended; a late guard is killed and its keys are let go.

        Returns:
            Whether all ended in time by themselves.
        """
        end = time.monotonic() + deadline_s
        in_time = True
        if self._process is not None:
            try:
                self._process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                in_time = False
                self._kill("it did not end when asked")
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(_RELEASE_S + 1.0 if not in_time else 0.5, end - time.monotonic()))
        return in_time and not any(thread.is_alive() for thread in self._threads)

    # -- talking

    def set_game(self, game: Game) -> None:
        """Tell what may be pressed from now on; ends play if it differs from the game before."""
        self.send(game)

    def clear_game(self) -> None:
        """There is no game to play any more."""
        self.send(protocol.ClearGame())

    def ask_permit(self) -> None:
        """A person just asked for play through tray, window or command line. Answer: Armed or Refused."""
        self.send(protocol.PermitRequest(self._clock.now_ns()))

    def act(self, epoch: int, seq: int, command: Command, t_ns: int | None = None) -> bool:
        """Press exactly this now; renews the lease. False when it could not be handed over.

        Args:
            t_ns: when it was decided, on `MonotonicClock`; None: now.
        """
        return self.send(Act(epoch, seq, self._clock.now_ns() if t_ns is None else t_ns, command))

    def revoke(self, reason: str) -> None:
        """Stop playing and let go of everything."""
        self.send(protocol.Revoke(reason))

    def send(self, op: Op) -> bool:
        """Hand a message over without ever waiting for the guard; False when the guard does not take it."""
        with self._lock:
            self._flush()
            if self._unsent and (isinstance(op, Act) or len(self._unsent) > protocol.MAX_LINE_BYTES):
                return False  # an act that waits is worth nothing
            self._unsent += protocol.encode_op(op)
            return self._flush()

    def _flush(self) -> bool:
        try:
            while self._unsent and (sent := pipes.write_some(self._stdin_fd(), self._unsent)):
                del self._unsent[:sent]  # what is left now, the watchdog's next ping sends
        except (OSError, ValueError):
            self._unsent.clear()  # the receiver notices the death and deals with it
            return False
        return True

    def _stdin_fd(self) -> int:
        if self._process is None or self._process.stdin is None:
            raise ValueError("the guard was not started")
        return self._process.stdin.fileno()

    def _close_stdin(self) -> None:
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()

    def poll(self, timeout_s: float = 0.0) -> list[GuardEvent]:
        """What the guard reported since the last call, in order; waits up to `timeout_s` for the first."""
        events: list[GuardEvent] = []
        with contextlib.suppress(Empty):
            events.append(self._events.get(timeout=timeout_s) if timeout_s > 0 else self._events.get_nowait())
            while True:
                events.append(self._events.get_nowait())
        return events

    # -- threads

    def _receive(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        with process.stdout as stdout:
            for line in _lines(stdout):
                self._take(line)
        if not self._ending.is_set() or self._killed_because:
            self._clean_up(process)
        process.wait()
        self._close_stdin()

    def _take(self, line: bytes) -> None:
        try:
            event = protocol.decode_event(line)
        except protocol.ProtocolError as error:
            self._kill(f"it reported nonsense: {error}")
            return
        if isinstance(event, Pong):
            self._pong, self._pong_at = event, time.monotonic()
            return
        if isinstance(event, Failed):
            self._failed = event.reason
        self._events.put(event)

    def _clean_up(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()  # its stdout is closed: whatever it still does, nobody would hear of it
        code = process.wait()
        why = self._failed or self._killed_because or f"it ended with code {code}"
        released, problem = release_in_new_process(self._hello)
        self._events.put(Lost(f"the guard is gone: {why}{problem}", released))

    def _watch(self) -> None:
        looked_at = time.monotonic()
        while not self._ending.wait(PING_S):
            now = time.monotonic()
            if now - looked_at > SILENT_S / 2:
                self._pong_at = now  # it was us who slept; the guard may be well
            looked_at = now
            silent_s = now - self._pong_at
            if silent_s > STARVED_S or (silent_s > SILENT_S and self._is_stopped()):
                self._kill(f"it did not answer for {silent_s * 1000:.0f} ms")
                return
            if self._lock.acquire(timeout=STARVED_S):
                self._lock.release()
                self.send(protocol.Ping(self._clock.now_ns()))
            else:
                self._kill("it does not read what we send")
                return

    def _is_stopped(self) -> bool:
        """Whether the system holds the guard (SIGSTOP, a debugger); False where it does not tell."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return False
        return state in {"T", "t"}

    def _kill(self, why: str) -> None:
        self._killed_because = self._killed_because or why
        if self._process is not None:
            self._process.kill()


def release_in_new_process(hello: Hello, timeout_s: float = _RELEASE_S) -> tuple[tuple[str, ...], str]:
    """Let go of what a dead guard left down, by a process that can't hang us. Names released, and what went wrong."""
    try:
        done = subprocess.run(
            [*_PYTHON, _MODULE, "--release-all", hello.to_json()],
            stdout=subprocess.PIPE,
            creationflags=_NO_CONSOLE,
            timeout=timeout_s,
            check=False,
        )
        answer: Mapping[str, object] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return (), f"; its keys could not be let go: {error}"
    names = answer.get("released")
    problem = f"; its keys could not be let go: {answer['error']}" if "error" in answer else ""
    return tuple(map(str, names)) if isinstance(names, list) else (), problem


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    buffer = b""
    while chunk := os.read(stream.fileno(), 65536):
        *lines, buffer = (buffer + chunk).split(b"\n")
        yield from lines

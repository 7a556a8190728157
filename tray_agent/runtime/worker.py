"""One background thread with a life that can be told: start, ask to stop, wait, see why it failed.

Owns the thread it starts and the exception that ended it. `start`, `request_stop` and `join` are called by the owner;
the target and `on_failure` run on the worker's own thread.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

_log = logging.getLogger(__name__)


class StopSignal(Protocol):
    """What a target sees of its owner's wish to stop; `threading.Event` is one."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep up to `timeout` seconds; True as soon as stopping is wanted."""
        ...


class Worker:
    """Runs `target(stop)` on a thread of its own. May be started again after it ended."""

    def __init__(
        self,
        name: str,
        target: Callable[[StopSignal], None],
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Store only.

        Args:
            name: name of the thread, seen in logs and `status`.
            target: returns soon after `stop.is_set()`; an exception out of it is a failure.
            on_failure: called with that exception, on the worker's thread.
        """
        self.name = name
        self._target = target
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def failure(self) -> BaseException | None:
        """The exception that ended the last run, None while it runs or when it ended well."""
        return self._failure

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: it is running already.
        """
        if self.running:
            raise RuntimeError(f"worker {self.name!r} is running already")
        self._failure = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name=self.name, daemon=True)
        self._thread.start()

    def request_stop(self) -> None:
        """Ask to stop; never blocks, may be called at any time and twice."""
        self._stop.set()

    def join(self, deadline_s: float) -> bool:
        """Wait up to `deadline_s` for the end; False when it is late. True when it never ran."""
        thread = self._thread
        if thread is None:
            return True
        if thread is threading.current_thread():
            return False
        thread.join(max(0.0, deadline_s))
        return not thread.is_alive()

    def _run(self, stop: StopSignal) -> None:
        try:
            self._target(stop)
        except BaseException as error:  # noqa: BLE001 - whatever ended the thread is kept for the owner
            self._failure = error
            _log.error("worker %s failed: %s", self.name, error, exc_info=error)
            self._tell(error)

    def _tell(self, error: BaseException) -> None:
        if self._on_failure is None:
            return
        try:
            self._on_failure(error)
        except Exception:  # noqa: BLE001 - the thread ends here anyway; its own failure is already kept
            _log.exception("on_failure of worker %s failed itself", self.name)

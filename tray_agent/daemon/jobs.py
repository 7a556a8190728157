"""Work for the daemon's main thread, handed over by other threads."""

import queue
from collections.abc import Callable

from tray_agent.daemon.control import Message

_ANSWER_S = 2.0

Answer = Callable[[str], None]
"""Told "" when a request was obeyed, else why not."""


class Jobs:
    """A queue of calls. `put` and `ask` are for any thread, `run_waiting` for the main one."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def put(self, job: Callable[[], None]) -> None:
        """Have it run soon."""
        self._queue.put(job)

    def ask(self, request: Callable[[Answer], None]) -> Message:
        """Have `request(answer)` run on the main thread and wait until `answer` was called; a control answer."""
        told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._queue.put(lambda: request(told.put))
        try:
            refused = told.get(timeout=_ANSWER_S)
        except queue.Empty:
            return {"ok": False, "code": "busy", "error": "the daemon did not answer in time; see: tray-agent status"}
        return {"ok": True} if not refused else {"ok": False, "code": "refused", "error": refused}

    def run_waiting(self, wait_s: float) -> None:
        """Run what waits; waits itself up to `wait_s` for the first."""
        try:
            job = self._queue.get(timeout=wait_s)
            while True:
                job()
                job = self._queue.get_nowait()
        except queue.Empty:
            return

"""Starts parts in order and stops them in reverse, each within its deadline (standard library only).

Owns the order, not the parts. All calls come from one thread, the one that composed them.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_log = logging.getLogger(__name__)


class Part(Protocol):
    """Something with a life; `Worker` is one."""

    def start(self) -> None: ...

    def request_stop(self) -> None: ...

    def join(self, deadline_s: float) -> bool: ...


@dataclass(frozen=True)
class Supervised:
    """One part under its name, and how long it may take to stop."""

    name: str
    part: Part
    deadline_s: float = 2.0


class Supervisor:
    """Runs a fixed list of parts."""

    def __init__(self, parts: Sequence[Supervised]) -> None:
        self._parts = tuple(parts)
        self._started: list[Supervised] = []

    def start(self) -> None:
        """Start all in order. If one can't start, those before it are stopped and its exception is raised."""
        for item in self._parts:
            try:
                item.part.start()
            except BaseException:
                self.stop()
                raise
            self._started.append(item)

    def stop(self) -> tuple[str, ...]:
        """Stop what was started, in reverse; never raises and may be called twice.

        Returns:
            Names of the parts that were late, or failed to stop, in the order they were stopped.
        """
        late = []
        while self._started:
            item = self._started.pop()
            if not self._stop_one(item):
                _log.warning("%s did not stop within %.1f s", item.name, item.deadline_s)
                late.append(item.name)
        return tuple(late)

    @staticmethod
    def _stop_one(item: Supervised) -> bool:
        try:
            item.part.request_stop()
            return item.part.join(item.deadline_s)
        except Exception:  # noqa: BLE001 - one bad part must not keep the others from being stopped
            _log.exception("stopping %s failed", item.name)
            return False

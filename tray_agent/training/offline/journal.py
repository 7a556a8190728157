"""How a run goes, for machines: a JSON line for each look at held-out play, and TensorBoard's event files."""

import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

_WRITERS = ("tensorboardX", "torch.utils.tensorboard")
MISSING = "no TensorBoard event files: install tensorboardX for them (log.jsonl holds the same)"


class Journal:
    """Appends to `log`, and to event files under `events` where a writer for them is installed. One thread.

    `note` says why there are none, "" where there are.
    """

    def __init__(self, log: Path, events: Path) -> None:
        self._log = log
        self._events = _event_writer(events)
        self.note = "" if self._events is not None else MISSING

    def add(self, what: str, updates: int, **numbers: Any) -> None:
        """One line; numbers among `numbers` go to TensorBoard, too. Raises OSError."""
        line = {"what": what, "updates": updates, "at": round(time.time(), 3)} | numbers
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._events is not None:
            for name, value in numbers.items():
                if isinstance(value, float | int):
                    self._events.add_scalar(f"{what}/{name}", value, updates)

    def close(self) -> None:
        """Write what is left."""
        if self._events is not None:
            self._events.close()


def _event_writer(folder: Path) -> Any:
    for name in _WRITERS:
        try:
            return import_module(name).SummaryWriter(str(folder))
        except ImportError:
            continue
    return None

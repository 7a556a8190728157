"""What the tray's process tells its parent: one JSON object a line on stderr. Any thread."""

import json
import logging
import sys

EVENT = "tray"


def tell(state: str, message: str, **more: object) -> None:
    """One line; `state` is one word for programs, `message` a sentence for people. Never raises."""
    line = json.dumps({"event": EVENT, "state": state, "message": message, **more}, ensure_ascii=False)
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # the reader has gone; there is nobody left to tell
        return


class EventHandler(logging.Handler):
    """Log records (pystray's too) as event lines."""

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        tell("log", record.getMessage() + (f": {cause!r}" if cause else ""), level=record.levelname.lower())

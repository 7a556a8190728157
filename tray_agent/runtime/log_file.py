"""The daemon's log on disk: bounded, and never the reason for trouble. Used by whatever thread logs."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

_MAX_BYTES = 1 << 20
_BACKUPS = 3


class LogFile(RotatingFileHandler):
    """Writes records to a file; where it can't (full disk, no right), says so once on stderr and goes on."""

    def __init__(self, path: Path) -> None:
        # opened with the first record, so that an error there is handled like all others
        super().__init__(path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS, encoding="utf-8", delay=True)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name logging calls
        """Called while the exception is being handled."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            sys.stderr.write(f"the log {self.baseFilename} can't be written: {error.strerror or error}\n")

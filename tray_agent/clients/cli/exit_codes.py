"""Exit codes of every verb: one table (no I/O)."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a verb's exit code means."""

    OK = 0
    FAILURE = 1  # something went wrong; the message on stderr says what
    USAGE = 2  # the command line is wrong (argparse)
    BAD_CONFIG = 3  # a configuration file has mistakes
    NO_DAEMON = 4  # no daemon is running, or it does not answer
    REFUSED = 5  # understood, but not allowed now (play without a bundle, another daemon runs, ...)
    UNAVAILABLE = 6  # this machine lacks something it needs
    INTERRUPTED = 130  # Ctrl+C

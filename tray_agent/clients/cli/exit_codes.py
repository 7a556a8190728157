"""Exit codes of every verb: one table (no I/O)."""

from enum import IntEnum

from tray_agent.errors import (
    AlreadyRunning,
    BundleError,
    CaptureLost,
    DaemonUnreachable,
    NotArmed,
    PlatformUnavailable,
    SettingsError,
    TrayAgentError,
    UnknownGame,
)


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


_CODES: tuple[tuple[type[TrayAgentError], ExitCode], ...] = (
    (SettingsError, ExitCode.BAD_CONFIG),
    (UnknownGame, ExitCode.BAD_CONFIG),
    (DaemonUnreachable, ExitCode.NO_DAEMON),
    (NotArmed, ExitCode.REFUSED),
    (AlreadyRunning, ExitCode.REFUSED),
    (BundleError, ExitCode.REFUSED),
    (PlatformUnavailable, ExitCode.UNAVAILABLE),
    (CaptureLost, ExitCode.UNAVAILABLE),
)


def exit_code(error: TrayAgentError) -> ExitCode:
    """The code a verb ends with when this error reaches its top."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILURE)

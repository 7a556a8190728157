"""Every exception of the product. Imports nothing.

TrayAgentError            has a message that says what, where, and what to do
|- SettingsError          a configuration file is wrong (file:line:column in the message)
|- UnknownGame            no such game in the configuration
|- PlatformUnavailable    a backend can't work on this machine; `.remedy` says how to mend it
|- CaptureLost            screen or sound stopped and could not be brought back
|- SessionError           a session on disk can't be read or written
|- ImportFailed           another program's recording can't be used
|- ExportFailed           sessions can't be written in another program's format
|- BundleError            a bundle is missing, damaged or made for other controls
|- NotArmed               pressing keys was refused; the reason is the message
|- GuardLost              the guard process does not answer
|- WorkerFailed           a background worker ended with an exception
|- DaemonUnreachable      no daemon is running, or it does not answer
`- AlreadyRunning         a daemon of this user is running already
"""


class TrayAgentError(Exception):
    """Base of all errors a user may see; the text is written for them."""


class SettingsError(TrayAgentError):
    """A configuration file is wrong."""


class UnknownGame(TrayAgentError):
    """The configuration has no game of that name."""


class PlatformUnavailable(TrayAgentError):
    """A backend can't work here.

    Args:
        message: what does not work and how that was noticed.
        remedy: one sentence telling the user what to do about it ("" when nothing can be done).
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}. {remedy}" if remedy else message)
        self.remedy = remedy


class CaptureLost(TrayAgentError):
    """The screen or sound source stopped delivering."""


class SessionError(TrayAgentError):
    """A session folder can't be read or written."""


class ImportFailed(TrayAgentError):
    """A recording of another program, or a part of it, can't be used."""


class ExportFailed(TrayAgentError):
    """Sessions can't be written in another program's format."""


class BundleError(TrayAgentError):
    """A bundle is missing, damaged, or does not fit the game."""


class NotArmed(TrayAgentError):
    """Playing was refused or has been stopped."""


class GuardLost(TrayAgentError):
    """The guard process died or does not answer."""


class WorkerFailed(TrayAgentError):
    """A background worker ended with an exception."""


class DaemonUnreachable(TrayAgentError):
    """No daemon answers on the control socket."""


class AlreadyRunning(TrayAgentError):
    """Another daemon of the same user is running."""

"""Entry of the tray's process: `python -m tray_agent.clients.tray --socket PATH`. Main thread.

Exit codes are those of `tray-agent`; what happens is told as JSON lines on stderr (see events).
"""

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

import psutil

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.tray import backend, hosts
from tray_agent.clients.tray.events import EventHandler, tell
from tray_agent.clients.tray.link import DaemonLink
from tray_agent.clients.tray.tray import Tray
from tray_agent.errors import PlatformUnavailable
from tray_agent.runtime.local_socket import connect
from tray_agent.settings import paths

_HOST_POLL_S = 1.0
_TEMPORARY = "icon-"
_NO_HOST = (
    "no program shows tray icons here (GNOME needs the AppIndicator extension); waiting for one. "
    "All of it works without: tray-agent watch, play, stop, status, and the hotkeys"
)


def main(arguments: list[str] | None = None) -> int:
    """Show the icon until the daemon ends; returns an exit code."""
    parser = argparse.ArgumentParser(prog="python -m tray_agent.clients.tray", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="the daemon's control socket")
    parser.add_argument("--no-wait", action="store_true", help="end when nothing shows tray icons, instead of waiting")
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)  # restarted: all has been told
    options = parser.parse_args(arguments)
    logging.getLogger().handlers = [EventHandler()]
    if not hosts.has_display():
        tell("unavailable", "there is no graphical session (DISPLAY is not set), so there is no tray icon")
        return ExitCode.UNAVAILABLE
    if not _alive(options.socket):
        tell("gone", f"no daemon listens at {options.socket}")
        return ExitCode.NO_DAEMON
    host = _wait_for_host(options)
    if host is None:
        return ExitCode.UNAVAILABLE if options.no_wait else ExitCode.NO_DAEMON
    _use_own_temporary_folder()
    return _run(options, host)


def _alive(socket: Path) -> bool:
    try:
        connect(socket).close()
    except OSError:
        return False
    return True


def _wait_for_host(options: argparse.Namespace) -> hosts.Host | None:
    """The first host that appears; None when the daemon ends before, or with --no-wait."""
    told = options.again
    while (host := hosts.find()) is None:
        if not told:
            tell("no-host", _NO_HOST)
            told = True
        if options.no_wait or not _alive(options.socket):
            return None
        time.sleep(_HOST_POLL_S)
    return host


def _run(options: argparse.Namespace, host: hosts.Host) -> int:
    try:
        pystray, name = backend.load(host.kind)
    except PlatformUnavailable as error:
        tell("unavailable", str(error))
        return ExitCode.UNAVAILABLE
    if name == "xorg":
        tell("no-menu", "the icon has no menu, a left click watches or stops. " + backend.MENU_REMEDY)
    tray = Tray(DaemonLink(options.socket), pystray, name, paths.data_folder, paths.user_app, _leave)
    watch = _HostWatch(host, options.socket)
    tray.run(watch)
    if tray.exit_code is None:
        watch.restart()
    return tray.exit_code or ExitCode.OK


class _HostWatch:
    """Starts this process anew when its host has gone: no backend moves to another host reliably."""

    def __init__(self, host: hosts.Host, socket: Path) -> None:
        self._host = host
        self._socket = socket
        self._next = 0.0

    def __call__(self) -> None:
        """Look, at most once a second."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _HOST_POLL_S
        if hosts.find() != self._host:
            self.restart()

    def restart(self) -> NoReturn:
        """Become a fresh process of the same number."""
        tell("host-lost", "the program that showed the icon has gone or changed")
        command = [sys.executable, "-m", "tray_agent.clients.tray", "--socket", str(self._socket), "--again"]
        _remove_temporary_folder()
        os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted


def _use_own_temporary_folder() -> None:
    """pystray leaves icon files in the temporary folder: give it one of ours, and clear those of killed processes."""
    parent = paths.runtime_folder()
    for old in parent.glob(_TEMPORARY + "*"):
        number = old.name.removeprefix(_TEMPORARY)
        if not (number.isdigit() and psutil.pid_exists(int(number))):
            shutil.rmtree(old, ignore_errors=True)
    own = parent / f"{_TEMPORARY}{os.getpid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    tempfile.tempdir = str(own)


def _remove_temporary_folder() -> None:
    folder, tempfile.tempdir = tempfile.tempdir, None
    if folder is not None and Path(folder).name.startswith(_TEMPORARY):
        shutil.rmtree(folder, ignore_errors=True)


def _leave(code: int) -> None:
    """End without Python's shutdown, which GTK's and pystray's leftovers may block or crash."""
    _remove_temporary_folder()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())

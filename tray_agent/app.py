"""The composition root: the only place that puts concrete desktops and the daemon together."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock

from tray_agent.core import keys
from tray_agent.core.clock import MonotonicClock
from tray_agent.core.desktop import Desktop
from tray_agent.daemon.control import SOCKET_NAME
from tray_agent.daemon.daemon import Daemon, Folders
from tray_agent.errors import AlreadyRunning, PlatformUnavailable
from tray_agent.runtime.log_file import LogFile
from tray_agent.runtime.tray_process import TrayProcess
from tray_agent.settings import paths
from tray_agent.settings.app import AppSettings
from tray_agent.settings.reload import SettingsWatcher
from tray_agent.settings.snapshot import Files, Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """What `tray-agent run` was asked for.

    Attributes:
        game: the one game to care for; "" follows the window in front.
        socket: of a packaged game that runs already; None for the real desktop.
        speed: of that packaged game.
        output: "keys" presses, "log" only writes what it would press.
        tray: whether to show the icon.
    """

    game: str = ""
    socket: Path | None = None
    speed: float = 1.0
    output: str = "keys"
    tray: bool = True


def socket_path() -> Path:
    """Where the daemon of this user listens."""
    return paths.runtime_folder() / SOCKET_NAME


def folders(app: AppSettings) -> Folders:
    """Where this user's things are kept."""
    data = paths.data_folder()
    return Folders(
        sessions=app.folders.data or data / "sessions",
        models=app.folders.models or data / "models",
        checkpoints=paths.state_folder() / "checkpoints",
        socket=socket_path(),
    )


def real_desktop(app: AppSettings) -> Desktop:
    """The desktop of this machine.

    Raises:
        PlatformUnavailable: there is none that can be used.
    """
    systems = {"win32": _windows_desktop, "darwin": _mac_desktop}
    if sys.platform in systems:
        return systems[sys.platform](app)
    if os.environ.get("DISPLAY"):
        return _x11_desktop(app)
    if os.environ.get("WAYLAND_DISPLAY"):
        raise PlatformUnavailable(
            "this is a Wayland session without XWayland", "Log in to an X11 session; Wayland is not supported yet"
        )
    raise PlatformUnavailable(
        "there is no display (DISPLAY is not set)", "Start it from a desktop session, or try: tray-agent demo"
    )


def _x11_desktop(app: AppSettings) -> Desktop:
    from tray_agent.platforms.sound.choose import make_audio_source
    from tray_agent.platforms.x11.inputs import X11InputSource
    from tray_agent.platforms.x11.screen import X11ScreenSource
    from tray_agent.platforms.x11.window import X11WindowProbe

    clock = MonotonicClock()
    return Desktop(
        name="x11",
        screen=lambda spec: X11ScreenSource((spec.frame_width, spec.frame_height), clock=clock),
        inputs=X11InputSource,
        window=X11WindowProbe,
        audio=lambda: make_audio_source(clock, app.audio_device),
        guard_backend="x11",
        guard_options={"third_party": app.third_party_input},
        clock=clock,
    )


def _windows_desktop(app: AppSettings) -> Desktop:
    from tray_agent.platforms.sound.choose import make_audio_source
    from tray_agent.platforms.win32.inputs import Win32InputSource
    from tray_agent.platforms.win32.screen import Win32ScreenSource
    from tray_agent.platforms.win32.window import Win32WindowProbe

    clock = MonotonicClock()
    return Desktop(
        name="win32",
        screen=lambda spec: Win32ScreenSource((spec.frame_width, spec.frame_height), clock=clock),
        inputs=lambda: Win32InputSource(clock),
        window=Win32WindowProbe,
        audio=lambda: make_audio_source(clock),
        guard_backend="win32",
        guard_options={"third_party": app.third_party_input},
        clock=clock,
    )


def _mac_desktop(app: AppSettings) -> Desktop:
    """Best effort: never run on a Mac."""
    from tray_agent.platforms.darwin.inputs import DarwinInputSource
    from tray_agent.platforms.darwin.screen import DarwinScreenSource
    from tray_agent.platforms.darwin.window import DarwinWindowProbe
    from tray_agent.platforms.sound.choose import make_audio_source

    clock = MonotonicClock()
    return Desktop(
        name="darwin",
        screen=lambda spec: DarwinScreenSource((spec.frame_width, spec.frame_height), clock=clock),
        inputs=lambda: DarwinInputSource(clock),
        window=DarwinWindowProbe,
        audio=lambda: make_audio_source(clock, app.audio_device),
        guard_backend="darwin",
        guard_options={"third_party": app.third_party_input},
        clock=clock,
    )


def with_pads(desktop: Desktop) -> Desktop:
    """The same desktop, on which pads are heard and pressed as well."""
    from tray_agent.platforms.pad.with_pads import WithPads

    options = {**desktop.guard_options, "pad": {"press": True}}
    return replace(desktop, inputs=lambda: WithPads(desktop.inputs()), guard_options=options)


def environment_desktop(game_socket: Path, speed: float, has_sound: bool) -> Desktop:
    """A packaged game that runs in its own process, as a desktop.

    Args:
        game_socket: where the game listens.
        speed: how fast it runs.
        has_sound: whether it gives sound.
    """
    from tray_agent.platforms.env.clients import EnvAudio, EnvInputs, EnvScreen, EnvWindowProbe

    return Desktop(
        name="env",
        screen=lambda spec: EnvScreen(game_socket, spec.frame_width, spec.frame_height),
        inputs=lambda: EnvInputs(game_socket),
        window=lambda: EnvWindowProbe(game_socket),
        audio=(lambda: EnvAudio(game_socket)) if has_sound else None,
        no_audio="" if has_sound else "this game has no sound",
        guard_backend="env",
        guard_options={"socket_path": str(game_socket)},
        speed=speed,
    )


def only_logging(desktop: Desktop, path: Path) -> Desktop:
    """The same desktop, but nothing is pressed: what would be goes to a JSONL file."""
    hearing = {"backend": desktop.guard_backend, "options": dict(desktop.guard_options)}
    return replace(desktop, guard_backend="log", guard_options={"path": str(path), "hearing": hearing})


def run_daemon(options: RunOptions, tell: Callable[[str], None]) -> None:
    """Run the daemon in this process until it is told to quit; `tell` gets a few lines once it is ready.

    Raises:
        AlreadyRunning: another one of this user runs.
        SettingsError: the configuration has mistakes.
        UnknownGame: it has no game of that name.
        PlatformUnavailable: this machine has no desktop it can use.
    """
    with _single_instance():
        settings = SettingsWatcher(Files.standard())
        started = settings.start()
        if options.game:
            started.game(options.game)
        app = started.app
        logging.getLogger().addHandler(LogFile(paths.state_folder() / "daemon.log"))
        desktop = _desktop_of(options, started)
        daemon = Daemon(desktop, settings, folders(app), options.game)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: daemon.request_quit())
        tray = TrayProcess(socket_path())
        try:
            daemon.start()
            if options.tray and app.tray:
                tray.start()
            _log.info("ready on %s; socket %s", desktop.name, socket_path())
            tell(_greeting(app, options))
            daemon.run()
        finally:
            daemon.close()
            tray.close()


def _greeting(app: AppSettings, options: RunOptions) -> str:
    hotkeys = {name: " + ".join(held) for name, held in app.hotkeys.as_dict().items()}
    lines = [
        "Tray Agent is ready. Bring a game to the front, then press",
        f"  {hotkeys['watch']}  to have it watch and learn (again: stop watching)",
        f"  {hotkeys['play']}  to hand the game over; touch anything to take it back",
        f"  {hotkeys['kill']}  to let go of every key, whatever happens",
        "End it with Ctrl+C here, or: tray-agent quit",
    ]
    if options.output == "log":
        lines.insert(0, f"Nothing will be pressed; what would be goes to {would_press()}")
    return "\n".join(lines)


def would_press() -> Path:
    """Where a daemon that presses nothing writes what it would press."""
    return paths.state_folder() / "would-press.jsonl"


def _desktop_of(options: RunOptions, settings: Settings) -> Desktop:
    if options.socket is not None:
        from tray_agent.platforms.env.messages import sound_path

        desktop = environment_desktop(options.socket, options.speed, sound_path(options.socket).exists())
    else:
        desktop = real_desktop(settings.app)
        # each reader is a process, and a pad plugged in is seen by every program: only where a windowed game needs it
        windows = [game for game in settings.games.values() if game.environment is None]
        if any(keys.PAD.intersection(game.controls.names) for game in windows):
            desktop = with_pads(desktop)
    if options.output == "log":
        return only_logging(desktop, would_press())
    return desktop


@contextlib.contextmanager
def _single_instance() -> Iterator[None]:
    lock = filelock.FileLock(paths.runtime_folder() / "daemon.lock", blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise AlreadyRunning(
            "Tray Agent is running already. See: tray-agent status - or end it with: tray-agent quit"
        ) from error
    try:
        yield
    finally:
        lock.release()


def release_all(backend: str, options: dict[str, Any]) -> list[str]:
    """Let go of whatever a killed guard left down; works with the daemon dead. Names released.

    Raises:
        PlatformUnavailable: the desktop can't be reached.
    """
    from tray_agent import guard_process

    return guard_process.release_all(backend, options)

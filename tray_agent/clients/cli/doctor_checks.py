"""The checks of `tray-agent doctor`: each tries one thing for real and says what it did. Main thread.

Nothing is left behind: no key stays down, no hotkey reserved, no file on disk.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypedDict

from tray_agent import app, guard_process
from tray_agent.core.controls import Controls
from tray_agent.core.desktop import Desktop
from tray_agent.core.policy import PolicySpec
from tray_agent.daemon.control import ControlServer
from tray_agent.errors import PlatformUnavailable, SettingsError, TrayAgentError
from tray_agent.runtime.local_socket import connect
from tray_agent.settings import paths
from tray_agent.settings.app import AppSettings
from tray_agent.settings.snapshot import load_settings

State = Literal["works", "degraded", "missing"]
_TRAY_S = 8.0
_TORCH_S = 120.0
_NEED_MB, _WANT_MB = 500, 5000
_TRY_AGAIN = "Start Tray Agent from the desktop session you play in"


class Check(TypedDict):
    """One line: what was tried, how it went, and what to do about it ("" when nothing)."""

    name: str
    state: str
    tried: str
    remedy: str


def line(name: str, state: State, tried: str, remedy: str = "") -> Check:
    """A line of the report."""
    return Check(name=name, state=state, tried=tried, remedy=remedy)


def failed(name: str, error: Exception) -> Check:
    """The line of a check that raised: never a traceback, never the end of the other checks."""
    if isinstance(error, PlatformUnavailable):
        return line(name, "missing", str(error).removesuffix(error.remedy).strip(), error.remedy)
    if isinstance(error, TrayAgentError):
        return line(name, "missing", str(error))
    return line(name, "missing", f"{type(error).__name__}: {error}", "Report this line, it is a fault of the program")


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """Run one check; whatever it raises becomes its line."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001  # one broken backend must not hide the others
        return failed(name, error)


def check_settings() -> tuple[Check, AppSettings]:
    """Read all configuration files; with mistakes, the defaults are used for the other checks."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return line("settings", "missing", str(error), "Mend the file; tray-agent games check explains"), AppSettings()
    return line("settings", "works", f"read the configuration, {len(settings.games)} games"), settings.app


def check_capture(desktop: Desktop) -> Check:
    """Grab two frames of the whole screen, reduced as for a policy."""
    screen = desktop.screen(PolicySpec(Controls(), 20.0, 96, 96))
    screen.start()
    try:
        screen.set_region(None)
        first = screen.grab()
        started = time.perf_counter()
        second = screen.grab()
        took_ms = (time.perf_counter() - started) * 1000
    finally:
        screen.close()
    height, width, _ = second.pixels.shape
    tried = f"grabbed two frames ({width}x{height} after reduction, {took_ms:.1f} ms each) on {desktop.name}"
    if second.t_ns <= first.t_ns:
        return line("capture", "missing", f"{tried}; their times do not advance", _TRY_AGAIN)
    if not second.pixels.any():
        return line("capture", "degraded", f"{tried}; all black", "Show anything, unlock the screen, and try again")
    fallback = str(getattr(screen, "fallback_reason", ""))
    if fallback:
        return line("capture", "degraded", f"{tried}; slower way, because {fallback}", "It works, only slower")
    return line("capture", "works", tried)


def check_window(desktop: Desktop) -> Check:
    """Ask which window is in front."""
    probe = desktop.window()
    probe.start()
    try:
        found = probe.active()
    finally:
        probe.close()
    if found is None:
        return line(
            "window in front", "degraded", "asked; no window is in front", "Bring a window to the front and try again"
        )
    return line("window in front", "works", f"{found.process or 'unknown process'}, {found.title!r}, at {found.rect}")


def check_keys(desktop: Desktop) -> list[Check]:
    """Key recording and key pressing, with a key that means nothing where the platform has one."""
    if desktop.name == "x11":
        from tray_agent.platforms.x11.check import check_keys as check_x11_keys

        return [line(r["name"], _state(r["state"]), r["tried"], r["remedy"]) for r in check_x11_keys()]
    source = desktop.inputs()
    source.start()
    try:
        heard = source.read(0.3)
    finally:
        source.close()
    told = f"the recorder started and heard {len(heard)} events in 0.3 s"
    state: State = "works" if heard else "degraded"
    remedy = "" if heard else "Press keys while doctor runs to see them counted"
    pressing = "not tried: every key here means something to some program"
    return [
        line("key recording", state, told, remedy),
        line("key pressing", "degraded", pressing, "Try it: tray-agent play"),
    ]


def _state(word: str) -> State:
    states: dict[str, State] = {"works": "works", "degraded": "degraded"}
    return states.get(word, "missing")


def check_guard(desktop: Desktop, settings: AppSettings) -> list[Check]:
    """Takeover detection and hotkeys: start the guard's backend, reserve the hotkeys, let go of them."""
    backend = guard_process.make_backend(desktop.guard_backend, desktop.guard_options)
    chords = settings.hotkeys.as_dict()
    running = daemon_runs()
    report = backend.start({} if running else chords)
    backend.close()
    deaf_remedy = "Connect a keyboard or mouse; without takeover, play is refused"
    takeover = line("takeover", "works", f"the guard ({desktop.guard_backend}) started and hears the player's devices")
    if not report.hears_player:
        takeover = line("takeover", "missing", f"the guard started, but {report.why_deaf}", deaf_remedy)
    names = ", ".join(f"{name} {'+'.join(chord)}" for name, chord in chords.items())
    if running:
        return [takeover, line("hotkeys", "works", f"held by the daemon that runs: {names}")]
    if not report.hotkey_problems:
        return [takeover, line("hotkeys", "works", f"reserved and given back: {names}")]
    problems = "; ".join(f"{name}: {problem}" for name, problem in report.hotkey_problems.items())
    remedy = f"Choose others under hotkeys in {paths.user_app()}"
    return [takeover, line("hotkeys", "missing", f"reserved {names}: {problems}", remedy)]


def daemon_runs() -> bool:
    """Whether this user's daemon answers (it then holds the hotkeys itself)."""
    try:
        connect(app.socket_path()).close()
    except OSError:
        return False
    return True


def check_sound() -> Check:
    """Record from the default output."""
    from tray_agent.platforms.sound.check import check

    result = check()
    return line("sound", _state(result["state"]), result["tried"], result["remedy"])


def check_pads() -> list[Check]:
    """Start the pad reader; plug a virtual pad in and out."""
    from tray_agent.platforms.pad.check import check_press, check_read

    def as_line(check: Callable[[], Any]) -> Check:
        result = check()
        return line(result["name"], _state(result["state"]), result["tried"], result["remedy"])

    return [
        guarded("pad reading", lambda: as_line(check_read)),
        guarded("pad pressing", lambda: as_line(check_press)),
    ]


def check_tray() -> Check:
    """Show the icon for a moment and see whether a tray really takes it."""
    with tempfile.TemporaryDirectory(prefix="ta-") as folder:
        socket = Path(folder) / "s"
        answer = {"ok": True, "status": {"mode": "idle", "detail": "doctor"}}
        server = ControlServer(socket, lambda _: answer)
        server.start()
        try:
            events = _tray_events(socket)
        finally:
            server.request_stop()
            server.join(2.0)
    told = {str(event.get("state")): str(event.get("message")) for event in events}
    if "shown" not in told:
        without = "Not needed: use the hotkeys and tray-agent watch, play, stop, status"
        reason = told.get("no-host") or told.get("unavailable") or f"no tray took the icon in {_TRAY_S:g} s"
        return line("tray", "missing", reason, without)
    if "no-menu" in told:
        return line("tray", "degraded", f"{told['shown']}; {told['no-menu']}", "Install what the line names")
    return line("tray", "works", told["shown"])


def _tray_events(socket: Path) -> list[dict[str, Any]]:
    """What the tray's process told until its icon was shown, it ended, or time was up."""
    command = [sys.executable, "-m", "tray_agent.clients.tray", "--socket", str(socket), "--no-wait"]
    events: list[dict[str, Any]] = []
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    timer = threading.Timer(_TRAY_S, child.kill)
    timer.start()
    try:
        assert child.stderr is not None  # noqa: S101  # a pipe was asked for
        for text in child.stderr:
            if text.startswith("{"):
                events.append(json.loads(text))
                if events[-1].get("state") == "shown":
                    break
    finally:
        timer.cancel()
        child.kill()
        child.communicate()
    return events


_TORCH = """
import json, torch
found = torch.cuda.is_available()
device = "cuda" if found else "cpu"
total = float((torch.ones(256, 256, device=device) @ torch.ones(256, 256, device=device)).sum())
name = torch.cuda.get_device_name() if found else ""
print(json.dumps({"version": torch.__version__, "gpu": name, "right": total == 256.0 ** 3}))
"""


def check_gpu() -> Check:
    """Multiply matrices with torch in a process of its own (it must not be loaded here)."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TORCH], capture_output=True, text=True, timeout=_TORCH_S, check=False
        )
        found = json.loads(done.stdout) if done.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return line("gpu", "missing", f"torch did not answer: {error}", "Run the installer again")
    if not found.get("right"):
        last = (done.stderr.strip().splitlines() or ["wrong result"])[-1]
        return line("gpu", "missing", f"torch failed: {last}", "Run the installer again")
    if not found["gpu"]:
        tried = f"torch {found['version']} multiplied on the CPU; it sees no NVIDIA GPU"
        return line("gpu", "degraded", tried, "Not needed: learning runs on the CPU. With one, update its driver")
    return line("gpu", "works", f"torch {found['version']} multiplied on {found['gpu']}")


def check_player() -> Check:
    """Run a network of one addition with onnxruntime, as play does."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "twice", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"x": np.array([1, 2], np.float32)})
    providers = ", ".join(onnxruntime.get_available_providers())
    tried = f"onnxruntime {onnxruntime.__version__} ran a small network; it offers {providers}"
    right = np.asarray(answer).tolist() == [2.0, 4.0]
    return line("player", "works", tried) if right else line("player", "missing", tried, "Run the installer again")


def check_disk(settings: AppSettings) -> Check:
    """Write a megabyte where sessions go, through to the disk, and see how much is free."""
    folder = settings.folders.data or paths.data_folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            started = time.perf_counter()
            file.write(os.urandom(1 << 20))
            file.flush()
            os.fsync(file.fileno())
            took_ms = (time.perf_counter() - started) * 1000
    except OSError as error:
        return line("disk", "missing", f"{folder} can't be written: {error}", "Free space, or set folders.data")
    free_mb = shutil.disk_usage(folder).free // 10**6
    tried = f"wrote 1 MB to {folder} in {took_ms:.0f} ms; {free_mb / 1000:.1f} GB are free"
    state: State = "works" if free_mb >= _WANT_MB else "degraded" if free_mb >= _NEED_MB else "missing"
    return line("disk", state, tried, "" if state == "works" else "Free some space, or set folders.data elsewhere")

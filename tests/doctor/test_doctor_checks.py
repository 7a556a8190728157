"""`tray-agent doctor` on real desktops, and without any: every line is tried, none is left behind."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from x11_desktop import keys_down, open_window, wait_until

from tray_agent.clients.cli import doctor_checks
from tray_agent.clients.cli.doctor import NEEDED
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.check import check_keys, unused_keycode
from tray_agent.platforms.x11.inputs import X11InputSource
from tray_agent.settings.app import AppSettings

EVERY = {*NEEDED, "window in front", "sound", "tray", "gpu", "pad reading", "pad pressing"}


def doctor(home: Path, *options: str, **environment: str) -> tuple[int, str, str]:
    """Run the real command; (exit code, stdout, stderr)."""
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS")}
    env |= {"TRAY_AGENT_HOME": str(home), "XDG_RUNTIME_DIR": str(home), "COLUMNS": "140"} | environment
    command = [sys.executable, "-m", "tray_agent", "doctor", *options]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout, done.stderr


def lines_of(output: str) -> dict[str, Any]:
    return {check["name"]: check for check in json.loads(output)["checks"]}


@pytest.fixture
def game_window(window_manager: str) -> Iterator[None]:
    """A bright window in front."""
    with contextlib.closing(connection.open_display(window_manager)) as display:
        window = open_window(display, "Some Game", colour=0x40C080)
        atom = display.get_atom("_NET_ACTIVE_WINDOW")
        root = display.screen().root
        wait_until(lambda: (p := root.get_full_property(atom, 0)) and window.id in p.value, 5, "the focus")
        yield


@pytest.mark.x11
@pytest.mark.slow
def test_a_whole_desktop(tray_host: str, game_window: None, tmp_path: Path) -> None:
    """On a desktop with window manager, tray and a person's devices all that is needed works; one JSON object."""
    code, out, err = doctor(tmp_path, "--json", DISPLAY=tray_host)
    lines = lines_of(out)
    assert code == 0, lines
    assert set(lines) == EVERY
    for name in (*NEEDED, "window in front"):
        assert lines[name]["state"] == "works", lines[name]
    assert "Some Game" in lines["window in front"]["tried"]
    assert lines["tray"]["state"] in ("works", "degraded"), lines["tray"]
    assert all(line["remedy"] for line in lines.values() if line["state"] != "works")
    assert "Traceback" not in err


@pytest.mark.slow
def test_no_desktop_at_all(tmp_path: Path) -> None:
    """Without DISPLAY each line that needs one says so and how to mend it; the exit code tells scripts."""
    code, out, err = doctor(tmp_path)
    assert code == 6
    assert out.count("DISPLAY is not set") >= 6
    assert "tray-agent demo" in out
    assert "Traceback" not in err + out


@pytest.mark.x11
def test_pressed_key_is_heard_and_let_go(flat_display: str) -> None:
    """The harmless key goes down and up and is heard twice; afterwards nothing is down."""
    recording, pressing = check_keys()
    assert (recording["state"], pressing["state"]) == ("works", "works"), (recording, pressing)
    assert "2 of 2" in recording["tried"]
    with contextlib.closing(connection.open_display(None)) as display:
        assert keys_down(display) == set()


@pytest.mark.x11
def test_pressed_key_means_nothing(flat_display: str) -> None:
    """The key has no symbol, no modifier's role, and no name that a profile could map."""
    with contextlib.closing(connection.open_display(None)) as display:
        code = unused_keycode(display)
        assert code is not None
        assert all(display.keycode_to_keysym(code, level) == 0 for level in range(4))
    ears = X11InputSource()
    ears.start()
    try:
        check_keys()
        assert ears.read(0.3) == []
    finally:
        ears.close()


@pytest.mark.x11
def test_full_keymap_is_not_pressed(flat_display: str) -> None:
    """Where every keycode has a symbol, none is pressed and the line says so."""
    with contextlib.closing(connection.open_display(None)) as display:
        while (code := unused_keycode(display)) is not None:
            display.change_keyboard_mapping(code, [(0x61,)])
            display.sync()
        recording, pressing = check_keys()
    assert (recording["state"], pressing["state"]) == ("degraded", "degraded")
    assert "none was pressed" in pressing["tried"]


@pytest.mark.x11
def test_hotkeys_taken_by_another_program(display: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hotkey that another program holds is named; once given back it is free again."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path))
    desktop = doctor_checks.app.real_desktop(AppSettings())
    other = doctor_checks.guard_process.make_backend("x11", {})
    other.start({"kill": AppSettings().hotkeys.kill})
    try:
        takeover, hotkeys = doctor_checks.check_guard(desktop, AppSettings())
    finally:
        other.close()
    assert takeover["state"] == "works"
    assert hotkeys["state"] == "missing"
    assert "kill: taken by another program" in hotkeys["tried"]
    assert str(tmp_path) in hotkeys["remedy"]
    assert doctor_checks.check_guard(desktop, AppSettings())[1]["state"] == "works"


def test_broken_settings_are_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A mistake in the user's file is the settings line, with its place; the other checks use the defaults."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tray_agent.yaml").write_text("hotkeys:\n  kil: ctrl+alt+k\n")
    line, settings = doctor_checks.check_settings()
    assert line["state"] == "missing"
    assert "tray_agent.yaml:2" in line["tried"]
    assert settings == AppSettings()


def test_disk_that_cannot_be_written(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told with the folder, not a traceback."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(small_disk / "home"))
    with (small_disk / "filler").open("wb") as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(1 << 16))
            filler.flush()
    line = doctor_checks.guarded("disk", lambda: doctor_checks.check_disk(AppSettings()))
    assert line["state"] == "missing"
    assert str(small_disk) in line["tried"]


def test_a_check_that_crashes_is_one_line() -> None:
    """A fault in one check is its own line and hides no other."""

    def crash() -> doctor_checks.Check:
        raise ZeroDivisionError("oops")

    line = doctor_checks.guarded("sound", crash)
    assert (line["name"], line["state"]) == ("sound", "missing")
    assert "ZeroDivisionError: oops" in line["tried"]


@pytest.mark.slow
def test_torch_and_onnxruntime_really_compute() -> None:
    """Both lines come from a computation whose result was checked."""
    assert doctor_checks.check_player()["state"] == "works"
    gpu = doctor_checks.check_gpu()
    assert "multiplied" in gpu["tried"]

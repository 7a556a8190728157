"""The live window of a packaged game, on a real X server."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tray_agent.core.events import InputEvent
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.env.clients import EnvInputs
from tray_agent.platforms.env.launch import EnvProcess
from tray_agent.platforms.env.live_window import control_of

DEADLINE_S = 40.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll until it holds."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.01)


@pytest.fixture
def display() -> Iterator[str]:
    """An X server of our own."""
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("needs Xvfb and xdotool")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as number:
            yield f":{number.readline().strip()}"
    finally:
        server.terminate()
        server.wait(DEADLINE_S)


@pytest.mark.x11
def test_keys_pressed_in_the_window_are_the_players(
    display: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real key press in the shown window arrives as the physical player's."""
    monkeypatch.setenv("DISPLAY", display)
    game = EnvProcess("doom-health", tmp_path / "g", player="none", window=True)
    game.start()
    inputs = EnvInputs(tmp_path / "g")
    try:
        inputs.start()
        find = ["xdotool", "search", "--onlyvisible", "--class", "tray-agent-env"]
        until(lambda: subprocess.run(find, capture_output=True).returncode == 0, "the window is there")
        window = subprocess.run(find, capture_output=True, text=True).stdout.split()[0]
        subprocess.run(["xdotool", "windowfocus", "--sync", window], check=True)
        events: list[InputEvent] = []
        again_at = 0.0

        def heard() -> bool:
            nonlocal again_at
            if not events and time.monotonic() > again_at:  # a press before the window knows of its focus is lost
                subprocess.run(["xdotool", "key", "Left"], check=True)
                again_at = time.monotonic() + 3.0
            events.extend(inputs.read(0.05))
            return len(events) >= 2

        until(heard, "the key is heard")
    finally:
        inputs.close()
        game.close()
    assert [(e.control, e.value, e.device, e.own) for e in events[:2]] == [
        ("ArrowLeft", 1.0, "player", False),
        ("ArrowLeft", 0.0, "player", False),
    ]


def test_window_without_display_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for a window where no display exists, the game says so and how to go on."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(PlatformUnavailable, match="Leave --window out"):
        EnvProcess("skiing", tmp_path / "g", window=True).start()


def test_key_names_of_the_window_are_controls() -> None:
    """Letters, digits, arrows and modifiers have their control; others have none."""
    names = ("a", "7", "left", "left ctrl", "space", "volume up", "é")
    assert [control_of(name) for name in names] == ["KeyA", "Digit7", "ArrowLeft", "ControlLeft", "Space", "", ""]

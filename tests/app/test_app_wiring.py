"""What the composition root puts together: pads where a game needs them, settings handed to the guard."""

import os
import sys
from pathlib import Path

import pytest
from x11_desktop import wait_until

from tray_agent import app, guard_process
from tray_agent.guard.client import GuardClient
from tray_agent.guard.protocol import Armed, Game, Hello, Refused
from tray_agent.platforms.pad import press
from tray_agent.platforms.pad.with_pads import WithPads
from tray_agent.platforms.x11.inputs import X11InputSource
from tray_agent.settings import paths
from tray_agent.settings.app import AppSettings
from tray_agent.settings.snapshot import Files, Settings, load_settings

KILL = {"kill": ("ControlLeft", "AltLeft", "KeyK")}
PAD_GAME = """
games:
  racer:
    vector: 900
    match: {process: racer}
    rate_hz: 20
    controls: {pad: {buttons: [PadA], axes: [PadLX]}}
"""


def settings(folder: Path, games: str) -> Settings:
    """The shipped settings and a user's games."""
    shipped = paths.shipped_folder()
    user = folder / "games.yaml"
    user.write_text(games)
    return load_settings(Files(shipped / "games.yaml", shipped / "tray_agent.yaml", user, folder / "none.yaml"))


@pytest.mark.skipif(sys.platform != "linux", reason="the X11 desktop is chosen on Linux only")
def test_pads_are_used_only_where_a_game_needs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a pad in any profile neither reader nor virtual pad is started; with one, both are."""
    monkeypatch.setenv("DISPLAY", ":nowhere")
    with_pad = app._desktop_of(app.RunOptions(), settings(tmp_path, PAD_GAME))
    assert isinstance(with_pad.inputs(), WithPads)
    assert with_pad.guard_options["pad"] == {"press": True}
    keys_game = PAD_GAME.replace("pad: {buttons: [PadA], axes: [PadLX]}", "keys: [left]")
    keys_only = app._desktop_of(app.RunOptions(), settings(tmp_path, keys_game))
    assert isinstance(keys_only.inputs(), X11InputSource)
    assert "pad" not in keys_only.guard_options


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
def test_each_system_has_a_desktop_whose_guard_can_be_made(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The desktop of every system is wired: its ports can be made, and its guard takes the options it is given."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("DISPLAY", ":nowhere")
    desktop = app.real_desktop(AppSettings(third_party_input="ignore"))
    monkeypatch.undo()
    assert desktop.name == desktop.guard_backend == {"linux": "x11"}.get(platform, platform)
    assert desktop.guard_options == {"third_party": "ignore"}
    Hello.from_json(Hello(desktop.guard_backend, KILL, desktop.guard_options).to_json())
    guard_process.make_backend(desktop.guard_backend, desktop.guard_options).close()
    desktop.window().close()
    desktop.inputs().close()


@pytest.mark.x11
@pytest.mark.skipif(os.access(press.UINPUT, os.W_OK), reason="a virtual pad can be made here")
def test_a_pad_game_is_refused_and_others_are_played(flat_display: str) -> None:
    """A real guard where no virtual pad is possible: the pad's game is refused with the remedy, another is played."""
    pytest.importorskip("pygame")
    options = {"display_name": flat_display, "pad": {"press": True}}
    guard = GuardClient(Hello("x11", KILL, options))
    report = guard.start().report
    try:
        assert report.hears_player
        assert "virtual pad" in report.no_pad
        assert "uinput" in report.no_pad
        guard.set_game(Game(buttons=("PadA",)))
        guard.ask_permit()
        refused: list[Refused] = []
        wait_until(
            lambda: refused.extend(e for e in guard.poll(0.05) if isinstance(e, Refused)) or len(refused) >= 2,
            what="two refusals",
        )
        assert [event.what for event in refused] == ["game", "permit"]
        assert all(report.no_pad in event.reason for event in refused)
        guard.set_game(Game(buttons=("KeyW",)))
        guard.ask_permit()
        wait_until(lambda: any(isinstance(e, Armed) for e in guard.poll(0.05)), what="a permit for the other game")
    finally:
        guard.request_stop()
        assert guard.join(5.0)

"""tray_agent.yaml: hotkeys that can work, folders, limits."""

from pathlib import Path

import pytest

from tray_agent.core.controls import Controls
from tray_agent.settings.app import AppSettings
from tray_agent.settings.hotkeys import parse_hotkey
from tray_agent.settings.load import check_text


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("ctrl+alt+k", ("ControlLeft", "AltLeft", "KeyK")),
        (" Alt + CTRL + w ", ("ControlLeft", "AltLeft", "KeyW")),
        ("k+ctrl", ("ControlLeft", "KeyK")),
        ("shift+F9", ("ShiftLeft", "F9")),
        ("rctrl+rshift+esc", ("ControlRight", "ShiftRight", "Escape")),
    ],
)
def test_hotkey_is_read(written: str, keys: tuple[str, ...]) -> None:
    """Modifiers come first, in a fixed order, and the ordinary key last."""
    assert parse_hotkey(written) == keys
    assert parse_hotkey(parse_hotkey(written)) == keys


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("kill: ctrl+alt+foo", "2:9: hotkeys.kill: unknown key 'foo'."),
        ("kill: F12", "2:3: hotkeys.kill: kill is a single key. Take two or more, for example ctrl+alt+k."),
        ("kill: k", "2:9: hotkeys.kill: 'k' would fire while typing. Add ctrl or alt."),
        ("kill: shift+k", "2:9: hotkeys.kill: 'shift+k' would fire while typing."),
        ("kill: ctrl+alt", "2:9: hotkeys.kill: 'ctrl+alt' has 0 keys besides ctrl, alt and shift."),
        ("kill: ctrl+a+b", "2:9: hotkeys.kill: 'ctrl+a+b' has 2 keys besides"),
        ("kill: ctrl+ctrl+k", "2:9: hotkeys.kill: 'ctrl+ctrl+k' names a key twice."),
        ("kill: ctrl++k", "2:9: hotkeys.kill: a key is missing beside a '+'."),
        ("kill: super+k", "2:9: hotkeys.kill: MetaLeft may never be pressed"),
        ("kill: alt+F4", "2:9: hotkeys.kill: 'alt+F4' belongs to the system."),
        ("kill: ctrl+alt+del", "2:9: hotkeys.kill: 'ctrl+alt+del' belongs to the system."),
        ("kill: ctrl+alt+F1", "2:9: hotkeys.kill: 'ctrl+alt+F1' belongs to the system."),
        ("kill: ctrl+MouseLeft", "2:9: hotkeys.kill: MouseLeft is no key."),
        ("kill: 5", "2:9: hotkeys.kill: not a hotkey."),
        ("kill:", "2:8: hotkeys.kill: not a hotkey."),
        ("play: ctrl+alt+w", "2:3: hotkeys.play: pressing play also presses watch. Take different keys."),
        ("kill: ctrl+alt+shift+p", "2:3: hotkeys.kill: pressing kill also presses play."),
    ],
)
def test_hotkey_that_can_not_work_is_refused(line: str, expected: str) -> None:
    """A hotkey that is nonsense, clashes, or could not be relied on is refused at its place."""
    _, problems = check_text(f"hotkeys:\n  {line}\n".encode(), "f", AppSettings)
    assert len(problems) == 1
    assert str(problems[0]).startswith(f"f:{expected}")


def test_hotkeys_within_controls_are_told() -> None:
    """A game whose controls contain all keys of a hotkey is noticed."""
    hotkeys = AppSettings().hotkeys
    assert hotkeys.within(Controls(("KeyK", "ControlLeft", "AltLeft", "KeyA"))) == ("kill",)
    assert hotkeys.within(Controls(("KeyK", "ControlLeft"))) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("folders: {data: sessions}", "1:17: folders.data: 'sessions' is not a full path."),
        ("folders: {data: ~no-such-user-here/x}", "1:17: folders.data: no such home folder"),
        ("limits: {ram_mb: 1}", "1:18: limits.ram_mb: should be greater than or equal to 16, but is 1."),
        ("lease_ms: 1000", "1:11: lease_ms: should be less than or equal to 250, but is 1000."),
        ("trainer: {nice: -5}", "1:17: trainer.nice: should be greater than or equal to 0, but is -5."),
        ("trainer: {shared: 2}", "1:19: trainer.shared: should be true or false, but is 2."),
        (
            "trainer: {adversarial: off}",
            "1:24: trainer.adversarial: should be 'none', 'chunks' or 'sessions', but is False.",
        ),
        ("third_party_input: both", "1:20: third_party_input: should be 'player' or 'ignore', but is 'both'."),
        ("tray: maybe", "1:7: tray: should be true or false, but is 'maybe'."),
        ("hotkey: {}", "1:1: hotkey: unknown key. Did you mean 'hotkeys'?"),
    ],
)
def test_mistake_in_the_app_file(text: str, expected: str) -> None:
    """Values out of range and unknown keys are refused at their place."""
    _, problems = check_text(text.encode(), "f", AppSettings)
    assert len(problems) == 1
    assert str(problems[0]).startswith(f"f:{expected}")


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """~ is the home folder, and on/off work for the tray."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    value, problems = check_text(b"folders: {data: ~/games}\ntray: off\n", "f", AppSettings)
    assert not problems
    assert value is not None
    assert value.folders.data == tmp_path / "games"
    assert value.tray is False

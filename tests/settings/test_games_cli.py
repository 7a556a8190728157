"""`tray-agent games ...`: what it prints, writes, and returns."""

import argparse
import json
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from x11_desktop import XServers, open_window, start_window_manager, wait_until

from tray_agent.clients.cli import games, new_game
from tray_agent.clients.cli.front_window import pick
from tray_agent.core.events import WindowInfo
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.window import X11WindowProbe
from tray_agent.settings.games import FrameSize, GamesFile
from tray_agent.settings.load import check_text
from tray_agent.settings.match import match
from tray_agent.settings.snapshot import load_settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of the program; its games.yaml is `home / "config" / "games.yaml"`."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*words: str) -> int:
    """Exit code of `tray-agent games ...`."""
    parser = argparse.ArgumentParser()
    games.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["games", *words])
    return int(args.run(args))


def test_list_as_json(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    """All games come as one object, with full control names and the user's file."""
    assert run("list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["yours"] == str(home / "config" / "games.yaml")
    rows = {row["name"]: row for row in found["games"]}
    assert rows["lbreakout2"]["controls"] == ["ArrowLeft", "ArrowRight", "Space"]
    assert len(rows["lbreakout2"]["vector8"]) == 8


def test_list_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Each game has its line, and the files are named."""
    assert run("list") == 0
    out = capsys.readouterr().out
    assert "doom" in out
    assert "games.yaml (none yet)" in out


def test_check_of_good_files(capsys: pytest.CaptureFixture[str]) -> None:
    """Without mistakes the exit code is 0, in both forms."""
    assert run("check") == 0
    assert "No mistakes" in capsys.readouterr().out
    assert run("check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []


def test_check_tells_every_mistake(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each mistake is one line file:line:column with remedy; the exit code is 3."""
    path = tmp_path / "mine.yaml"
    path.write_text("games:\n  g: {vector: 7000, match: {process: x}, controls: {keys: [lefft]}}\n")
    assert run("check", str(path)) == 3
    assert [line.split(": ")[0] for line in capsys.readouterr().out.splitlines()] == [f"{path}:2:15", f"{path}:2:60"]
    assert run("check", str(path), "--json") == 3
    found = json.loads(capsys.readouterr().out)
    assert [(p["line"], p["column"]) for p in found["problems"]] == [(2, 15), (2, 60)]
    assert found["problems"][1]["remedy"] == "Did you mean 'left'?"


def test_check_knows_the_app_file_by_name_or_content(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A tray_agent.yaml is checked as such, also under another name."""
    for name in ("tray_agent.yaml", "other.yaml"):
        path = tmp_path / name
        path.write_text("lease_ms: 1\n")
        assert run("check", str(path)) == 3
        assert f"{path}:1:11: lease_ms: " in capsys.readouterr().out


def test_check_of_a_missing_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that is not there is told like a mistake."""
    assert run("check", str(tmp_path / "none.yaml")) == 3
    assert "can't be read: No such file" in capsys.readouterr().out


def test_check_warns_of_hotkeys_in_controls(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    """A game that could press a hotkey by itself is noted, without failing."""
    assert run("add", "chords", "--process", "x", "--keys", "ctrl,alt,k") == 0
    capsys.readouterr()
    assert run("check") == 0
    assert "note: chords: the keys of the kill hotkey" in capsys.readouterr().out


def test_add_writes_a_profile_that_loads(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new file is private, has the schema line, and the game counts."""
    assert (
        run("add", "my-game", "--process", "my game*", "--keys", "w,1,left", "--region", "1,2,300,200", "--json") == 0
    )
    path = home / "config" / "games.yaml"
    assert json.loads(capsys.readouterr().out)["file"] == str(path)
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=file://")
    found = load_settings().game("my-game")
    assert found.controls.buttons == ("KeyW", "Digit1", "ArrowLeft")
    assert found.vector == 100
    assert found.region is not None
    assert found.region.rect == (1, 2, 300, 200)


@pytest.mark.parametrize("ending", ["\n", "", "\n\n# the end\n"])
@pytest.mark.parametrize("indent", [1, 2, 4])
def test_add_keeps_what_stands_there(home: Path, indent: int, ending: str) -> None:
    """Comments, order, indentation and endings of an edited file stay, and the new game is put behind them."""
    pad = " " * indent
    old = f"# mine\ngames:\n{pad}a: # first\n{pad}{pad}vector: 100\n{pad}{pad}match: {{process: x}}\n"
    old += f"{pad}{pad}controls: {{keys: [a]}}{ending}"
    path = home / "config" / "games.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(old)
    assert run("add", "b", "--process", "y") == 0
    assert path.read_text().startswith(old)
    assert list(load_settings().games)[:2] == ["a", "b"]
    assert load_settings().game("b").vector == 101


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("g", "--process", "x"), 5, "has a game 'g' already"),
        (("h", "--process", "x", "--vector", "100"), 3, "vector 100 already belongs to 'g'"),
        (("h", "--process", "x", "--keys", "lefft"), 3, "Did you mean 'left'?"),
        (("H h", "--process", "x"), 3, "can't be a game's name"),
        (("h",), 3, "Give process, title, or both."),
        (("h", "--process", "x", "--rate", "100"), 3, "should be less than or equal to 60"),
    ],
)
def test_refused_add_changes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, message: str
) -> None:
    """What can't be added is told with its own exit code, and the file stays as it was."""
    assert run("add", "g", "--process", "x") == 0
    path = home / "config" / "games.yaml"
    before = path.read_bytes()
    capsys.readouterr()
    assert run("add", *words, "--json") == code
    shown = capsys.readouterr()
    assert message in json.loads(shown.out)["error"]
    assert message in shown.err
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == ["games.yaml"]


@pytest.mark.parametrize("text", ["games: {}\n", "games:\n  a: [\n", "{games: {a: {vector: 100}}}\n"])
def test_file_that_can_not_be_appended_to_is_left_alone(
    home: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """A file in another form, or with mistakes, is not touched; the user is told what to do."""
    path = home / "config" / "games.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert run("add", "b", "--process", "y") == 3
    assert capsys.readouterr().err
    assert path.read_text() == text


def test_add_follows_a_link(home: Path, tmp_path: Path) -> None:
    """A games.yaml that is a link (into a folder of dotfiles) stays one; its target is replaced."""
    real = tmp_path / "dotfiles.yaml"
    link = home / "config" / "games.yaml"
    link.parent.mkdir(parents=True)
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("links can't be made on this system")
    assert run("add", "b", "--process", "y") == 0
    assert link.is_symlink()
    assert "process: y" not in real.read_text()[:10]
    assert load_settings().game("b").match is not None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_any_window_can_be_written(title: str) -> None:
    """Whatever a window calls itself, the profile made from it is valid and finds that program alone."""
    args = argparse.Namespace(
        name="g",
        process=None,
        title=None,
        environment=None,
        keys=None,
        mouse=False,
        region=None,
        rate=None,
        audio=False,
    )
    text = new_game.profile_text(args, WindowInfo(1, title, "t", (0, 0, 64, 48)), 100)
    model, problems = check_text(f"games:\n{textwrap.indent(text, '  ')}".encode(), "f", GamesFile)
    assert not problems
    assert model is not None
    assert match(WindowInfo(1, title, "t", (0, 0, 64, 48)), model.profiles().values()) is not None
    assert match(WindowInfo(1, title + "x", "t", (0, 0, 64, 48)), model.profiles().values()) is None


def test_shared_programs_are_told_by_title() -> None:
    """A window of java or python is told by its title as well, taken literally."""
    args = argparse.Namespace(
        name="g",
        process=None,
        title=None,
        environment=None,
        keys=None,
        mouse=False,
        region=None,
        rate=None,
        audio=False,
    )
    text = new_game.profile_text(args, WindowInfo(1, "java", "Mine (1.2)", (0, 0, 64, 48)), 100)
    assert r"match: {process: java, title: " + '"Mine\\\\ \\\\(1\\\\.2\\\\)"}' in text


@pytest.mark.parametrize(("flag", "key"), [([], "games"), (["--app"], "hotkeys")])
def test_schema_is_printed(capsys: pytest.CaptureFixture[str], flag: list[str], key: str) -> None:
    """Each file's schema comes as JSON."""
    assert run("schema", *flag) == 0
    assert key in json.loads(capsys.readouterr().out)["properties"]


def test_schema_is_written(tmp_path: Path) -> None:
    """Both schemas are written where the user says."""
    assert run("schema", "--write", str(tmp_path / "s")) == 0
    assert sorted(found.name for found in (tmp_path / "s").iterdir()) == ["games.schema.json", "tray_agent.schema.json"]


def test_which_without_a_display(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no display, that is said, with exit code 6."""
    if sys.platform != "linux":
        pytest.skip("every other system has its display always")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert run("which") == 6
    assert "DISPLAY" in capsys.readouterr().err


@pytest.mark.x11
def test_which_and_pick_on_a_real_display(
    x_servers: XServers, flat_display: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`which` tells the window in front and its game; `add --pick` takes the next window that comes to the front."""
    start_window_manager(x_servers, flat_display)
    screen = connection.open_display(flat_display)
    probe = X11WindowProbe(flat_display)
    probe.start()
    try:
        open_window(screen, "first")
        wait_until(lambda: (found := probe.active()) and found.title == "first", 10, "the first window")
        assert run("which", "--json") == 1
        shown = json.loads(capsys.readouterr().out)
        assert (shown["game"], shown["window"]["title"]) == (None, "first")
        command = [sys.executable, "-c", _ADD_PICKED]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as adding:
            try:
                assert adding.stderr is not None
                assert "Bring the game's window to the front" in adding.stderr.readline()
                open_window(screen, "My (new) game", (50, 50, 320, 240))
                out, err = adding.communicate(timeout=30)
            finally:
                adding.kill()
        assert adding.returncode == 0, err
        assert "# region: [0, 0, 320, 240]" in out
        assert run("which", "--json") == 0
        assert json.loads(capsys.readouterr().out)["game"] == "picked"
    finally:
        probe.close()
        connection.close(screen)


_ADD_PICKED = """
import argparse, sys
from tray_agent.clients.cli import games
parser = argparse.ArgumentParser()
games.add_parser(parser.add_subparsers())
args = parser.parse_args(["games", "add", "picked", "--pick"])
sys.exit(args.run(args))
"""


@pytest.mark.x11
def test_pick_gives_up(flat_display: str) -> None:
    """When nothing else comes to the front, picking ends with an error that says so."""
    probe = X11WindowProbe(flat_display)
    probe.start()
    try:
        with pytest.raises(PlatformUnavailable, match="no other window came to the front"):
            pick(probe, probe.active(), wait_s=0.2)
    finally:
        probe.close()


@pytest.mark.parametrize(
    ("window", "frame"),
    [((1920, 1080), (112, 63)), ((640, 480), (96, 72)), ((1280, 800), (104, 65)), ((1, 5000), None)],
)
def test_frames_have_the_shape_of_the_window(window: tuple[int, int], frame: tuple[int, int] | None) -> None:
    """About as many pixels whatever the shape, nothing squeezed; the oddest window still gets an allowed size."""
    size = FrameSize.shaped_like(*window)
    assert frame in {None, (size.width, size.height)}
    assert 0.8 < size.width * size.height / (96 * 72) < 1.25

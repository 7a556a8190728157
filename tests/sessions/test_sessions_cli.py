"""`tray-agent sessions ...`: what it prints, changes, refuses and returns."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from session_data import SILENT, SPEC, record

from tray_agent.clients.cli.main import main
from tray_agent.core.sample import TickFlag

OLD, NEW = "20260101T100000Z-aaaaaa", "20260102T100000Z-abbbbb"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of all sessions of an empty home."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "data" / "sessions"


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    """Exit code and JSON of `tray-agent sessions ...`."""
    code = main(["sessions", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_list_tells_how_each_ended(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole, cut off and growing sessions are told apart; damaged ones are listed with the reason; totals add up."""
    record(root / "game" / OLD, marks=[(3, 9, TickFlag.STRAYED)], extra={"recorder": "watch"})
    record(root / "game" / NEW, range(10))
    growing = record(root / "other" / "20260103T100000Z-cccccc", range(5), game="other", close=False)
    cut = root / "other" / "20260104T100000Z-dddddd"
    shutil.copytree(growing.folder, cut)
    (root / "other" / "broken").mkdir()
    code, found = ask(capsys, "list")
    assert code == 0
    states = {row["name"]: row["state"] for row in found["sessions"]}
    assert states == {OLD: "whole", NEW: "whole", growing.folder.name: "growing", cut.name: "cut off"}
    old = next(row for row in found["sessions"] if row["name"] == OLD)
    assert (old["ticks"], old["seconds"], old["takeovers"], old["recorder"]) == (40, 1.95, 1, "watch")
    assert old["bytes"] == sum(f.stat().st_size for f in (root / "game" / OLD).iterdir())
    assert found["total"]["ticks"] == sum(row["ticks"] for row in found["sessions"]) == 60
    assert [Path(folder).name for folder in found["damaged"]] == ["broken"]
    assert {row["name"] for row in ask(capsys, "list", "game")[1]["sessions"]} == {OLD, NEW}
    assert main(["sessions", "list"]) == 0
    printed = capsys.readouterr().out
    assert "cut off" in printed
    assert "sessions repair broken" in printed
    growing.close()


def test_nothing_recorded(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty home is no mistake, and nothing is made in it."""
    code, found = ask(capsys, "list")
    assert (code, found["sessions"], found["total"]["bytes"]) == (0, [], 0)
    assert not root.exists()
    assert ask(capsys, "show", "latest")[0] == 1


def test_show(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Use of controls, rate, holes, sound, takeovers with times and sizes are what was written."""
    ticks = [*range(20), *range(25, 40)]
    record(root / "game" / OLD, ticks, SPEC, marks=[(3, 9, TickFlag.STRAYED), (1, 2, TickFlag.CORRECTION)])
    code, found = ask(capsys, "show", "latest")
    assert code == 0
    assert (found["usable_ticks"], found["dropped"], found["pauses"], found["events"]) == (35, 5, 1, 35)
    assert found["paused_s"] == 0.3
    assert (found["rate_hz"], found["achieved_hz"]) == (50, 20.0)
    assert found["controls"]["KeyW"] == {"ticks": 18, "presses": 17}
    assert found["controls"]["KeyA"] == {"ticks": 35, "presses": 1}
    assert found["takeovers_s"] == [0.45]
    assert found["flags"]["STRAYED"] == 7
    assert found["sound_s"] == 2.0
    assert found["loudest"] == pytest.approx(0.39, abs=0.001)
    assert found["files"]["video.mkv"] == (root / "game" / OLD / "video.mkv").stat().st_size
    assert main(["sessions", "show", OLD[:5]]) == 0
    printed = capsys.readouterr().out
    assert "50 a second asked, 20 achieved, 5 dropped" in printed
    assert "takeovers 0:00" in printed


def test_which_session_is_meant(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folder, name, game/name, unique beginning, latest and GAME/latest; what is not unique is an error."""
    record(root / "game" / OLD, range(2))
    record(root / "game" / NEW, range(2))
    record(root / "other" / "20260103T100000Z-cccccc", range(2), game="other")
    wanted = {str(root / "game" / OLD): OLD, OLD: OLD, f"game/{OLD}": OLD, "20260101": OLD, "game/latest": NEW,
              "latest": "20260103T100000Z-cccccc", "other/2": "20260103T100000Z-cccccc"}  # fmt: skip
    assert {text: ask(capsys, "show", text)[1]["name"] for text in wanted} == wanted
    for text, why in (("2026", "may mean 3"), ("nothing", "no session 'nothing'"), ("", "no session"),
                      ("nogame/latest", "no session of nogame")):  # fmt: skip
        code, found = ask(capsys, "show", text)
        assert code == 1
        assert why in found["error"]


def test_keep(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A kept session says so with its note, is deleted only by force, and can be let go again."""
    record(root / "game" / OLD, range(3))
    assert ask(capsys, "keep", "latest", "--note", "won ünder par")[1]["kept"]
    row = ask(capsys, "list")[1]["sessions"][0]
    assert (row["kept"], row["note"]) == (True, "won ünder par")
    code, found = ask(capsys, "delete", "latest", "--yes")
    assert code == 5
    assert "--force" in found["error"]
    (root / "game" / OLD / "keep.json").write_text("{broken")
    assert ask(capsys, "delete", "latest", "--yes")[0] == 5
    assert not ask(capsys, "keep", "latest", "--off")[1]["kept"]
    assert ask(capsys, "delete", "latest", "--yes")[0] == 0
    assert list((root / "game").iterdir()) == []


def test_delete_needs_a_yes(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without --yes and without a terminal nothing is deleted; on a terminal only "y" does it."""
    record(root / "game" / OLD, range(3))
    assert ask(capsys, "delete", OLD)[0] == 5
    growing = record(root / "game" / NEW, range(3), close=False)
    code, found = ask(capsys, "delete", OLD, NEW, "--yes", "--force")
    assert code == 5
    assert "being written" in found["error"]
    growing.close()
    assert ask(capsys, "list")[1]["total"]["sessions"] == 2

    class Terminal:
        def __init__(self, typed: str) -> None:
            self.typed = typed

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return self.typed

    for typed, left in (("\n", 2), ("no\n", 2), ("y\n", 1)):
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        main(["sessions", "delete", OLD])
        assert "Delete " + OLD in capsys.readouterr().err
        assert ask(capsys, "list")[1]["total"]["sessions"] == left
    assert not (root / "game" / OLD).exists()


def test_silent_game_has_no_sound(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was recorded without sound says so, also a session without any tick."""
    record(root / "game" / OLD, (), SILENT)
    found = ask(capsys, "show", OLD)[1]
    assert (found["sound_s"], found["achieved_hz"], found["usable_ticks"]) == (None, None, 0)
    main(["sessions", "show", OLD])
    assert "not recorded" in capsys.readouterr().out

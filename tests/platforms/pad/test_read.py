"""Reading pads: names, the lines between the processes, unplugging, a reader that dies."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tray_agent.core.events import InputEvent
from tray_agent.core.keys import AXES, PAD_BUTTONS
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.pad import mapping
from tray_agent.platforms.pad.check import check_read
from tray_agent.platforms.pad.read import COMMAND, PadLines, PadSource

ADDED = {"added": 0, "name": "Some Pad", "guid": "", "own": False}


def button(control: str, value: float, pad: int = 0) -> dict[str, object]:
    return {"t_ns": 5, "pad": pad, "kind": "button", "control": control, "value": value}


def test_names_cover_the_vocabulary() -> None:
    """Every pad button and axis of the vocabulary has one SDL code, and unknown codes have none."""
    assert sorted(mapping.SDL_BUTTONS) == sorted(PAD_BUTTONS)
    assert mapping.SDL_AXES == AXES
    assert [mapping.button_name(c) for c in (-1, 15)] == [None, None]
    assert [mapping.axis_name(c) for c in (-1, 6)] == [None, None]


def test_sdl_codes_are_those_of_pygame() -> None:
    """The tables agree with the constants of the SDL that pygame brings."""
    pygame = pytest.importorskip("pygame")
    for name, code in {
        "PadA": "A", "PadB": "B", "PadX": "X", "PadY": "Y", "PadBack": "BACK", "PadGuide": "GUIDE",
        "PadStart": "START", "PadL3": "LEFTSTICK", "PadR3": "RIGHTSTICK", "PadLB": "LEFTSHOULDER",
        "PadRB": "RIGHTSHOULDER", "PadUp": "DPAD_UP", "PadDown": "DPAD_DOWN", "PadLeft": "DPAD_LEFT",
        "PadRight": "DPAD_RIGHT",
    }.items():  # fmt: skip
        assert mapping.button_name(getattr(pygame, f"CONTROLLER_BUTTON_{code}")) == name
    for name, code in zip(AXES, ("LEFTX", "LEFTY", "RIGHTX", "RIGHTY", "TRIGGERLEFT", "TRIGGERRIGHT"), strict=True):
        assert mapping.axis_name(getattr(pygame, f"CONTROLLER_AXIS_{code}")) == name


@pytest.mark.parametrize(("raw", "value"), [(-32768, -1.0), (32767, 1.0), (0, 0.0), (16384, 0.5), (100, 0.0)])
def test_axis_values(raw: int, value: float) -> None:
    """The ends are exactly -1 and 1, the middle exactly 0, and trembling is rounded away."""
    assert mapping.axis_value(raw) == pytest.approx(value)


def test_own_pad_is_known_by_its_guid() -> None:
    """The version in SDL's GUID tells our pad; a real one, or nonsense, is not ours."""
    assert mapping.is_own_guid("030000005e0400008e02000041540000")
    assert not mapping.is_own_guid("030000005e0400008e02000014010000")
    assert not mapping.is_own_guid("not a guid")


def test_repeats_are_dropped_and_unplugging_lets_go() -> None:
    """Only changes are events; a pad pulled out releases what it held, once."""
    lines = PadLines()
    lines.take(ADDED, 0)
    events = [e for v in (1.0, 1.0, 0.0, 1.0) for e in lines.take(button("PadA", v), 0)]
    assert [e.value for e in events] == [1.0, 0.0, 1.0]
    assert lines.take({"removed": 0}, 9) == [InputEvent(9, "button", "PadA", 0.0, "pad:0")]
    assert lines.take({"removed": 0}, 9) == []
    assert lines.pads == {}


def test_own_pad_is_not_heard() -> None:
    """What our virtual pad does is no event, and it is not listed."""
    lines = PadLines()
    lines.take({**ADDED, "added": 3, "own": True}, 0)
    assert lines.take(button("PadA", 1.0, pad=3), 0) == []
    assert lines.pads == {}


def until(check: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)


def script(folder: Path, *lines: dict[str, object], then: str) -> list[str]:
    """A program that says the lines, then does something."""
    text = "\n".join(json.dumps(line) for line in lines)
    path = folder / "reader.py"
    path.write_text(f"import sys, os\nprint({text!r}, flush=True)\n{then}\n")
    return [sys.executable, str(path)]


def test_events_come_through_the_process(tmp_path: Path) -> None:
    """Lines of a child arrive as events, damaged ones are reported and skipped, and close ends it all."""
    say = [{"ready": True}, ADDED, button("PadA", 1.0), {"pad": 0}, button("PadB", 1.0)]
    source = PadSource(script(tmp_path, *say, then="sys.stdin.read()"))
    source.start()
    heard: list[str] = []
    until(lambda: heard.extend(e.control for e in source.read(0.05)) or len(heard) == 2, "two events")
    assert heard == ["PadA", "PadB"]
    assert source.pads == ("Some Pad",)
    assert "strange" in source.problem
    source.close()
    source.close()


def test_reader_that_dies_lets_go_and_is_started_again(tmp_path: Path) -> None:
    """When the child dies, what was held is released, the reason is told, and another child is started."""
    source = PadSource(script(tmp_path, {"ready": True}, ADDED, button("PadA", 1.0), then="os._exit(7)"))
    source.start()
    heard: list[float] = []
    until(lambda: heard.extend(e.value for e in source.read(0.05)) or len(heard) >= 3, "press, release, press")
    assert heard[:3] == [1.0, 0.0, 1.0]
    source.close()


@pytest.mark.parametrize("then", ["os._exit(3)", ""])
def test_unusable_reader_is_refused(tmp_path: Path, then: str) -> None:
    """A child that says it can't work makes start fail with its reason and a remedy."""
    source = PadSource(script(tmp_path, {"error": "no SDL here"}, then=then))
    with pytest.raises(PlatformUnavailable, match="no SDL here"):
        source.start()


def test_missing_program_is_refused() -> None:
    """A program that can't be started makes start fail at once."""
    with pytest.raises(PlatformUnavailable, match="can't be read"):
        PadSource(["/nonexistent/reader"]).start()


def test_real_reader_starts_and_leaves_with_its_parent() -> None:
    """The real child gets SDL ready without display or focus, and ends when its standard input closes."""
    pytest.importorskip("pygame")
    child = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert json.loads(child.stdout.readline()) == {"ready": True}
        child.stdin.close()
        assert child.wait(5) == 0


def test_check_tells_whether_a_pad_was_seen() -> None:
    """`doctor` says "works" only when a pad is plugged in, "degraded" when only the reader runs."""
    pytest.importorskip("pygame")
    result = check_read()
    assert result["state"] in ("works", "degraded")
    assert (result["state"] == "works") == ("sees" in result["tried"])

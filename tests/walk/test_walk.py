"""The walk of WALK.md, run as it is written: every command on a real desktop, with a real game, in few seconds.

Blocks of the document that begin with ```sh are commands. ```sh once: installing, which CI does by the same commands.
"""

import functools
import importlib.util
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from x11_desktop import need

import tray_agent
from tray_agent.core.clock import ManualClock
from tray_agent.core.events import InputEvent
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.layout import new_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.settings.paths import shipped_folder
from tray_agent.settings.snapshot import load_games

ROOT = Path(tray_agent.__file__).parents[1]
WALK = Path(tray_agent.__file__).with_name("WALK.md")
WAD = Path("/usr/share/games/doom/freedoom1.wad")
OTHERS = "Bring recordings of other programs"
SEVERAL = "Train with several processes"
ONCE = """sudo apt install chocolate-doom freedoom
sudo apt install xvfb xserver-xephyr openbox xdotool
python3 installer/bootstrap.py shell bash
python3 -m venv walk/lerobot-venv
walk/lerobot-venv/bin/pip install lerobot==0.4.4
"""
SMALL = {"ROUNDS": "4", "TRAIN_MINUTES": "0.05", "PLAY_SECONDS": "2", "SDL_AUDIODRIVER": "dummy", "BROWSER": "true"}
"""What makes seconds of the walk's minutes; a browser that opens everything."""
MARK = "@@ block"


@dataclass(frozen=True)
class Block:
    """Commands, what kind of block they stand in ("" for most), below which headline, and what they print."""

    headline: str
    kind: str
    commands: str
    printed: str


@functools.cache
def blocks() -> list[Block]:
    """All of the document, in order."""
    found: list[Block] = []
    for section in re.split(r"^## ", WALK.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        headline = section.splitlines()[0]
        parts = re.findall(r"^```sh ?(\w*)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", section, re.MULTILINE | re.DOTALL)
        assert section.count("```sh") == len(parts), headline
        found += [Block(headline, *one) for one in parts]
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the walk is walked: a folder that looks like the clone, as far as the walk needs it."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    return tmp_path


def walk(place: Path, wanted: list[Block], launcher: str, timeout_s: float, **variables: str) -> list[str]:
    """Run the blocks in one shell, which ends at the first command that fails; what each of them printed."""
    lines = ["set -e\ntrap 'echo \"failed: $BASH_COMMAND\"; kill $(jobs -p) 2> /dev/null' ERR"]
    lines += [f'echo "{MARK}"\n{block.commands}' for block in wanted]
    (place / "walk.sh").write_text("\n".join(lines))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = os.environ | SMALL | {"PATH": path, "PYTHONPATH": python_path, "HOME": str(place)} | variables
    shell = subprocess.Popen(
        [*launcher.split(), "walk.sh"], cwd=place, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = shell.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGTERM)
        said, _ = shell.communicate(timeout=30)
    assert shell.returncode == 0, said
    return said.split(f"{MARK}\n")[1:]


def lacking(block: Block, printed: str) -> list[str]:
    """Lines that the document shows and the commands did not print, whatever numbers and names stand in them."""
    said = " ".join(printed.split())
    lines = [" ".join(line.split()) for line in block.printed.splitlines()]
    return [line for line in lines if line.strip(". ") and not re.search(_pattern(line), said)]


def _pattern(line: str) -> str:
    """Words as they are; what has a digit in it is anything, so is a unit of bytes, and ... is a lot."""
    words = [
        r".*" if "..." in word
        else r"[kMG]?B" if re.fullmatch(r"[kMG]B", word)
        else r"\S+" if re.search(r"\d", word)
        else re.escape(word)
        for word in line.split()
    ]  # fmt: skip
    return r"\s*".join(words)


def test_nothing_is_left_out() -> None:
    """Each command of the document is run by a test here, or is one that installs, known by heart."""
    kinds = {block.kind for block in blocks()}
    assert kinds == {"", "once", "stage", "lerobot"}
    assert "".join(block.commands for block in blocks() if block.kind == "once") == ONCE
    assert [block.headline for block in blocks() if block.kind == "stage"] == ["What it needs"]
    assert {block.headline for block in blocks()} >= {OTHERS, SEVERAL}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_record_look_train_export_play(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real game on a real desktop, played by a hand, from recording to the agent's own play."""
    monkeypatch.setenv("PATH", os.environ["PATH"] + ":/usr/games")
    for program in ("chocolate-doom", "Xvfb", "Xephyr", "openbox", "xdotool"):
        need(program)
    if not WAD.exists():
        pytest.skip(f"{WAD} is not installed (package freedoom)")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    (stage,) = (block.commands for block in blocks() if block.kind == "stage")
    mine = [block for block in blocks() if not block.kind and block.headline not in {OTHERS, SEVERAL}]
    printed = walk(place, mine, stage, 200)
    assert [lacking(*one) for one in zip(mine, printed, strict=True)] == [[]] * len(mine)
    assert (place / "walk" / "look.html").stat().st_size > 10_000
    assert (place / "walk" / "both.mp4").stat().st_size > 1_000
    assert len(list_sessions(place / "walk" / "home" / "data" / "sessions").sessions) == 1
    decisions = int(re.findall(r"played +(\d+) decisions", printed[-1])[0])
    assert decisions > 10


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_import_mix_and_several_processes(place: Path) -> None:
    """A file of each format beside a recording, learned from together, by one process and by two."""
    for module in ("h5py", "mcap", "minari", "pyarrow", "vizdoom"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    home = place / "walk" / "home"
    recorded(home / "data" / "sessions")
    mine = [block for block in blocks() if not block.kind and block.headline in {OTHERS, SEVERAL}]
    printed = walk(place, mine, "bash", 200, TRAY_AGENT_HOME=str(home))
    assert [lacking(*one) for one in zip(mine, printed, strict=True)] == [[]] * len(mine)
    assert "left out: " not in "".join(printed)
    sessions = list_sessions(home / "data" / "sessions").sessions
    formats = {one.info.extra["imported"]["format"] for one in sessions if "imported" in one.info.extra}
    assert formats == {"lerobot", "owamcap", "vpt", "csgo", "minari", "rlds", "atari", "pickle", "doom-demo"}


def recorded(root: Path) -> None:
    """A session of the game as the first half of the walk leaves one."""
    shipped = shipped_folder() / "games.yaml"
    game = load_games(shipped, shipped)["doom"]
    spec, random = game.spec(), np.random.default_rng(0)
    writer = SessionWriter(new_folder(root, game.name), spec, game.name, game.vector8, clock=ManualClock(),
                           threaded=False)  # fmt: skip
    writer.start()
    for tick in range(90):
        t_ns, held = round(tick * 1e9 / spec.rate_hz), float(tick % 8 < 5)
        pixels = random.integers(0, 256, (spec.frame_height, spec.frame_width, 3), dtype=np.uint8)
        action = np.array([held, 0, 1 - held, 0, 0, 0], np.float32)
        writer.add_events([InputEvent(t_ns, "button", "ArrowUp", held, "keyboard")])
        writer.add(TickSample(tick, t_ns, pixels, np.zeros(spec.audio_shape, np.float32), action, TickFlag.LEARN))
    assert writer.close()


@pytest.mark.slow
def test_lerobot_opens_the_export(place: Path) -> None:
    """By the command of the document, with the python that $LEROBOT_PYTHON names, or ours where it has lerobot."""
    python = os.environ.get("LEROBOT_PYTHON") or (importlib.util.find_spec("lerobot") and sys.executable)
    if not python:
        pytest.skip("lerobot is not installed here, and LEROBOT_PYTHON names no python that has it")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    recorded(place / "walk" / "home" / "data" / "sessions")
    exporting = next(block for block in blocks() if "--format lerobot" in block.commands)
    mine = [block for block in blocks() if block.kind == "lerobot"]
    first = Block("", "", exporting.commands.splitlines()[0] + "\n", "")
    home = str(place / "walk" / "home")
    printed = walk(place, [first, *mine], "bash", 100, TRAY_AGENT_HOME=home, LEROBOT_PYTHON=python)
    assert lacking(mine[0], printed[1]) == []

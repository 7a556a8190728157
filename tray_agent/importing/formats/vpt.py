"""VPT / MineRL contractor recordings: NAME.mp4 beside NAME.jsonl, one line a picture, 20 a second.

Layout: github.com/openai/Video-Pre-Training (README, data_loader.py). A line has `keyboard.keys`
("key.keyboard.w", ...), `mouse.buttons` (0 left, 1 right, 2 middle), `mouse.dx`, `mouse.dy` (counts), `mouse.dwheel`.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tray_agent.errors import ImportFailed
from tray_agent.importing.formats.video_file import pictures
from tray_agent.importing.item import Format, Item, Source, Step, at_rate, files_below
from tray_agent.settings.games import GameProfile

RATE_HZ = 20.0
_KEY = "key.keyboard."
_SPECIAL = {
    "left.shift": "ShiftLeft", "right.shift": "ShiftRight", "left.control": "ControlLeft",
    "right.control": "ControlRight", "left.alt": "AltLeft", "right.alt": "AltRight", "space": "Space", "enter": "Enter",
    "escape": "Escape", "tab": "Tab", "backspace": "Backspace", "left": "ArrowLeft", "right": "ArrowRight",
    "up": "ArrowUp", "down": "ArrowDown", "minus": "Minus", "equal": "Equal", "comma": "Comma", "period": "Period",
    "slash": "Slash", "semicolon": "Semicolon", "apostrophe": "Quote", "grave.accent": "Backquote",
    "left.bracket": "BracketLeft", "right.bracket": "BracketRight", "backslash": "Backslash", "caps.lock": "CapsLock",
    "delete": "Delete", "insert": "Insert", "home": "Home", "end": "End", "page.up": "PageUp", "page.down": "PageDown",
}  # fmt: skip
_NAMES = {f"{_KEY}{theirs}": ours for theirs, ours in _SPECIAL.items()}
_NAMES |= {f"{_KEY}{letter}": f"Key{letter.upper()}" for letter in "abcdefghijklmnopqrstuvwxyz"}
_NAMES |= {f"{_KEY}{digit}": f"Digit{digit}" for digit in range(10)}
_NAMES |= {f"{_KEY}f{number}": f"F{number}" for number in range(1, 13)}
_NAMES |= {"mouse.0": "MouseLeft", "mouse.1": "MouseRight", "mouse.2": "MouseMiddle"}
_NAMES |= {"mouse.dx": "MouseX", "mouse.dy": "MouseY", "mouse.dwheel": "WheelY"}


def _names(_profile: GameProfile) -> Mapping[str, str]:
    return _NAMES


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                found = json.loads(line)
            except ValueError as error:
                raise ImportFailed(f"{path.name}:{number} is no JSON ({error})") from error
            yield found


def _steps(video: Path) -> Iterator[Step]:
    stuck = False
    lines = _lines(video.with_suffix(".jsonl"))
    for i, ((_, pixels), line) in enumerate(zip(pictures(video), lines, strict=False)):
        mouse = line["mouse"]
        fresh = mouse.get("newButtons", [])
        # in some recordings the left button seems down from the first line on, until it is really pressed; their own
        # loader leaves it out as well
        stuck = fresh == [0] if i == 0 else stuck and 0 not in fresh
        held = [button for button in mouse["buttons"] if not (stuck and button == 0)]
        actions = dict.fromkeys([*line["keyboard"]["keys"], *(f"mouse.{button}" for button in held)], 1.0)
        actions |= {f"mouse.{move}": float(mouse.get(move) or 0.0) for move in ("dx", "dy", "dwheel")}
        yield Step(at_rate(i, RATE_HZ), actions, pixels)


def _videos(path: Path) -> list[Path]:
    return [video for video in files_below(path, "*.mp4") if video.with_suffix(".jsonl").is_file()]


def _items(source: Source) -> Iterator[Item]:
    for video in _videos(source.path):
        yield Item(video.name, partial(_steps, video))


FORMAT = Format(
    "vpt",
    "VPT / MineRL contractor: NAME.mp4 beside NAME.jsonl, keys, buttons and mouse counts, 20 Hz",
    lambda path: bool(_videos(path)),
    _items,
    _names,
)

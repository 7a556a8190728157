"""Text of a new profile, and games.yaml with it appended: comments and all else stay as they are. Any thread."""

import argparse
import glob
import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from tray_agent.core.events import WindowInfo
from tray_agent.errors import SettingsError
from tray_agent.settings.games import SHIPPED, FrameSize, GameEntry, GamesFile, free_id
from tray_agent.settings.load import check_text, load, parse

EVERYDAY_KEYS = ("up", "down", "left", "right", "space")
_SHARED_PROGRAM = re.compile(
    r"(|python[\d.]*|java|wine.*|mono|electron|love|godot.*|node|dosbox.*|mednafen|retroarch)(\.exe)?", re.IGNORECASE
)
"""Programs that run many games, or an unknown one: only the title can tell which."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_YAML_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def quoted(text: str) -> str:
    """A string as YAML: bare where that is safe, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    in_quotes = json.dumps(text, ensure_ascii=False).replace("\x85", "\\N")
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04X}", in_quotes)


def profile_text(args: argparse.Namespace, window: WindowInfo | None, vector: int) -> str:
    """The lines of a profile, not indented, with comments that say what to look at.

    Args:
        args: name, process, title, environment, keys, mouse, region, rate, audio.
        window: the window that was picked, if any; what `args` says goes before it.
        vector: id of the game.
    """
    keys = args.keys or (() if args.mouse else EVERYDAY_KEYS)
    body = [
        f"vector: {vector}  # tells the agent which game this is; keep it, what was learned hangs on it",
        *_window_lines(args, window),
        *_frame_lines(args, window),
        "controls:  # only these are ever recorded and pressed: list what you really play with",
        *([f"  keys: [{', '.join(map(quoted, keys))}]"] if keys else []),
        f"  {'' if args.mouse else '# '}mouse: {{buttons: [MouseLeft], motion: true}}",
        f"rate_hz: {args.rate or 15:g}  # decisions a second, 5 to 60",
        f"audio: {'true' if args.audio else 'false'}",
    ]
    return "\n".join([f"{quoted_key(args.name)}:", *(f"  {line}" for line in body), ""])


def quoted_key(name: str) -> str:
    """A game's name as a key of the file."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _window_lines(args: argparse.Namespace, window: WindowInfo | None) -> list[str]:
    if args.environment:
        return [f"environment: {quoted(args.environment)}"]
    process, title = args.process, args.title
    if window is not None and process is None:
        process = _literal(window.process) or None
    if window is not None and title is None and _SHARED_PROGRAM.fullmatch(window.process):
        title = re.escape(window.title) or None
    parts = {"process": process, "title": title}
    inside = ", ".join(f"{key}: {quoted(value)}" for key, value in parts.items() if value is not None)
    return [f"match: {{{inside}}}", *_region_lines(args, window)]


def _literal(process: str) -> str:
    """A process name as a pattern that fits it and nothing else."""
    return f"re:^{re.escape(process)}$" if process.startswith("re:") else glob.escape(process)


def _region_lines(args: argparse.Namespace, window: WindowInfo | None) -> list[str]:
    if args.region:
        return [f"region: {list(args.region)}"]
    if window is None:
        return []
    return [f"# region: [0, 0, {window.rect[2]}, {window.rect[3]}]  # to look at a part; this is the whole window"]


def _frame_lines(args: argparse.Namespace, window: WindowInfo | None) -> list[str]:
    rect = args.region or (window.rect if window is not None else None)
    if rect is None:
        return []
    width, height = rect[2:]
    if width <= 0 or height <= 0:
        return []
    frame = FrameSize.shaped_like(width, height)
    return [f"frame: {{width: {frame.width}, height: {frame.height}}}  # what it sees, in the shape of the window"]


def own_games(target: Path, shipped: Mapping[str, GameEntry]) -> dict[str, GameEntry]:
    """Games of the user's file, none if there is no file. Raises SettingsError when it has mistakes."""
    return load(target, GamesFile, {SHIPPED: shipped}).games if target.exists() else {}


def next_id(own: Mapping[str, GameEntry]) -> int:
    """Lowest free id for the user's games."""
    return free_id(dict(own))


def appended(target: Path, name: str, profile: str, shipped: Mapping[str, GameEntry], schema: Path) -> str:
    """Content of the user's file with the profile at its end, checked as a whole.

    Raises:
        SettingsError: the profile has mistakes, or the file's form does not allow to append.
        OSError: the file can't be read.
    """
    before = target.read_text("utf-8-sig") if target.exists() else _head(schema)
    indent = _indent(before, str(target))
    content = before + ("" if before.endswith("\n") else "\n") + "\n" + textwrap.indent(profile, " " * indent)
    model, problems = check_text(content.encode(), str(target), GamesFile, {SHIPPED: shipped})
    old = set(parse(before.encode(), "").data.get("games") or ())
    if model is not None and set(model.games) == old | {name}:
        return content
    if any(f"games.{name}" in problem.field for problem in problems):
        raise SettingsError("\n".join([*map(str, problems), "Nothing was written."]))
    raise SettingsError(f"{target}: its form does not allow to append. Add this by hand under games:\n\n{profile}")


def _head(schema: Path) -> str:
    return (
        f"# yaml-language-server: $schema={schema.as_uri()}\n"
        "# Your own games. What the lines mean stands at the top of the shipped games.yaml.\n"
        "games:\n"
    )


def _indent(text: str, file: str) -> int:
    """Columns before the names of the games that are there already; 2 when there are none."""
    document = parse(text.encode(), file)
    columns = [column for where, (_, column) in document.keys.items() if len(where) == 2 and where[0] == "games"]
    return columns[0] - 1 if columns else 2

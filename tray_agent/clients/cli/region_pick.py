"""`record --pick`, `watch --pick`: the user shows the part of the game's window to look at. Main thread."""

import argparse
import platform
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from tray_agent.clients.cli import new_game
from tray_agent.errors import PlatformUnavailable, SettingsError
from tray_agent.runtime.atomic_file import write_atomic
from tray_agent.settings.games import SHIPPED, FrameSize, GameEntry, GameProfile, GamesFile, Rect, Region
from tray_agent.settings.load import check_text, parse
from tray_agent.settings.match import match
from tray_agent.settings.schema import GAMES_SCHEMA
from tray_agent.settings.snapshot import Files, load_games

_TIME_S = 60.0
_SQUEEZED = 1.1
"""How many times wider or higher a picture's shape may become before it is told."""


def add_pick(parser: argparse.ArgumentParser, then: str) -> None:
    """The option to pick; `then` says what becomes of what was picked."""
    parser.add_argument("--pick", action="store_true",
                        help="show what to look at: click on the game's window, or drag a rectangle over a part of it; "
                        + then)  # fmt: skip


def picked(games: Iterable[GameProfile], keep: bool) -> Rect | None:
    """What the user shows, in pixels of the game's window; kept if they want that. None when they think better of it.

    Args:
        games: of which one may be picked.
        keep: whether to keep it without asking.

    Raises:
        PlatformUnavailable: nothing can be picked here, or something else was picked.
        SettingsError: it is too small, or can't be kept.
    """
    print("Click on the game's window, or drag over the part to look at. Esc: leave it.", file=sys.stderr, flush=True)
    found = _from_screen(games)
    if found is None:
        print("Nothing was picked, nothing is recorded.", file=sys.stderr)
        return None
    profile, rect = found
    print(f"region: {list(rect)}{_squeezed(profile, rect)}", file=sys.stderr)
    files = Files.standard()
    if keep or _wants_it_kept(files.user_games):
        keep_region(files, profile.name, rect)
        print(f"kept in {files.user_games}", file=sys.stderr)
    return rect


def _from_screen(games: Iterable[GameProfile]) -> tuple[GameProfile, Rect] | None:
    if platform.system() != "Linux":
        raise PlatformUnavailable(
            f"a region can't be picked on {platform.system()}", "Write it into games.yaml: region: [left, top, w, h]"
        )
    from tray_agent.platforms.x11.region_pick import pick

    found = pick(_TIME_S)
    if found is None:
        return None
    window = found.window
    if (profile := match(window, games)) is None:
        what = f"process {window.process or 'unknown'}, title {window.title!r}"
        raise PlatformUnavailable(f"that is not the game's window ({what})", "Begin in it; see: tray-agent games which")
    left, top, width, height = found.rect or window.rect
    x, y = max(left, window.rect[0]), max(top, window.rect[1])
    right, bottom = (
        min(left + width, window.rect[0] + window.rect[2]),
        min(top + height, window.rect[1] + window.rect[3]),
    )
    rect = (x - window.rect[0], y - window.rect[1], right - x, bottom - y)
    if min(rect[2:]) < 16:
        raise SettingsError(f"{rect[2]} x {rect[3]} pixels are too few to look at. Drag over 16 x 16 or more")
    return profile, rect


def _squeezed(profile: GameProfile, rect: Rect) -> str:
    """What to know where the picture does not have the region's shape."""
    frame = profile.frame
    ratio = rect[2] / rect[3] / (frame.width / frame.height)
    if 1 / _SQUEEZED <= ratio <= _SQUEEZED:
        return ""
    better = FrameSize.shaped_like(*rect[2:])
    return (
        f" (squeezed into {frame.width}x{frame.height}; frame: {{width: {better.width}, height: {better.height}}} in "
        "games.yaml has its shape, and begins learning anew)"
    )


def _wants_it_kept(file: Path) -> bool:
    if not sys.stdin.isatty():
        print("For this recording only; --keep writes it into games.yaml.", file=sys.stderr)
        return False
    print(f"Keep it in {file}, so that the agent always looks there? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def keep_region(files: Files, name: str, rect: Rect) -> None:
    """Write a game's region into the user's file, which stays as it is otherwise.

    Raises:
        SettingsError: the file's form does not allow it, or it can't be written; the message has the line.
    """
    shipped = load_games(files.shipped_games, files.shipped_games)
    target = files.user_games.resolve()
    try:
        if name in new_game.own_games(target, shipped):
            content = with_region(target.read_text("utf-8-sig"), str(target), name, rect, {SHIPPED: shipped})
        else:
            profile = _block(files.shipped_games.read_text("utf-8"), name)
            wrapped = with_region(f"games:\n{textwrap.indent(profile, '  ')}", "", name, rect, {})
            block = textwrap.dedent(wrapped.removeprefix("games:\n"))
            schema = files.shipped_games.parent / "schema" / GAMES_SCHEMA
            content = new_game.appended(target, name, block, shipped, schema)
        write_atomic(target, content)
    except OSError as failure:
        reason = failure.strerror or failure
        raise SettingsError(f"{target}: can't be written: {reason}. {_by_hand(name, rect)}") from failure


def with_region(text: str, file: str, name: str, rect: Rect, context: dict[str, object]) -> str:
    """A games.yaml with another region for one of its games.

    Raises:
        SettingsError: its form does not allow it; the message has the line to write by hand.
    """
    keys = parse(text.encode(), file).keys
    game = ("games", name)
    first = min(place for where, place in keys.items() if len(where) == 3 and where[:2] == game)
    lines = text.splitlines(keepends=True)
    line = f"{' ' * (first[1] - 1)}region: {list(rect)}\n"
    old = keys.get((*game, "region"))
    if old is not None:
        lines[old[0] - 1] = line
    elif first[0] > keys[game][0]:
        lines.insert(first[0] - 1, line)
    content = "".join(lines)
    before, after = _games(text, file, context), _games(content, file, context)
    if not before or after != before | {name: before[name].model_copy(update={"region": Region(rect=rect)})}:
        raise SettingsError(f"{file}: its form does not allow to write there. {_by_hand(name, rect)}")
    return content


def _games(text: str, file: str, context: dict[str, object]) -> dict[str, GameEntry]:
    model = check_text(text.encode(), file, GamesFile, context)[0]
    return model.games if model is not None else {}


def _by_hand(name: str, rect: Rect) -> str:
    return f"Write this by hand below {name}: region: {list(rect)}"


def _block(text: str, name: str) -> str:
    """The lines of a game, not indented."""
    keys = parse(text.encode(), "").keys
    begins = sorted(place[0] for where, place in keys.items() if len(where) == 2 and where[0] == "games")
    begin = keys["games", name][0]
    end = next((line for line in begins if line > begin), None)
    lines = text.splitlines(keepends=True)[begin - 1 : end - 1 if end is not None else None]
    while not lines[-1].strip() or lines[-1].lstrip().startswith("#"):
        lines.pop()
    return textwrap.dedent("".join(lines))

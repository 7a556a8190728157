"""OWAMcap: recordings of a desktop by ocap (Open World Agents), NAME.mcap with the pictures in a video beside it.

Layout: open-world-agents.github.io (data, technical reference, format guide) and the package owa-msgs. Messages are
JSON; which kind they are stands in the schema's name ("desktop/KeyboardEvent"). The whole screen is taken, whatever
window was in front.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from tray_agent.core.media import AudioChunk, Pixels
from tray_agent.errors import ImportFailed
from tray_agent.importing.formats import video_file
from tray_agent.importing.formats.encoded_picture import decoded
from tray_agent.importing.item import Format, Item, Source, Step, files_below
from tray_agent.platforms.win32.scancodes import VIRTUAL_KEYS
from tray_agent.runtime.optional import needed
from tray_agent.settings.games import GameProfile

_OTHERWISE = "OWAMcap recordings can't be read"
_SCREEN, _KEY, _KEYS = "ScreenCaptured", "KeyboardEvent", "KeyboardState"
_MOUSE, _RAW_MOUSE, _BUTTONS = "MouseEvent", "RawMouseEvent", "MouseState"
_RAW_BUTTONS = ("left", "right", "middle", "x1", "x2")  # two bits each in button_flags: down, up (winuser.h)
_RAW_WHEEL, _NOTCH = 0x0400, 120
_ABSOLUTE = 0x0001
_EITHER_SIDE = {0x10: "ShiftLeft", 0x11: "ControlLeft", 0x12: "AltLeft"}
_HALF_MS = 0.0005


def _default_names() -> dict[str, str]:
    found = {f"vk.{code}": name for code, name in _EITHER_SIDE.items()}
    for rank in (0, 1):  # the numpad's codes without NumLock are also those of other keys, which go before
        for name, codes in VIRTUAL_KEYS.items():
            for code in codes[rank : rank + 1]:
                found.setdefault(f"vk.{code}", name)
    ours = ("MouseLeft", "MouseRight", "MouseMiddle", "MouseBack", "MouseForward")
    found |= {f"mouse.{theirs}": name for theirs, name in zip(_RAW_BUTTONS, ours, strict=True)}
    return found | {"mouse.dx": "MouseX", "mouse.dy": "MouseY", "mouse.wheel": "WheelY"}


_NAMES = _default_names()


def _names(_profile: GameProfile) -> Mapping[str, str]:
    return _NAMES


def _messages(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Time (ns), kind and content of each message, in order of time."""
    with _opened(path) as reader:
        for schema, _, message in reader.iter_messages(log_time_order=True):
            yield message.log_time, _kind(schema), json.loads(message.data)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    mcap = needed("mcap.reader", _OTHERWISE, "import")
    broken = needed("mcap.exceptions", _OTHERWISE, "import").McapError
    with path.open("rb") as file:
        try:
            yield mcap.make_reader(file)
        except broken as error:
            raise ImportFailed(f"it is damaged ({type(error).__name__}: {error})") from error


def _kind(schema: Any) -> str:
    return str(schema.name).rsplit("/", maxsplit=1)[-1] if schema is not None else ""


def _has_raw_mouse(path: Path) -> bool:
    with _opened(path) as reader:
        summary = reader.get_summary()
    return summary is not None and any(_kind(schema) == _RAW_MOUSE for schema in summary.schemas.values())


class _Hands:
    """What is held, message by message; and what each one moves."""

    def __init__(self, raw_mouse: bool) -> None:
        self._mouse = _RAW_MOUSE if raw_mouse else _MOUSE
        self._held: dict[str, float] = {}
        self._at: tuple[int, int] | None = None

    def take(self, kind: str, message: dict[str, Any]) -> dict[str, float] | None:
        """Actions from this message on; None where it changes nothing."""
        moved: dict[str, float] = {}
        if kind == _KEY:
            self._press(f"vk.{int(message['vk'])}", message["event_type"] == "press")
        elif kind == _KEYS:
            self._only("vk.", [str(int(code)) for code in message["buttons"]])
        elif kind == _BUTTONS:
            self._only("mouse.", message["buttons"])
        elif kind == self._mouse:
            moved = self._raw(message) if kind == _RAW_MOUSE else self._pointer(message)
        elif kind != _SCREEN:
            return None
        return self._held | moved

    def _press(self, name: str, down: bool) -> None:
        if down:
            self._held[name] = 1.0
        else:
            self._held.pop(name, None)

    def _only(self, prefix: str, down: list[str]) -> None:
        """These and no others of their kind are down: states come once a second and mend what was missed."""
        self._held = {name: 1.0 for name in self._held if not name.startswith(prefix)}
        self._held |= {f"{prefix}{one}": 1.0 for one in down}

    def _raw(self, message: dict[str, Any]) -> dict[str, float]:
        flags = int(message.get("button_flags", 0))
        for i, name in enumerate(_RAW_BUTTONS):
            for down, bit in ((True, 1 << (2 * i)), (False, 2 << (2 * i))):
                if flags & bit:
                    self._press(f"mouse.{name}", down)
        moved = {}
        if not int(message.get("us_flags", 0)) & _ABSOLUTE:
            moved = {"mouse.dx": float(message["last_x"]), "mouse.dy": float(message["last_y"])}
        if flags & _RAW_WHEEL:
            data = int(message.get("button_data", 0)) & 0xFFFF  # a signed 16-bit number that may come unsigned
            moved["mouse.wheel"] = (data - 0x10000 if data & 0x8000 else data) / _NOTCH
        return moved

    def _pointer(self, message: dict[str, Any]) -> dict[str, float]:
        """Without raw messages: how far the pointer went on the screen."""
        at, before = (int(message["x"]), int(message["y"])), self._at
        self._at = at
        if message["event_type"] == "click":
            self._press(f"mouse.{message['button']}", bool(message["pressed"]))
        moved = {"mouse.wheel": float(message.get("dy") or 0)} if message["event_type"] == "scroll" else {}
        if before is not None and at != before:
            moved |= {"mouse.dx": float(at[0] - before[0]), "mouse.dy": float(at[1] - before[1])}
        return moved


class _Pictures:
    """What screen messages refer to: frames of videos, picture files, pictures in the message itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._video: Iterator[tuple[float, Pixels]] = iter(())
        self._open: Path | None = None
        self._now: tuple[float, Pixels | None] = (-1.0, None)

    def look(self, reference: Mapping[str, Any]) -> Pixels:
        """The picture."""
        uri = str(reference["uri"])
        if uri.startswith("data:"):
            return decoded(base64.b64decode(uri.partition(",")[2]))
        path = _local(self._folder, uri)
        if reference.get("pts_ns") is None:
            return decoded(path.read_bytes())
        return self._frame(path, int(reference["pts_ns"]) / 1e9)

    def _frame(self, path: Path, at_s: float) -> Pixels:
        """The video's frame of that time; videos are read forwards as long as the messages go forwards."""
        if path != self._open or at_s < self._now[0] - _HALF_MS:
            self._open, self._now, self._video = path, (-1.0, None), video_file.pictures(path, at_s)
        while self._now[1] is None or self._now[0] < at_s - _HALF_MS:
            found = next(self._video, None)
            if found is None:
                raise ImportFailed(f"{path.name} ends before {at_s:.3f} s")
            self._now = found
        return self._now[1]


def _local(folder: Path, uri: str) -> Path:
    scheme = urlparse(uri).scheme
    if scheme == "file":
        return Path(unquote(urlparse(uri).path))
    if len(scheme) > 1:  # one letter is a drive
        raise ImportFailed(f"its pictures lie at {uri}: nothing is fetched from other machines. Download them")
    return folder / uri


def _steps(path: Path) -> Iterator[Step]:
    hands, pictures = _Hands(_has_raw_mouse(path)), _Pictures(path.parent)
    begin_ns: int | None = None
    for t_ns, kind, message in _messages(path):
        begin_ns = t_ns if begin_ns is None else begin_ns
        actions = hands.take(kind, message)
        if actions is not None:
            yield Step(t_ns - begin_ns, actions, pictures.look(message["media_ref"]) if kind == _SCREEN else None)


def _sound(path: Path) -> Iterator[AudioChunk]:
    """Sound of the video that the first screen message refers to."""
    begin_ns: int | None = None
    for t_ns, kind, message in _messages(path):
        begin_ns = t_ns if begin_ns is None else begin_ns
        if kind == _SCREEN:
            reference = message["media_ref"]
            if reference.get("pts_ns") is not None:
                video = _local(path.parent, str(reference["uri"]))
                yield from video_file.sound(video, t_ns - begin_ns - int(reference["pts_ns"]))
            return


def _items(source: Source) -> Iterator[Item]:
    for path in files_below(source.path, "*.mcap"):
        yield Item(path.name, partial(_steps, path), partial(_sound, path))


FORMAT = Format(
    "owamcap",
    "OWAMcap recordings of ocap: mcap with keyboard and mouse, the pictures and the sound in a video beside it",
    lambda path: bool(files_below(path, "*.mcap")),
    _items,
    _names,
)

"""Ports over a packaged game in its own process (no threads; each object belongs to one thread)."""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tray_agent.core.events import InputEvent, WindowInfo
from tray_agent.core.media import AudioChunk, Frame
from tray_agent.core.reduce import reduce
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.platforms.env.messages import Message, frames_path, hello, sound_path, to_event, to_window
from tray_agent.platforms.env.picture import crop
from tray_agent.platforms.env.shared_frames import FrameReader
from tray_agent.platforms.env.shared_sound import SoundReader
from tray_agent.runtime.local_socket import Connection

_START_FIRST = "Start the game first: python -m tray_agent.platforms.env NAME --socket PATH"
_FIRST_FRAME_S = 5.0
_STALE_NS = 1_000_000_000
_RETRY_S = 0.5


class EnvScreen:
    """ScreenSource: the newest published picture; `t_ns` is when the game showed it, so it stands still with it."""

    def __init__(self, socket_path: Path, frame_width: int, frame_height: int) -> None:
        self._path = frames_path(socket_path)
        self._size = (frame_width, frame_height)
        self._rect: tuple[int, int, int, int] | None = None
        self._reader = FrameReader(self._path)

    def start(self) -> None:
        try:
            self._reader.start()
        except (OSError, ValueError) as error:
            raise PlatformUnavailable(f"the game shows no pictures at {self._path}: {error}", _START_FIRST) from error

    def grab(self) -> Frame:
        frame = self.grab_native()
        return Frame(frame.t_ns, reduce(crop(frame.pixels, self._rect), self._size))

    def grab_native(self) -> Frame:
        """The whole picture at native size. Raises CaptureLost."""
        try:
            frame = self._reader.read() or self._first()
        except (BlockingIOError, RuntimeError) as error:
            raise CaptureLost(str(error)) from error
        self._check_alive(frame)
        return frame

    def _first(self) -> Frame:
        end = time.monotonic() + _FIRST_FRAME_S
        while time.monotonic() < end:
            if frame := self._reader.read():
                return frame
            time.sleep(0.002)
        raise CaptureLost(f"the game at {self._path} has shown no picture for {_FIRST_FRAME_S:.0f} s; restart it")

    def _check_alive(self, frame: Frame) -> None:
        if self._reader.closed:
            raise CaptureLost(f"the game at {self._path} has ended; start it again")
        if time.perf_counter_ns() - frame.t_ns > _STALE_NS and not psutil.pid_exists(self._reader.writer_pid):
            raise CaptureLost(f"the game's process {self._reader.writer_pid} is gone; start it again")

    def set_region(self, rect: tuple[int, int, int, int] | None) -> None:
        self._rect = rect

    def close(self) -> None:
        self._reader.close()


class EnvAudio:
    """AudioSource: the game's sound; where the game runs at another speed its pitch goes with it."""

    def __init__(self, socket_path: Path) -> None:
        self.problem = ""
        self._path = sound_path(socket_path)
        self._reader = SoundReader(self._path)

    def start(self) -> None:
        try:
            self._reader.start()
        except FileNotFoundError as error:
            raise PlatformUnavailable(
                f"no sound at {self._path}: the game has none or is not running", "Set audio: off for this game"
            ) from error
        except (OSError, ValueError) as error:
            raise PlatformUnavailable(f"the sound at {self._path} can't be read: {error}", _START_FIRST) from error

    def read(self) -> list[AudioChunk]:
        chunks = self._reader.read()
        if not chunks and self._reader.closed:
            raise CaptureLost(f"the game at {self._path} has ended; start it again")
        return chunks

    def close(self) -> None:
        self._reader.close()


class _Client:
    """A listening connection."""

    def __init__(self, socket_path: Path, wants: tuple[str, ...]) -> None:
        self._path = socket_path
        self._wants = wants
        self._connection: Connection | None = None

    def start(self) -> None:
        """Connect. Raises PlatformUnavailable."""
        try:
            self._connection = hello(self._path, "listen", self._wants)
        except OSError as error:
            raise PlatformUnavailable(f"no game listens at {self._path}: {error}", _START_FIRST) from error

    def receive(self, timeout_s: float) -> Message | None:
        """Next message, None after `timeout_s`. Raises CaptureLost when the game is gone."""
        if self._connection is None:
            raise CaptureLost(f"not connected to the game at {self._path}")
        try:
            return self._connection.receive(timeout_s)
        except OSError as error:
            raise CaptureLost(f"the game at {self._path} is gone: {error}; start it again") from error

    def send(self, message: Message) -> None:
        """Send a message. Raises CaptureLost when the game is gone."""
        if self._connection is None:
            raise CaptureLost(f"not connected to the game at {self._path}")
        try:
            self._connection.send(message)
        except OSError as error:
            raise CaptureLost(f"the game at {self._path} is gone: {error}; start it again") from error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class EnvInputs:
    """InputSource: presses of the player (device "player") and of the agent (marked own)."""

    def __init__(self, socket_path: Path) -> None:
        self._client = _Client(socket_path, ("input",))

    def start(self) -> None:
        self._client.start()

    def read(self, timeout_s: float) -> list[InputEvent]:
        events: list[InputEvent] = []
        while (message := self._client.receive(0.0 if events else timeout_s)) is not None:
            if message.get("type") == "input":
                events.append(to_event(message))
        return events

    def close(self) -> None:
        self._client.close()


class EnvWindowProbe:
    """WindowProbe: the game's window while its process lives and it has the focus; finds one that was started anew."""

    def __init__(self, socket_path: Path) -> None:
        self._client = _Client(socket_path, ("window",))
        self._window: WindowInfo | None = None
        self._retry_at = 0.0

    def start(self) -> None:
        self._client.start()
        self._take(2.0)

    def active(self) -> WindowInfo | None:
        self._take(0.0)
        return self._window

    def _reconnect(self) -> None:
        self._window = None
        self._client.close()
        if time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + _RETRY_S
        with contextlib.suppress(PlatformUnavailable):  # no game yet; the next call tries again
            self._client.start()

    def _take(self, timeout_s: float) -> None:
        try:
            while (message := self._client.receive(timeout_s)) is not None:
                if message.get("type") == "window":
                    self._window = to_window(message)
                timeout_s = 0.0
        except CaptureLost:
            self._reconnect()

    def close(self) -> None:
        self._client.close()


class EnvAdvice:
    """What the scripted player of a game that was started with `--advise` would hold, for hands outside of the game."""

    def __init__(self, socket_path: Path) -> None:
        self._client = _Client(socket_path, ("advice",))

    def start(self) -> None:
        """Connect. Raises PlatformUnavailable."""
        self._client.start()

    def newest(self, timeout_s: float) -> frozenset[str] | None:
        """The latest since the last call; waits up to `timeout_s` for one, None without. Raises CaptureLost."""
        held = None
        while (message := self._client.receive(timeout_s if held is None else 0.0)) is not None:
            if message.get("type") == "advice":
                held = frozenset(map(str, message["held"]))
        return held

    def close(self) -> None:
        """Disconnect; idempotent."""
        self._client.close()


@dataclass(frozen=True)
class Episode:
    """An episode that ended: its number from 0, its score, its length, and whether it played to its end."""

    number: int
    score: float
    ticks: int
    whole: bool


class EnvControl:
    """What a test, a demo or a bench may do to the game from outside: the physical player, resets, scores."""

    def __init__(self, socket_path: Path) -> None:
        self._client = _Client(socket_path, ("episode",))

    def start(self) -> None:
        """Connect. Raises PlatformUnavailable."""
        self._client.start()

    def press(self, control: str, down: bool) -> None:
        """The physical player presses a key or lets go of it; any key, hotkeys too."""
        self._client.send({"op": "player_press", "control": control, "down": down})

    def tap(self, *controls: str) -> None:
        """Press keys together, in order, and let go in the opposite order: a hotkey."""
        for control in controls:
            self.press(control, True)
        for control in reversed(controls):
            self.press(control, False)

    def player(self, on: bool) -> None:
        """Switch the scripted player on or off; off lets go of its keys."""
        self._client.send({"op": "player", "on": on})

    def reset(self, seed: int | None = None) -> None:
        """Begin a new episode now, with `seed` or the next one; the broken one is told as not whole."""
        self._client.send({"op": "reset", "seed": seed})

    def pause(self, on: bool) -> None:
        """Stop the game; its picture stands still."""
        self._client.send({"op": "pause", "on": on})

    def focus(self, on: bool) -> None:
        """Give the game the focus, or another window."""
        self._client.send({"op": "focus", "on": on})

    def quit(self) -> None:
        """End the game's process."""
        self._client.send({"op": "quit"})

    def episodes(self, timeout_s: float) -> list[Episode]:
        """Episodes that ended since the last call; waits up to `timeout_s` for the first. Raises CaptureLost."""
        ended: list[Episode] = []
        while (message := self._client.receive(0.0 if ended else timeout_s)) is not None:
            if message.get("type") == "episode":
                ended.append(Episode(message["number"], message["score"], message["ticks"], message["whole"]))
        return ended

    def close(self) -> None:
        """Disconnect; idempotent."""
        self._client.close()

"""A packaged game in real time in a process of its own: the game loop (the process's main thread).

All times are those of `MonotonicClock`, which clients compare with their own.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from tray_agent.core import keys
from tray_agent.core.events import Command, InputEvent, WindowInfo
from tray_agent.core.media import AUDIO_RATE_HZ, Pixels
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.hands import AGENT_DEVICE, PLAYER_DEVICE, Hand, merge
from tray_agent.platforms.env.messages import (
    Message,
    frames_path,
    from_event,
    from_window,
    sound_path,
    to_command,
)
from tray_agent.platforms.env.players.player import IDLE, Player
from tray_agent.platforms.env.resampler import Resampler
from tray_agent.platforms.env.server import Client, GameServer
from tray_agent.platforms.env.shared_frames import FrameWriter
from tray_agent.platforms.env.shared_sound import SoundWriter

_LATEST_NS = 250_000_000
_HANDLE = 1


class RealTimeGame:
    """Plays `game` at its own rate times `speed`; pictures and sound go to shared memory, events to clients.

    Args:
        game: not yet started.
        socket_path: where clients connect; pictures and sound lie beside it.
        speed: 1 is the game's own speed.
        player: the scripted player, None for none.
        seed: of the first episode; the next ones take the next seeds.
        advises: the player presses nothing; clients are told what it would hold, for hands outside of the game.
    """

    def __init__(
        self, game: EnvGame, socket_path: Path, speed: float, player: Player | None, seed: int, advises: bool = False
    ) -> None:
        self._game = game
        self._period_ns = round(game.info.frame_ns / speed)
        self._player = player
        self._seed = seed
        self._server = GameServer(socket_path, self._on_message, self._on_gone)
        self._frames = FrameWriter(frames_path(socket_path), game.info.width, game.info.height)
        self._sound = SoundWriter(sound_path(socket_path)) if game.info.sound_rate_hz else None
        self._resampler = Resampler(max(game.info.sound_rate_hz, 1) * speed, AUDIO_RATE_HZ)
        self._physical = Hand(PLAYER_DEVICE, own=False)
        self._agent = Hand(AGENT_DEVICE, own=True)
        self._scripted = IDLE
        self._by_hand: frozenset[str] = frozenset()
        self._playing = player is not None
        self._advises = advises
        self._paused = False
        self._focused = True
        self._stop = False
        self._episode, self._frame, self._score = 0, 0, 0.0
        self._ops: dict[str, Callable[[Message], None]] = {
            "player_press": lambda m: self.press(str(m["control"]), bool(m["down"])),
            "player": lambda m: self._switch_player(bool(m["on"])),
            "pause": lambda m: setattr(self, "_paused", bool(m["on"])),
            "focus": lambda m: self._focus(bool(m["on"])),
            "reset": lambda m: self._next_episode(m.get("seed"), whole=False),
            "quit": lambda _: self.request_stop(),
        }

    def start(self) -> None:
        """Load the game, make the shared files, listen. Raises PlatformUnavailable, OSError."""
        self._game.start()
        self._game.reset(self._seed)
        if self._player:
            self._player.reset(self._seed)
        self._frames.start()
        if self._sound:
            self._sound.start()
        self._publish()
        self._server.start()

    def request_stop(self) -> None:
        """End `run` after the current frame; may be called from a signal handler or another thread."""
        self._stop = True

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stop

    def run(self, each_frame: Callable[[Pixels], None] | None = None) -> None:
        """Play until told to stop; `each_frame` is called with each new picture. Raises CaptureLost."""
        due = time.perf_counter_ns()
        while not self._stop:
            self._server.serve(due)
            self._step()
            self._publish()
            if each_frame:
                each_frame(self._game.pixels())
            due += self._period_ns
            if time.perf_counter_ns() - due > _LATEST_NS:  # too slow or stopped meanwhile: do not rush to catch up
                due = time.perf_counter_ns()

    def close(self) -> None:
        """Let go of everything; idempotent."""
        self._server.close()
        self._frames.close()
        if self._sound:
            self._sound.close()
        self._game.close()

    def press(self, control: str, down: bool) -> None:
        """The physical player presses a key or lets go of it. Raises ValueError for a name that is no key."""
        if control not in keys.BUTTONS:
            raise ValueError(f"{control!r} is no key")
        self._by_hand = self._by_hand | {control} if down else self._by_hand - {control}
        self._player_holds()

    def _step(self) -> None:
        if self._paused:
            return
        if self._playing and self._player and self._frame % self._game.info.frames_per_tick == 0:
            self._play(self._player.decide(self._game))
        self._score += self._game.advance(merge(self._physical.command, self._agent.command), 1)
        self._physical.moved()
        self._agent.moved()
        self._frame += 1
        if self._game.over or self._frame >= self._game.info.max_ticks * self._game.info.frames_per_tick:
            self._next_episode(None, whole=True)

    def _publish(self) -> None:
        now = time.perf_counter_ns()
        self._frames.publish(now, self._game.pixels())
        if self._sound:
            self._sound.publish(now, self._resampler.push(self._game.sound()))

    def _next_episode(self, seed: int | None, whole: bool) -> None:
        ticks = -(-self._frame // self._game.info.frames_per_tick)
        ended = {"number": self._episode, "score": self._score, "ticks": ticks, "whole": whole, "seed": self._seed}
        self._server.tell({"type": "episode", **ended})
        self._seed = self._seed + 1 if seed is None else int(seed)
        self._episode, self._frame, self._score = self._episode + 1, 0, 0.0
        self._game.reset(self._seed)
        if self._player:
            self._player.reset(self._seed)

    def _play(self, command: Command) -> None:
        if self._advises:
            self._server.tell({"type": "advice", "held": sorted(command.held)})
        else:
            self._scripted = command
            self._player_holds()

    def _player_holds(self) -> None:
        both = Command(self._scripted.held | self._by_hand, self._scripted.relative, self._scripted.axes)
        self._tell_events(self._physical.take(both, time.perf_counter_ns()))

    def _switch_player(self, on: bool) -> None:
        self._playing = on
        if not on:
            self._scripted = IDLE
            self._player_holds()

    def _focus(self, on: bool) -> None:
        self._focused = on
        self._server.tell(from_window(self._window()))

    def _window(self) -> WindowInfo | None:
        info = self._game.info
        if not self._focused:
            return None
        return WindowInfo(_HANDLE, "tray-agent-env", info.name, (0, 0, info.width, info.height), os.getpid())

    def _on_message(self, client: Client, message: Message) -> None:
        op = str(message.get("op"))
        if op == "hello":
            if "window" in client.wants:
                self._server.send(client, from_window(self._window()))
            if "input" in client.wants:
                for event in (*self._physical.held_now(now := time.perf_counter_ns()), *self._agent.held_now(now)):
                    self._server.send(client, from_event(event))
        elif op == "hold":
            if client.role != "press":
                raise ValueError("only the press client may hold keys")
            self._tell_events(self._agent.take(to_command(message), time.perf_counter_ns()))
        else:
            self._ops[op](message)

    def _on_gone(self, client: Client) -> None:
        if client.role == "press":
            self._tell_events(self._agent.take(IDLE, time.perf_counter_ns()))

    def _tell_events(self, events: list[InputEvent]) -> None:
        for event in events:
            self._server.tell(from_event(event))

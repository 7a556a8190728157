"""A guard's loop on a fake desktop with a clock that only moves when told, for tests."""

import json
from collections import deque
from dataclasses import replace

from tray_agent.core.clock import ManualClock
from tray_agent.core.events import Command, InputEvent, WindowInfo
from tray_agent.core.guard_port import BackendReport, Heard
from tray_agent.guard import protocol
from tray_agent.guard.fake_backend import FakeBackend
from tray_agent.guard.loop import GuardLoop
from tray_agent.guard.protocol import Act, Armed, Dropped, Game, GuardEvent, Hotkey, Op, Refused, Revoked

HOTKEYS = {
    "kill": ("ControlLeft", "AltLeft", "KeyK"),
    "play": ("ControlLeft", "AltLeft", "KeyP"),
    "watch": ("ControlLeft", "AltLeft", "KeyO"),
}
WINDOW = WindowInfo(handle=7, process="game", title="Game", rect=(10, 20, 640, 480), pid=1)
GAME = Game(
    buttons=("KeyW", "KeyA", "KeyD", "AltLeft", "F4", "Tab", "ControlLeft", "KeyK"),
    relative=("MouseX", "WheelY"),
    axes=("PadLX",),
    window=WINDOW.handle,
    rect=WINDOW.rect,
)
MS = 1_000_000


class MemoryChannel:
    """The daemon's pipe, in memory."""

    def __init__(self) -> None:
        self.lines: deque[bytes] = deque()
        self.events: list[GuardEvent] = []
        self.hung_up = False

    @property
    def pending(self) -> bool:
        return False

    @property
    def closed(self) -> bool:
        return self.hung_up and not self.lines

    def fileno(self) -> int:
        return -1

    def read(self) -> list[bytes]:
        lines = list(self.lines)
        self.lines.clear()
        return lines

    def send(self, event: GuardEvent) -> None:
        self.events.append(protocol.decode_event(protocol.encode_event(event)))

    def flush(self) -> None:
        pass


class Desk:
    """Guard, player and daemon in one thread."""

    def __init__(self, report: BackendReport | None = None, lease_ms: int = 200) -> None:
        self.clock = ManualClock(1_000_000_000_000)
        self.channel = MemoryChannel()
        self.backend = FakeBackend(clock=self.clock, commands_ready=self._ready)
        self.backend.window = WINDOW
        self.slept_ns = 0
        self.parent_gone = False
        self.loop = GuardLoop(
            self.backend,
            report or BackendReport(hears_player=True),
            self.channel,
            HOTKEYS,
            lease_ms,
            self.clock,
            parent_gone=lambda: self.parent_gone,
            asleep=lambda: self.slept_ns,
        )
        self.seq = 0

    def _ready(self) -> bool:
        return bool(self.channel.lines) or self.channel.hung_up

    # -- the daemon

    def say(self, *ops: Op) -> None:
        """Send operations and let the guard take them."""
        self.channel.lines.extend(protocol.encode_op(op) for op in ops)
        self.loop.step()

    def say_raw(self, **message: object) -> None:
        """Send any object as a line."""
        self.channel.lines.append(json.dumps(message).encode())
        self.loop.step()

    def ready(self, game: Game = GAME) -> "Desk":
        """Configure the game."""
        self.say(game)
        return self

    def armed(self, game: Game = GAME) -> "Desk":
        """Configure the game and get a permit."""
        self.ready(game)
        self.ask()
        assert self.of(Armed), self.channel.events
        return self

    def ask(self) -> None:
        """A person asks for play by tray or command line."""
        self.clock.advance_ns(MS)
        self.say(protocol.PermitRequest(self.clock.now_ns()))

    def act(self, *held: str, **changes: object) -> None:
        """One good act, but for `changes`."""
        self.seq += 1
        relative, axes = changes.pop("relative", {}), changes.pop("axes", {})
        command = Command(frozenset(held), relative, axes)  # type: ignore[arg-type]
        act = Act(self.epoch, self.seq, self.clock.now_ns(), command)
        self.say(replace(act, **changes))  # type: ignore[arg-type]

    @property
    def epoch(self) -> int:
        return max((event.epoch for event in self.of(Armed)), default=0)

    # -- the player

    def hear(self, *events: InputEvent) -> None:
        """The player does something; the guard hears all of it at once."""
        self.backend.script.append(Heard(events=events))
        self.loop.step()

    def press(self, *names: str) -> None:
        """Keys go down, one ms apart, each heard by itself."""
        for name in names:
            self.clock.advance_ns(MS)
            self.hear(self.key(name))

    def release(self, *names: str) -> None:
        for name in names:
            self.hear(self.key(name, 0.0))

    def key(self, name: str, value: float = 1.0, device: str = "real", own: bool = False) -> InputEvent:
        return InputEvent(self.clock.now_ns(), "button", name, value, device, own)

    def hotkey(self, name: str) -> None:
        """Press and release a hotkey."""
        self.press(*HOTKEYS[name])
        self.release(*HOTKEYS[name])

    def move(self, control: str, value: float, kind: str = "relative", own: bool = False) -> None:
        self.hear(InputEvent(self.clock.now_ns(), kind, control, value, "real", own))  # type: ignore[arg-type]

    # -- what is seen

    @property
    def down(self) -> set[str]:
        return set(self.backend.down)

    def of(self, *kinds: type) -> list:
        """Reports of these kinds so far."""
        return [event for event in self.channel.events if isinstance(event, kinds)]

    @property
    def revoked(self) -> list[Revoked]:
        return self.of(Revoked)

    @property
    def refused(self) -> list[Refused]:
        return self.of(Refused)

    @property
    def dropped(self) -> list[Dropped]:
        return self.of(Dropped)

    @property
    def hotkeys(self) -> list[Hotkey]:
        return self.of(Hotkey)
